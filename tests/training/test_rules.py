"""Rows updated only when read give what Keras's own optimizer gives on dense gradients."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import slow_but

from bench.config.schema import Schedule
from bench.training import optimizers
from bench.training.arrays import Clock, DeferredTable

ROWS, WIDTH, BATCH, STEPS = 40, 3, 8, 500

RATE = 0.01

CASES = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.8, "nesterov": True}),
    ("adagrad", {}),
    ("adagrad", {"initial_accumulator_value": 0.01}),
    ("rmsprop", {}),
    ("rmsprop", {"momentum": 0.9}),
    ("rmsprop", {"centered": True}),
    ("rmsprop", {"centered": True, "momentum": 0.5}),
    ("adam", {}),
    ("adam", {"beta_1": 0.5, "beta_2": 0.99}),
    ("adam", {"epsilon": 1e-3}),
]


def schedule(**given):
    none = dict.fromkeys(
        ("kind", "decay_steps", "decay_rate", "end_factor", "factor", "patience", "min_delta")
    )
    return Schedule(**{**none, "warmup_steps": 0, **given})


def batches(seed=0):
    """Ids with heavy repeats and long gaps, and a gradient for each."""
    rng = np.random.default_rng(seed)
    ids = ((ROWS - 4) * rng.random((STEPS, BATCH)) ** 4).astype(np.int32)
    ids[:, 0] = ids[:, 1]
    ids[(np.arange(STEPS) % 97) == 0, 2] = ROWS - 1  # a row that is met every 97 steps
    return ids, rng.normal(0, 0.1, (STEPS, BATCH, WIDTH)).astype(np.float32)


def pull(weights, noise):
    """A gradient that depends on the weights, so that a wrong catch-up shows in what follows."""
    return 0.3 * (weights - 0.5) + noise


def dense(optimizer, start):
    ids, noise = map(tf.constant, batches())
    variable = keras.Variable(start)
    optimizer.build([variable])

    @tf.function
    def run():
        for t in tf.range(STEPS):
            slices = tf.IndexedSlices(
                pull(tf.gather(variable.value, ids[t]), noise[t]), ids[t], (ROWS, WIDTH)
            )
            optimizer.apply([tf.convert_to_tensor(slices)], [variable])

    run()
    return variable.numpy()


def by_rows(optimizer, rates, start, settle_at=()):
    ids, noise = map(tf.constant, batches())
    rule = optimizers.row_rule(optimizer)
    assert rule is not None
    table = DeferredTable(keras.Variable(start), rule)
    coefficients = tf.constant(rule.coefficients(rates))

    @tf.function
    def run(begin, end):
        for t in tf.range(begin, end):
            weights, slots = table.read(ids[t], Clock(t, begin, coefficients))
            equal = tf.cast(ids[t][:, None] == ids[t][None, :], tf.float32)
            gradient = equal @ pull(weights, noise[t])
            new = rule.update(weights, slots, gradient, tf.gather(coefficients, t + 1))
            table.write(ids[t], *new, Clock(t + 1, begin, coefficients))

    ends = [0, *settle_at, STEPS]
    for begin, end in itertools.pairwise(ends):
        run(tf.constant(begin), tf.constant(end))
        table.settle(Clock(end, begin, coefficients), reset=True)
    return table.variable.numpy()


def start():
    return np.random.default_rng(1).uniform(-0.05, 0.05, (ROWS, WIDTH)).astype(np.float32)


@pytest.mark.parametrize(("name", "settings"), slow_but(CASES[::3], CASES), ids=str)
def test_rows_end_where_the_dense_optimizer_puts_them(name, settings):
    rate = 0.002 if settings.get("momentum") == 0.9 and name == "rmsprop" else RATE
    rates = optimizers.learning_rates(rate, schedule(), STEPS)
    expected = dense(optimizers.build(name, settings, rates), start())
    found = by_rows(optimizers.build(name, settings, rates), rates, start())
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert np.abs(found - start()).max() > 0.05  # something was learned at all


def test_a_row_that_is_never_read_stays():
    rates = optimizers.learning_rates(RATE, schedule(), STEPS)
    ids, _ = batches()
    unread = sorted(set(range(ROWS)) - set(ids.ravel().tolist()))
    assert unread
    found = by_rows(optimizers.build("adam", {}, rates), rates, start())
    np.testing.assert_array_equal(found[unread], start()[unread])


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_settling_in_between_changes_nothing(name):
    rates = optimizers.learning_rates(RATE, schedule(), STEPS)
    settings = {"momentum": 0.9} if name == "rmsprop" else {}
    once = by_rows(optimizers.build(name, settings, rates), rates, start())
    often = by_rows(optimizers.build(name, settings, rates), rates, start(), settle_at=(1, 7, 250, 499))
    np.testing.assert_allclose(often, once, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "cosine", "warmup_steps": 50, "end_factor": 0.1},
        {"kind": "exponential", "decay_rate": 0.5, "decay_steps": 100},
    ],
    ids=lambda s: s["kind"],
)
def test_a_schedule_known_by_step_is_followed(given):
    rates = optimizers.learning_rates(RATE, schedule(**given), STEPS)
    expected = dense(optimizers.build("adam", {}, rates), start())
    found = by_rows(optimizers.build("adam", {}, rates), rates, start())
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_adam_against_plain_numpy_in_float64():
    rates = optimizers.learning_rates(RATE, schedule(), STEPS)
    ids, noise = batches()
    w = start().astype(np.float64)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, (index, extra) in enumerate(zip(ids, noise, strict=True), start=1):
        g = np.zeros_like(w)
        np.add.at(g, index, pull(w[index], extra))
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        w -= RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
    found = by_rows(optimizers.build("adam", {}, rates), rates, start())
    np.testing.assert_allclose(found, w, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("adam", {"amsgrad": True}),
        ("adam", {"weight_decay": 0.01}),
        ("adam", {"clipnorm": 1.0}),
        ("adam", {"use_ema": True}),
        ("adam", {"beta_1": 0.0}),
        ("adam", {"beta_1": 0.99, "beta_2": 0.9}),
        ("sgd", {"gradient_accumulation_steps": 2}),
        ("sgd", {"momentum": 1.0}),
        ("adamw", {}),
        ("lion", {}),
        ("muon", {}),
    ],
    ids=str,
)
def test_optimizers_without_a_form_for_rows_have_none(name, settings):
    rates = optimizers.learning_rates(RATE, schedule(), 10)
    assert optimizers.row_rule(optimizers.build(name, settings, rates)) is None
