"""Every argument of every optimizer gives what Keras's own ``fit`` gives, or is refused in one line."""

from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest
from keras import ops
from test_trainer import TRAINING, Silent, interactions

from bench.config.optimizers import OWN, SHARED
from bench.config.schema import KERAS_OPTIMIZERS, OPTIMIZERS
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.errors import RequestError
from bench.training import arrays, lazy, optimizers
from bench.training.layers import check_averages
from bench.training.trainer import Trainer

BATCH, EPOCHS, DIM = 16, 3, 4
DATA = interactions(160, users=20, items=12)
RATE = 0.01

EMA = {"use_ema": True}
VALUES = {
    # of all
    "weight_decay": 0.3,
    "clipnorm": 0.02,
    "clipvalue": 0.002,
    "global_clipnorm": 0.02,
    "use_ema": True,
    "ema_momentum": 0.7,
    "ema_overwrite_frequency": 4,
    "loss_scale_factor": 64.0,
    "gradient_accumulation_steps": 3,
    # of some
    "momentum": 0.8,
    "nesterov": True,
    "beta_1": 0.6,
    "beta_2": 0.8,
    "epsilon": 0.03,
    "amsgrad": True,
    "initial_accumulator_value": 0.02,
    "rho": 0.6,
    "centered": True,
    "beta_2_decay": -0.5,
    "epsilon_1": 0.01,
    "epsilon_2": 0.02,
    "clip_threshold": 0.5,
    "relative_step": False,
    "learning_rate_power": -0.3,
    "l1_regularization_strength": 0.02,
    "l2_regularization_strength": 0.5,
    "l2_shrinkage_regularization_strength": 0.5,
    "beta": 0.5,
    "adam_beta_1": 0.6,
    "adam_beta_2": 0.8,
    "adam_weight_decay": 0.3,
    "exclude_layers": ["hidden"],
    "exclude_embeddings": False,
    "muon_a": 2.0,
    "muon_b": -4.5,  # far from the default the Newton-Schulz iteration diverges
    "muon_c": 1.0,
    "adam_lr_ratio": 0.5,
    "ns_steps": 2,
    "rms_rate": 0.5,
}
"""A value of each argument that is not Keras's default."""

TOGETHER = {
    ("ema_momentum",): EMA,
    ("ema_overwrite_frequency",): {**EMA, "ema_momentum": 0.5},
    ("sgd", "nesterov"): {"momentum": 0.8},
    ("adam", "amsgrad"): {"beta_2": 0.5},  # else the largest v is always the last
    ("adamw", "amsgrad"): {"beta_2": 0.5},
}
"""What an argument needs beside it to make a difference, by argument or optimizer and argument."""

WITHOUT_EFFECT = {"loss_scale_factor", "relative_step"}
"""Arguments that change nothing but rounding, where Keras uses them as it says."""


def known(name):
    return optimizers.arguments(type(keras.optimizers.get(name)))


CASES = [
    (name, key)
    for name in KERAS_OPTIMIZERS
    for key in known(name)
    if key not in SHARED or name in ("adam", "muon")  # Keras's base class heeds those of all
]


class Table(keras.layers.Layer):
    """A table whose gradient is dense: ``fit`` would update an Embedding by unsummed slices."""

    def __init__(self, size, name):
        super().__init__(name=name)
        self.size = size

    def build(self, _):
        self.table = self.add_weight(shape=(self.size, DIM), name="table")

    def call(self, ids):
        return ops.one_hot(ids, self.size) @ self.table


def model_of(layers, **hidden):
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in layers}
    both = keras.layers.Concatenate()([layer(inputs[name]) for name, layer in layers.items()])
    between = keras.layers.Dense(5, activation="tanh", name="hidden", **hidden)(both)
    return keras.Model(inputs, ops.squeeze(keras.layers.Dense(1, name="score")(between), -1))


def ours(**hidden):
    keras.utils.set_random_seed(3)
    layers = {}
    for name, field in DATA.fields.items():
        method = find("full")(Vocabulary(name, field.size, field.counts), DIM)
        layers[name] = CompressedEmbedding(method, name=f"{name}_embedding")
    return model_of(layers, **hidden)


def trainer(model, name, settings, **training):
    given = {"batch_size": BATCH, "epochs": EPOCHS, "learning_rate": RATE, "jit": False, **training}
    chosen = {"optimizer": name, "optimizer_settings": settings}
    return Trainer(model, DATA, replace(TRAINING, **given, **chosen), seed=5)


def values(model):
    return {v.path: v.numpy() for v in model.variables}


def trained(name, settings, **hidden):
    """All variables after training by the harness, by path."""
    model = ours(**hidden)
    trainer(model, name, settings).fit(Silent())
    return values(model)


def order(epochs):
    """The rows in the order in which the harness trains on them."""
    shuffled = [
        np.random.Generator(np.random.PCG64([5, n + 1])).permutation(len(DATA.train)) for n in range(epochs)
    ]
    return np.concatenate(shuffled)


def fitted(name, settings, **hidden):
    """All variables after Keras's own ``fit`` on the same batches, by path."""
    first = values(ours(**hidden))
    reference = model_of({n: Table(f.size, f"{n}_embedding") for n, f in DATA.fields.items()}, **hidden)
    assert {v.path for v in reference.variables} == first.keys()
    for variable in reference.variables:
        variable.assign(first[variable.path])
    optimizer = type(keras.optimizers.get(name))(learning_rate=RATE, **settings)
    reference.compile(optimizer, loss="mse", jit_compile=False)
    rows = order(EPOCHS)  # in one epoch, for `fit` sets averages into the model at its end
    inputs = {n: ids[rows] for n, ids in DATA.train.ids.items()}
    reference.fit(inputs, DATA.train.labels[rows], batch_size=BATCH, shuffle=False, verbose=0)
    return values(reference)


@cache
def fitted_with(name, *settings):
    """The same, once for all arguments that are compared with it."""
    return fitted(name, dict(settings))


def furthest(one, other):
    assert one.keys() == other.keys()
    return max(float(np.abs(one[path] - other[path]).max()) for path in one)


def together(name, argument):
    return TOGETHER.get((name, argument), TOGETHER.get((argument,), {}))


def check_against_fit(name, argument):
    value = not known(name)[argument] if argument == "nesterov" else VALUES[argument]
    settings = {**together(name, argument), argument: value}
    expected = fitted(name, settings)
    assert furthest(trained(name, settings), expected) < 2e-5
    if argument not in WITHOUT_EFFECT:
        without = fitted_with(name, *together(name, argument).items())
        assert furthest(without, expected) > 1e-5


def test_no_argument_of_keras_is_missing_here():
    """A new argument fails here: give it a value above, and the tests below say whether the loop heeds it."""
    assert {argument for _, argument in CASES} == VALUES.keys()


@pytest.mark.slow
def test_the_averages_that_keras_keeps_around_adam_are_kept():
    check_against_fit("adam", "use_ema")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "argument"), CASES)
def test_each_argument_of_each_optimizer_gives_what_fit_gives(name, argument):
    check_against_fit(name, argument)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERAS_OPTIMIZERS)
def test_with_xla_each_optimizer_accumulates_averages_and_scales(name):
    settings = {
        "use_ema": True,
        "ema_momentum": 0.5,
        "gradient_accumulation_steps": 2,
        "loss_scale_factor": 8.0,
    }
    model = ours()
    trainer(model, name, settings, jit=True).fit(Silent())
    assert furthest(values(model), fitted(name, settings)) < 2e-5


@pytest.mark.slow
def test_regularizers_and_constraints_of_the_model_are_heeded():
    # of small arrays, which are one vector to the optimizer
    hidden = {
        "kernel_regularizer": keras.regularizers.L2(0.5),
        "bias_constraint": keras.constraints.NonNeg(),
        "kernel_constraint": keras.constraints.MaxNorm(0.3),
    }
    expected = fitted("adam", {}, **hidden)
    assert furthest(trained("adam", {}, **hidden), expected) < 2e-5
    for left_out in ("kernel_regularizer", "kernel_constraint"):
        others = {name: value for name, value in hidden.items() if name != left_out}
        assert furthest(trained("adam", {}, **others), expected) > 1e-3
    assert (expected["hidden/bias"] >= 0).all()


def test_a_variable_without_a_gradient_stays_as_in_keras():
    class Idle(keras.layers.Layer):
        def build(self, _):
            self.idle = self.add_weight(shape=(3,), initializer="ones", name="idle")

        def call(self, values):
            return values

    plain = ours()
    model = keras.Model({ids.name: ids for ids in plain.inputs}, Idle(name="beside")(plain.outputs[0]))
    trainer(model, "adam", {"weight_decay": 0.5}, epochs=1).fit(Silent())
    after = values(model)
    np.testing.assert_array_equal(after["beside/idle"], np.ones(3))
    assert furthest({k: after[k] for k in values(plain)}, values(ours())) > 1e-3  # the others moved


@pytest.mark.slow
def test_what_is_evaluated_with_averages_is_what_training_would_leave():
    settings = {"use_ema": True, "ema_momentum": 0.9}
    model = ours()
    history = trainer(model, "adam", settings).fit(Silent())
    for epochs in range(1, EPOCHS + 1):
        shorter = ours()
        alone = trainer(shorter, "adam", settings, epochs=epochs).fit(Silent())
        assert alone.epochs[-1]["val_mae"] == history.epochs[epochs - 1]["val_mae"]
    predictions = model.predict(DATA.evaluation.ids, verbose=0)
    error = float(np.abs(predictions - DATA.evaluation.labels).mean())
    assert history.epochs[-1]["val_mae"] == pytest.approx(error, abs=1e-6)


def test_nothing_is_rounded_between_two_updates_of_accumulated_gradients():
    """Stochastic rounding moves weights by chance: once an update, not once a batch."""
    calls = []
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=3)
    table = keras.Variable(np.zeros((4, 2), np.float32))
    after = {id(table): lambda value, noise: value + 1.0}
    whole = arrays.WholeArrays([table], optimizer, flat=False, after=after)
    for step in range(7):
        whole.update([ops.zeros((4, 2))], step)
        calls.append(float(table.numpy()[0, 0]))
    assert calls == [0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("strategy", ["alpt", "cce", "deeplight", "int8", "pep"])
def test_averages_are_refused_for_methods_that_change_their_tables(strategy):
    method = find(strategy)(Vocabulary("user", 20, DATA.fields["user"].counts), 8)
    with pytest.raises(RequestError, match=rf"use_ema=true: {strategy} rounds, prunes or regroups"):
        check_averages([method])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("adam", {"beta1": 0.9}, r"beta1=0.9: adam has no such setting; did you mean beta_1\? \(there are: amsgrad,"),
        ("sgd", {"beta_1": 0.9}, "beta_1=0.9: sgd has no such setting"),
        ("adam", {"decay": 0.1}, "decay=0.1: adam has no such setting"),  # Keras ignores it
        ("adam", {"kwargs": 1}, "kwargs=1: adam has no such setting"),
        ("adam", {"beta_1": "much"}, "beta_1=much: give a number"),
        ("adam", {"beta_1": None}, "beta_1=null: give a number"),
        ("adam", {"use_ema": "yes"}, "use_ema=yes: give true or false"),
        ("adam", {"amsgrad": 1}, "amsgrad=1: give true or false"),
        ("adam", {"clipnorm": 0.0}, "clipnorm=0.0: give a number, above 0, or null"),
        ("adam", {"clipvalue": -1}, "clipvalue=-1: give a number, above 0, or null"),
        ("adam", {"loss_scale_factor": 0}, "loss_scale_factor=0: give a number, above 0, or null"),
        ("adam", {"gradient_accumulation_steps": 1}, "give a whole number, at least 2, or null"),
        ("adam", {"gradient_accumulation_steps": 2.5}, "give a whole number, at least 2, or null"),
        ("adam", {"use_ema": True, "ema_overwrite_frequency": 0}, "give a whole number, at least 1, or null"),
        ("muon", {"ns_steps": 1.5}, "ns_steps=1.5: give a whole number, at least 1"),
        ("muon", {"exclude_layers": "hidden"}, "exclude_layers=hidden: give a list, each a text, or null"),
        ("adam", {"ema_momentum": 0.9}, "does nothing without use_ema; give training.optimizer_settings.use_ema too"),
        ("sgd", {"nesterov": True}, "nesterov=true: does nothing without momentum"),
        ("adam", {"clipnorm": 1.0, "clipvalue": 1.0}, "Only one of `clipnorm`"),
        ("adam", {"use_ema": True, "ema_momentum": 2.0}, "`ema_momentum` must be in the range"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_keras_would_ignore_or_fail_on_are_refused(name, settings, message):
    with pytest.raises(RequestError, match=message) as raised:
        optimizers.build(name, settings, np.array([0.1]))
    assert str(raised.value).startswith("training.optimizer")
    assert "\n" not in str(raised.value)


def test_every_argument_of_every_optimizer_is_known_before_keras_is_imported():
    assert OWN.keys() == set(OPTIMIZERS)
    for name, own in OWN.items():
        kind = lazy.BY_NAME.get(name)
        known = optimizers.arguments(kind or type(keras.optimizers.get(name)))
        assert sorted(own if kind else (*SHARED, *own)) == sorted(known), name
