"""What methods may do while training: change arrays between steps, add to the loss, read what is not trained, serve in
another form."""

from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
from test_trainer import TRAINING, Silent, interactions

from bench import models
from bench.config import compose
from bench.embeddings.base import Array, Change, Kind, Method, Vocabulary, int32
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.full import Full
from bench.training import arrays, serving
from bench.training.trainer import Trainer

DIM = 6
MOMENTUM = {"optimizer": "sgd", "optimizer_settings": {"momentum": 0.9}, "learning_rate": 0.05}


class Halved(Full):
    """Halves its table when the first epoch ends."""

    reset = False

    def is_due(self, progress):
        return progress.epoch_ended and progress.epoch == 1

    def change(self, progress, arrays, rng):
        assert (progress.step, progress.steps, progress.epochs) == (63, 126, 2)
        return Change({"table": arrays["table"] / 2}, reset_moments=self.reset)


class Restarted(Halved):
    """The same, and its moments start anew."""

    reset = True


class Moved(Full):
    """Every id reads row 0 from the second epoch on."""

    def maps(self):
        return (Array("row", (self.vocabulary.size,), "int32", kind=Kind.MAPS),)

    def build_maps(self):
        return {"row": np.arange(self.vocabulary.size, dtype=np.int32)}

    def lookups(self, ids, maps, xp):
        return {"table": xp.take(maps["row"], int32(ids, xp), axis=0)}

    def is_due(self, progress):
        return progress.epoch_ended and progress.epoch < 2

    def change(self, progress, arrays, rng):
        return Change({"row": np.zeros_like(arrays["row"])})


class Penalized(Full):
    """Adds the squares of the rows that a batch reads."""

    def penalty(self, rows, indices, weights, xp):
        return xp.sum(xp.square(rows["table"]))


class Masked(Full):
    """Numbers of the vectors that a table of masks takes away: all of every second id's."""

    def tables(self):
        return (*super().tables(), Array("gone", (self.vocabulary.size, self.embedding_dim), "uint8"))

    def lookups(self, ids, maps, xp):
        rows = super().lookups(ids, maps, xp)["table"]
        return {"table": rows, "gone": rows}

    def combine(self, rows, indices, weights, xp, training):
        return xp.where(rows["gone"] > 0, 0.0, rows["table"])


@dataclass
class NoSettings:
    """There are none."""


class Whole(Method[NoSettings]):
    """A table of whole numbers."""

    Settings = NoSettings

    def resolve(self, settings):
        return settings

    def tables(self):
        return (Array("codes", (self.vocabulary.size, self.embedding_dim), "int8", kind=Kind.CODES),)

    def lookups(self, ids, maps, xp):
        return {"codes": int32(ids, xp)}

    def combine(self, rows, indices, weights, xp, training):
        return rows["codes"].astype(np.float32) if xp is np else xp.cast(rows["codes"], "float32")

    @classmethod
    def fit(cls, vocabulary, embedding_dim, settings, budget_bytes):
        return settings


class ServedWhole(Full):
    """Trains a full table, serves its numbers rounded to whole ones."""

    def served(self):
        return Whole(self.vocabulary, self.embedding_dim)

    def serve(self, arrays, rng):
        return {"codes": np.round(arrays["table"]).astype(np.int8)}


@pytest.fixture(params=["deferred", pytest.param("dense", marks=pytest.mark.slow)])
def updates(request, monkeypatch):
    """Tables of any size updated by rows, and all updated whole."""
    if request.param == "deferred":
        monkeypatch.setattr("bench.training.layers.LARGE", 0)
    monkeypatch.setattr(arrays, "LARGE", 300)  # of 540 and 240 numbers, one in the flat vector, one apart
    return request.param


def prepared(method, data, model="dot", **training):
    keras.utils.set_random_seed(0)
    layers = {
        name: CompressedEmbedding(
            method(Vocabulary(name, f.size, f.counts), DIM), seed=0, name=f"{name}_embedding"
        )
        for name, f in data.fields.items()
    }
    made = models.build(compose([f"model={model}"]).model, layers, data.label_range)
    settings = replace(TRAINING, **{"batch_size": 16, "epochs": 2, "jit": False, **MOMENTUM, **training})
    return Trainer(made, data, settings, seed=0), layers


def tables(layers):
    return [layer.table_variables["table"].numpy() for layer in layers.values()]


@pytest.mark.parametrize("method", [Halved, Restarted])
def test_a_table_that_changes_after_an_epoch(updates, method):
    data = interactions(1000)
    run, layers = prepared(method, data, table_updates=updates)
    run.fit(Silent())
    # The same by hand: an epoch, half the weights, another epoch, with or without the momentum of the first.
    reference, of_reference = prepared(Full, data, table_updates="dense")
    for chunk in reference.batches.epoch(1):
        reference.loop.run(chunk)
    reference.loop.settle(reset=True)
    variables = [layer.table_variables["table"] for layer in of_reference.values()]
    for variable in variables:
        variable.assign(variable.numpy() / 2)
    if method.reset:
        fresh, of_fresh = prepared(Full, data, table_updates="dense")
        for layer, variable in zip(of_fresh.values(), variables, strict=True):
            layer.table_variables["table"].assign(variable)
        fresh.loop.adopt([layer.table_variables["table"] for layer in of_fresh.values()], reset_moments=False)
        reference, of_reference = fresh, of_fresh
    else:
        reference.loop.adopt(variables, reset_moments=False)
    for chunk in reference.batches.epoch(2):
        reference.loop.run(chunk)
    reference.loop.settle()
    for one, other in zip(tables(layers), tables(of_reference), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_is_due_is_told_of_the_step_when_it_was_asked_before(monkeypatch):
    monkeypatch.setattr("bench.training.batches.CHUNK_EXAMPLES", 16 * 25)
    asked = []

    class Asked(Full):
        def is_due(self, progress):
            if self.vocabulary.name == "user":
                asked.append((progress.previous, progress.step))
            return False

    prepared(Asked, interactions(1000))[0].fit(Silent())  # 63 steps an epoch, in chunks of 25
    assert asked == [(0, 25), (25, 50), (50, 63), (63, 88), (88, 113), (113, 126)]


def test_moments_that_start_anew_make_a_difference():
    data = interactions(1000)
    runs = [prepared(method, data) for method in (Halved, Restarted)]
    for run, _ in runs:
        run.fit(Silent())
    assert np.abs(tables(runs[0][1])[0] - tables(runs[1][1])[0]).max() > 1e-3


def test_maps_that_change_after_an_epoch(updates):
    data = interactions(1000)
    run, layers = prepared(Moved, data, optimizer_settings={}, table_updates=updates)
    after_one = []

    class Listener(Silent):
        def epoch(self, *_):
            after_one.append(tables(layers))

    run.fit(Listener())
    for before, after in zip(*after_one, strict=True):
        assert np.abs(after[0] - before[0]).max() > 1e-4
        np.testing.assert_array_equal(after[1:], before[1:])
    part = data.evaluation
    predictions = run.predict(part)
    assert np.ptp(predictions) == 0


def test_a_penalty_is_part_of_the_gradient_and_not_of_the_loss(updates):
    data = interactions(16)
    found = []
    for method in (Full, Penalized):
        run, layers = prepared(method, data, epochs=1, optimizer_settings={}, table_updates=updates)
        before = tables(layers)
        history = run.fit(Silent())
        found.append((tables(layers), history.epochs[0]["train_loss"]))
    (plain, loss), (penalized, same) = found
    assert loss == same
    for number, (name, field) in enumerate(data.fields.items()):
        read = np.bincount(data.train.ids[name], minlength=field.size)[:, None]
        expected = plain[number] - 0.05 * 2 * before[number] * read
        np.testing.assert_allclose(penalized[number], expected, atol=1e-6)


def test_tables_that_are_not_trained_are_read_too(updates):
    data = interactions(500)
    run, layers = prepared(Masked, data, table_updates=updates)
    gone = {}
    for name, layer in layers.items():
        mask = np.zeros(layer.table_variables["gone"].shape, np.uint8)
        mask[::2] = 1
        layer.set_arrays({"gone": mask})
        gone[name] = mask
    before = tables(layers)
    run.fit(Silent())
    for (name, layer), start in zip(layers.items(), before, strict=True):
        np.testing.assert_array_equal(layer.table_variables["gone"].numpy(), gone[name])
        moved = np.abs(layer.table_variables["table"].numpy() - start).max(axis=1)
        assert moved[::2].max() == 0 and moved[1] > 1e-4
    assert serving.sizes(run.model, layers, {})["params_embedding"] == DIM * (90 + 40)


@pytest.mark.parametrize("model", ["dot", "dot_bias", "neumf"])
def test_what_serves_is_evaluated(model):
    data = interactions(1000, validation=50)
    run, layers = prepared(ServedWhole, data, model=model)
    for layer in layers.values():
        layer.table_variables["table"].assign(
            np.random.default_rng(1).normal(0, 2, layer.table_variables["table"].shape)
        )
    run.loop.adopt(list(run.model.trainable_variables), reset_moments=False)
    history = run.fit(Silent())
    trained, of_training = dict(history.epochs[-1]), run.model
    spec = compose([f"model={model}"]).model
    made, served = serving.to_served(
        run.model, layers, lambda ls: models.build(spec, ls, data.label_range), seed=0
    )
    run.evaluate_served(made, history)
    assert len(history.epochs) == 2 and history.epochs[0] != history.epochs[1]
    for layer in layers.values():  # the trained model with the very numbers that serve
        layer.table_variables["table"].assign(np.round(layer.table_variables["table"].numpy()))
    expected = np.asarray(of_training(dict(data.evaluation.ids)))
    assert history.epochs[-1]["val_mae"] == pytest.approx(
        np.abs(expected - data.evaluation.labels).mean(), rel=1e-5
    )
    assert history.epochs[-1]["validation_mae"] != trained["validation_mae"]
    assert history.epochs[-1]["train_loss"] == trained["train_loss"]
    others = sum(v.numpy().nbytes for v in of_training.variables if "embedding" not in v.path)
    sizes = serving.sizes(of_training, layers, {})
    assert sizes["model_bytes"] == DIM * (90 + 40) + others
    assert sizes["params_total"] == sum(v.numpy().size for v in of_training.trainable_variables)
    assert run.model is made
    assert all(layer.form.name() != "full" for layer in served.values())


def test_what_is_trained_serves_itself_where_there_is_no_other_form():
    run, layers = prepared(Full, interactions(100))
    made, served = serving.to_served(run.model, layers, lambda _: None, seed=0)
    assert made is run.model and served == layers
