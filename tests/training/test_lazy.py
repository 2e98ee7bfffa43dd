"""Optimizers that move a batch's rows alone, against their originals written in NumPy, and PyTorch's where it is."""

import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import slow_but
from test_optimizers import BATCH, DATA, EPOCHS, RATE, Table, model_of, order, ours, trainer, values
from test_trainer import TRAINING, Silent

from bench.config.optimizers import LAZY
from bench.training import lazy, optimizers
from bench.training.arrays import Clock, DeferredTable

OTHER = {
    "lazy_adam": {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-4},
    "lazy_adagrad": {"initial_accumulator_value": 0.02, "epsilon": 1e-4},
    "rowwise_adagrad": {"initial_accumulator_value": 0.02, "epsilon": 1e-4},
}
SCHEDULE = TRAINING.schedule
CASES = [*itertools.product(LAZY, ({},)), *OTHER.items()]


class Original:
    """One of the optimizers for one array, in float64: as its original is written.

    Args:
        name: of the optimizer.
        settings: its further arguments.
        shape: the array's.
        by_rows: the array is a table.
    """

    def __init__(self, name, settings, shape, by_rows):
        self.name, self.by_rows = name, by_rows
        defaults = {"beta_1": 0.9, "beta_2": 0.999, "initial_accumulator_value": 0.0}
        given = {**defaults, "epsilon": 1e-8 if name == "lazy_adam" else 1e-10, **settings}
        self.beta_1, self.beta_2, self.epsilon = given["beta_1"], given["beta_2"], given["epsilon"]
        self.m = np.zeros(shape)
        self.v = (
            np.zeros(shape) if name == "lazy_adam" else np.full(shape, given["initial_accumulator_value"])
        )

    def step(self, w, gradient, rows, t):
        """The array after step ``t``, counted from 1, whose batch reads ``rows`` if it is a table."""
        w, index = w.copy(), rows if self.by_rows else slice(None)
        g = gradient[index].astype(np.float64)
        if self.name == "lazy_adam":
            self.m[index] += (1 - self.beta_1) * (g - self.m[index])
            self.v[index] += (1 - self.beta_2) * (g**2 - self.v[index])
            rate = RATE * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
            w[index] -= rate * self.m[index] / (np.sqrt(self.v[index]) + self.epsilon)
            return w
        mean = self.name == "rowwise_adagrad" and self.by_rows
        self.v[index] += np.mean(g**2, axis=1, keepdims=True) if mean else g**2
        w[index] -= RATE * g / (np.sqrt(self.v[index]) + self.epsilon)
        return w


def reference(name, settings):
    """All variables after training in float64 on the harness's batches, by path."""
    model = model_of({n: Table(f.size, f"{n}_embedding") for n, f in DATA.fields.items()})
    current = {path: value.astype(np.float64) for path, value in values(ours()).items()}
    fields = {f"{name}_embedding/table": name for name in DATA.fields}
    own = {p: Original(name, settings, value.shape, p in fields) for p, value in current.items()}
    for t, rows in enumerate(batches(), start=1):
        for variable in model.variables:
            variable.assign(current[variable.path])
        ids = {n: DATA.train.ids[n][rows] for n in DATA.fields}
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(ids) - DATA.train.labels[rows]) ** 2)
        found = tape.gradient(loss, [v.value for v in model.trainable_variables])
        for variable, gradient in zip(model.trainable_variables, found, strict=True):
            path = variable.path
            read = np.unique(ids[fields[path]]) if path in fields else None
            current[path] = own[path].step(current[path], np.asarray(gradient), read, t)
    return current


def batches():
    rows = np.split(order(EPOCHS), EPOCHS)  # no batch has rows of two epochs
    return [part[start : start + BATCH] for part in rows for start in range(0, len(part), BATCH)]


@pytest.mark.parametrize(("name", "settings"), slow_but(CASES[::3], CASES), ids=str)
def test_a_model_ends_where_the_original_puts_it(name, settings):
    model = ours()
    first = values(model)
    training = trainer(model, name, settings)
    training.fit(Silent())
    found, expected = values(model), reference(name, settings)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=0, atol=3e-5, err_msg=path)
        assert np.abs(found[path] - first[path]).max() > 0.01
    assert set(training.updates_by_field().values()) == {
        "lazy"
    }  # tables this small are updated whole elsewhere


@pytest.mark.slow
@pytest.mark.parametrize("name", LAZY)
def test_settings_of_the_schedule_and_more_epochs_are_heeded(name):
    still = ours()
    trainer(still, name, {}, schedule=replace(SCHEDULE, warmup_steps=5)).fit(Silent())
    other = ours()
    trainer(other, name, {}).fit(Silent())
    assert max(np.abs(values(still)[p] - values(other)[p]).max() for p in values(other)) > 1e-4


def test_a_row_that_no_batch_reads_again_stays():
    """Under Adam it would go on moving by its momentum."""
    rates = optimizers.learning_rates(RATE, SCHEDULE, 3)
    moved = {}
    for name in ("adam", "lazy_adam"):
        rule = optimizers.row_rule(optimizers.build(name, {}, rates))
        table = DeferredTable(keras.Variable(np.zeros((4, 2), np.float32)), rule)
        coefficients = tf.constant(rule.coefficients(rates))
        zero = Clock(tf.constant(0), tf.constant(0), coefficients)
        w, slots = table.read(tf.constant([1]), zero)
        new = rule.update(w, slots, tf.ones((1, 2)), coefficients[1])
        table.write(tf.constant([1]), *new, zero._replace(step=tf.constant(1)))
        table.settle(zero._replace(step=tf.constant(3)), reset=False)
        moved[name] = table.variable.numpy()[1, 0]
    assert moved["lazy_adam"] == pytest.approx(-RATE, rel=1e-5) and moved["adam"] < 1.9 * moved["lazy_adam"]


def test_rowwise_adagrad_holds_one_number_a_row():
    rates = np.array([RATE])
    for name, bytes_a_row in (("rowwise_adagrad", 4), ("lazy_adagrad", 4 * 32), ("lazy_adam", 2 * 4 * 32)):
        rule = optimizers.row_rule(optimizers.build(name, {}, rates))
        table = DeferredTable(keras.Variable(np.zeros((50, 32), np.float32)), rule)
        assert table.nbytes == 50 * (4 * 32 + bytes_a_row)


@pytest.mark.parametrize("name", LAZY)
def test_the_classes_can_be_made_again_from_their_config(name):
    one = lazy.BY_NAME[name](0.3, **OTHER[name])
    config = one.get_config()
    assert type(one).from_config(config).get_config() == config and config["epsilon"] == 1e-4


@pytest.mark.parametrize("name", ["lazy_adam", "lazy_adagrad"])
def test_pytorch_has_the_same_numbers(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(9, 3)).astype(np.float32)
    table = torch.nn.Embedding.from_pretrained(torch.tensor(weight.copy()), freeze=False, sparse=True)
    kind = torch.optim.SparseAdam if name == "lazy_adam" else torch.optim.Adagrad
    theirs, own = kind(table.parameters(), lr=RATE), Original(name, {}, weight.shape, True)
    w = weight.astype(np.float64)
    for t in range(1, 60):
        ids, pull = rng.integers(0, 9, 5), rng.normal(size=(5, 3)).astype(np.float32)
        theirs.zero_grad()
        (table(torch.tensor(ids)) * torch.tensor(pull)).sum().backward()
        theirs.step()
        gradient = np.zeros((9, 3))
        np.add.at(gradient, ids, pull)
        w = own.step(w, gradient, np.unique(ids), t)
    np.testing.assert_allclose(table.weight.detach().numpy(), w, atol=2e-6)
