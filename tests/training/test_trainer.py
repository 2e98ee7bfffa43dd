"""The compiled loop against Keras's own optimizer, plain NumPy, and itself without XLA."""

import contextlib
from dataclasses import replace

import keras
import numpy as np
import pytest
from marks import slow_but

from bench import models
from bench.config import compose
from bench.data.interactions import Field, Interactions, Part
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.errors import Interrupted, RunFailed, interrupt
from bench.training import arrays
from bench.training.trainer import Trainer

TRAINING = compose([]).training


class Silent:
    def chunk(self, *_):
        pass

    def epoch(self, *_):
        pass


def interactions(rows=4000, users=90, items=40, seed=0, validation=0):
    """Ratings with heavy repeats (popular ids) and long gaps (rare ones)."""
    rng = np.random.default_rng(seed)

    def some(n):
        ids = {
            "user": (users * rng.random(n) ** 3).astype(np.int32),
            "item": (items * rng.random(n) ** 4).astype(np.int32),
        }
        return Part(ids, rng.integers(1, 6, n).astype(np.float32))

    train = some(rows)
    fields = {
        name: Field(name, size, np.bincount(train.ids[name], minlength=size))
        for name, size in (("user", users), ("item", items))
    }
    return Interactions("made", fields, train, some(validation), some(300), (1.0, 5.0), "item", "digest")


def build(data, methods=("full", "full"), model="dot", dim=6, **settings):
    keras.utils.set_random_seed(0)
    layers = {}
    for (name, field), method in zip(data.fields.items(), methods, strict=True):
        chosen = find(method)(Vocabulary(name, field.size, field.counts), dim)
        layers[name] = CompressedEmbedding(chosen, seed=0, name=f"{name}_embedding")
    given = [f"model.{setting}={value}" for setting, value in settings.items()]
    return models.build(compose([f"model={model}", *given]).model, layers, data.label_range)


@pytest.fixture
def by_rows(monkeypatch):
    """Every table counts as large, so that small ones are updated by rows too."""
    monkeypatch.setattr("bench.training.layers.LARGE", 0)
    monkeypatch.setattr(arrays, "LARGE", 100)


def trained(data, methods=("full", "full"), model="dot", seed=0, **training):
    made = build(data, methods, model)
    run = Trainer(made, data, replace(TRAINING, batch_size=16, epochs=2, **training), seed)
    history = run.fit(Silent())
    return {v.path: v.numpy() for v in made.variables}, history, run


def assert_close(one, other, tolerance):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(
    ("optimizer", "methods"),
    [
        pytest.param("adam", ("full", "full"), marks=pytest.mark.slow),
        ("adam", ("qr", "md")),
        pytest.param("sgd", ("full", "full"), marks=pytest.mark.slow),
        pytest.param("adagrad", ("full", "full"), marks=pytest.mark.slow),
        pytest.param("rmsprop", ("full", "full"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_deferred_rows_give_the_dense_optimizers_weights(by_rows, optimizer, methods):
    data = interactions()
    settings = {"momentum": 0.9} if optimizer == "sgd" else {}
    # XLA for the default alone: it compiles for seconds, and gives the same as the loop without it.
    choice = {"optimizer": optimizer, "optimizer_settings": settings, "jit": optimizer == "adam"}
    rows, history, run = trained(data, methods, **choice)
    dense, reference, _ = trained(data, methods, table_updates="dense", **choice)
    assert run.updates_by_field() == {"user": "deferred", "item": "deferred"}
    assert run.loop.step == 500
    assert_close(rows, dense, 2e-5)
    for one, other in zip(history.epochs, reference.epochs, strict=True):
        assert one["val_mae"] == pytest.approx(other["val_mae"], abs=1e-5)
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("updates", ["deferred", "dense"])
def test_without_xla_the_losses_are_the_same(by_rows, updates):
    data = interactions(1000)
    one, first, _ = trained(data, ("qr", "full"), table_updates=updates)
    other, second, _ = trained(data, ("qr", "full"), table_updates=updates, jit=False)
    assert_close(one, other, 1e-5)
    assert first.epochs[-1]["train_loss"] == pytest.approx(second.epochs[-1]["train_loss"], abs=1e-6)


def test_sgd_against_plain_numpy_with_a_last_batch_that_is_not_full(by_rows):
    data = interactions(70)
    made = build(data)
    run = Trainer(
        made, data, replace(TRAINING, batch_size=16, epochs=1, optimizer="sgd", learning_rate=0.5), seed=4
    )
    tables = {name: made.get_layer(f"{name}_embedding").table_variables["table"] for name in data.fields}
    expected = {name: table.numpy().astype(np.float64) for name, table in tables.items()}
    losses = []
    for chunk in run.batches.epoch(1):
        for step in range(chunk.steps):
            count = chunk.arrays["counts"][step]
            u, i = (chunk.arrays["ids"][name][step, :count] for name in ("user", "item"))
            labels = chunk.arrays["labels"][step, :count]
            p, q = expected["user"][u], expected["item"][i]
            s = 1 / (1 + np.exp(-(p * q).sum(1)))
            losses.extend(((5 * s - labels) ** 2).tolist())
            slope = (2 * (5 * s - labels) * 5 * s * (1 - s) / count)[:, None]
            np.add.at(expected["user"], u, -0.5 * slope * q)
            np.add.at(expected["item"], i, -0.5 * slope * p)
    history = run.fit(Silent())
    assert len(losses) == 70
    assert history.epochs[0]["train_loss"] == pytest.approx(np.mean(losses), abs=1e-6)
    for name, table in tables.items():
        np.testing.assert_allclose(table.numpy(), expected[name], rtol=0, atol=1e-6)
    predictions = 5 / (1 + np.exp(-(expected["user"][data.evaluation.ids["user"]]
                                    * expected["item"][data.evaluation.ids["item"]]).sum(1)))  # fmt: skip
    error = predictions - data.evaluation.labels
    assert history.epochs[0]["val_mae"] == pytest.approx(np.abs(error).mean(), abs=1e-6)
    assert history.epochs[0]["val_rmse"] == pytest.approx(np.sqrt((error**2).mean()), abs=1e-6)


@pytest.mark.parametrize("optimizer", slow_but(["nadam"], ["adamw", "adafactor", "nadam"]))
def test_an_optimizer_without_a_form_for_rows_trains_dense(by_rows, optimizer):
    data = interactions(600)
    before = {v.path: v.numpy() for v in build(data).variables}
    after, history, run = trained(data, optimizer=optimizer, jit=False)
    assert run.table_updates == "dense"
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]
    assert any(np.abs(after[name] - before[name]).max() > 1e-5 for name in before)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dot_bias", "neumf"])
def test_other_models_train_the_same_by_rows_and_dense(by_rows, model):
    data = interactions(800)
    rows, history, run = trained(data, ("qr", "md"), model, jit=False)
    dense, _, _ = trained(data, ("qr", "md"), model, table_updates="dense", jit=False)
    assert run.updates_by_field() == {"user": "deferred", "item": "deferred"}
    assert_close(rows, dense, 2e-5)
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]


def test_dropout_draws_anew_in_every_step(by_rows):
    data = interactions(200)
    made = build(data, model="neumf", dropout=0.5)
    run = Trainer(made, data, replace(TRAINING, batch_size=16, epochs=1, jit=False), seed=0)
    before = [v.numpy().copy() for v in made.non_trainable_variables if "seed" in v.path]
    run.fit(Silent())
    after = [v.numpy() for v in made.non_trainable_variables if "seed" in v.path]
    assert before
    assert all((x != y).any() for x, y in zip(before, after, strict=True))


@pytest.mark.parametrize("updates", ["deferred", "dense"])
def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step(by_rows, updates):
    data = interactions(800)
    data.train.labels[:] = np.float32(3)
    data.train.labels[5] = np.nan
    run = Trainer(
        build(data), data, replace(TRAINING, batch_size=16, table_updates=updates, jit=False), seed=0
    )
    place = next(
        step + 1
        for chunk in run.batches.epoch(1)
        for step in range(chunk.steps)
        if np.isnan(chunk.arrays["labels"][step]).any()
    )
    with pytest.raises(RunFailed, match=f"loss became nan at step {place} of epoch 1;"):
        run.fit(Silent())


def test_early_stopping_looks_at_validation_rows_alone(by_rows):
    data = interactions(400, validation=100)
    stopping = replace(
        TRAINING.early_stopping, patience=2, min_delta=100.0
    )  # nothing is ever that much better
    run = Trainer(build(data), data, replace(TRAINING, epochs=9, jit=False, early_stopping=stopping), seed=0)
    history = run.fit(Silent())
    assert len(history.epochs) == 3
    assert all({"validation_loss", "validation_mae"} <= epoch.keys() for epoch in history.epochs)


@pytest.mark.slow
def test_equal_seeds_give_equal_numbers_and_others_do_not(by_rows):
    data = interactions(600)
    one, first, _ = trained(data, seed=1, jit=False)
    same, again, _ = trained(data, seed=1, jit=False)
    other, _, _ = trained(data, seed=2, jit=False)
    assert_close(one, same, 0.0)
    assert first.epochs == again.epochs
    assert any((one[name] != other[name]).any() for name in one)


def test_memory_of_the_optimizer_is_counted(by_rows):
    data = interactions(100)
    _, _, run = trained(data, jit=False)
    # weights, m and v side by side and a clock, for each row
    assert run.optimizer_bytes - run.loop.whole.nbytes == (90 + 40) * (3 * 6 + 1) * 4


def test_a_layer_that_is_called_twice_in_a_step_is_refused(by_rows):
    data = interactions(100)
    layers = {
        name: CompressedEmbedding(
            find("full")(Vocabulary(name, field.size, field.counts), 4), name=name + "_e"
        )
        for name, field in data.fields.items()
    }
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in data.fields}
    u, v, again = (
        layers["user"](inputs["user"]),
        layers["item"](inputs["item"]),
        layers["item"](inputs["item"]),
    )
    made = keras.Model(inputs, keras.ops.sum(u * v + again, axis=-1))
    with pytest.raises(ValueError, match=r"item_e.*called 2 times"):
        Trainer(made, data, replace(TRAINING, batch_size=16, jit=False), seed=0).fit(Silent())


def test_no_training_goes_on_after_a_signal_that_a_library_passed_over():
    with contextlib.suppress(KeyboardInterrupt):
        interrupt(15)
    with pytest.raises(Interrupted):
        trained(interactions(rows=64), jit=False)
