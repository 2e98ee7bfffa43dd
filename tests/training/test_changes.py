"""What methods learn of their ids while training, and rows that change between two steps."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from test_checkpoint import ADAM, RATINGS, check_equal
from test_hooks import DIM, prepared
from test_trainer import TRAINING, Silent, build, interactions

from bench.embeddings.base import Array, Change, Kind, Rows, Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.cafe import CAFE, CAFESettings
from bench.embeddings.methods.full import Full
from bench.training import arrays
from bench.training.changes import Changes
from bench.training.trainer import Trainer

SGD = {"optimizer": "sgd", "optimizer_settings": {}, "learning_rate": 0.05}


@pytest.fixture(params=["deferred", "flat", "whole"])
def updates(request, monkeypatch):
    """Tables updated by rows, as a part of the flat vector, and whole."""
    monkeypatch.setattr("bench.training.layers.LARGE", 0)
    monkeypatch.setattr(arrays, "LARGE", 0 if request.param == "whole" else 10_000)
    return "deferred" if request.param == "deferred" else "dense"


@pytest.fixture
def chunks(monkeypatch):
    """Chunks of ten batches of 16."""
    monkeypatch.setattr("bench.training.batches.CHUNK_EXAMPLES", 160)


class Scored(Full):
    """Counts how much its ids matter."""

    def weights(self):
        return (
            Array("scores", (self.vocabulary.size, 1), initializer="zeros", kind=Kind.OTHER, trainable=False),
        )

    def counter(self):
        return "scores"

    def lookups(self, ids, maps, xp):
        rows = super().lookups(ids, maps, xp)["table"]
        return {"table": rows, "scores": rows}


class Replaced(Full):
    """Two rows become copies of others in the middle of the epoch."""

    def is_due(self, progress):
        return progress.passed(2) and progress.share < 1

    def change(self, progress, arrays, rng):
        return Change({}, rows={"table": Rows(np.array([0, 3]), copied=np.array([1, 2]))})


class Moved(Full):
    """Every id reads row 0 from the first chunk on."""

    def maps(self):
        return (Array("row", (self.vocabulary.size,), "int32", kind=Kind.MAPS),)

    def build_maps(self):
        return {"row": np.arange(self.vocabulary.size, dtype=np.int32)}

    def lookups(self, ids, maps, xp):
        return {"table": xp.take(maps["row"], ids, axis=0)}

    def is_due(self, progress):
        return progress.previous == 0

    def change(self, progress, arrays, rng):
        rest = np.arange(1, self.vocabulary.size)
        return Change({}, rows={"row": Rows(rest, np.zeros(len(rest), np.int32))})


def expected_scores(data, batches, tables):
    """By hand, of a dot product with tables that do not move."""
    scores = {name: np.zeros(len(table)) for name, table in tables.items()}
    for chunk in batches.epoch(1):
        for step in range(chunk.steps):
            count = chunk.arrays["counts"][step]
            ids = {name: chunk.arrays["ids"][name][step, :count] for name in tables}
            p, q = (tables[name][ids[name]].astype(np.float64) for name in ("user", "item"))
            s = 1 / (1 + np.exp(-(p * q).sum(1)))
            slope = 2 * (5 * s - chunk.arrays["labels"][step, :count]) * 5 * s * (1 - s)
            for name, other in (("user", q), ("item", p)):
                norms = np.abs(slope) * np.linalg.norm(other, axis=1)
                np.add.at(scores[name], ids[name], norms / norms.mean())
    return scores


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_scores_against_plain_numpy_with_a_last_batch_that_is_not_full(updates, jit):
    data = interactions(70)
    run, layers = prepared(
        Scored, data, epochs=1, table_updates=updates, jit=jit, **{**SGD, "learning_rate": 1e-12}
    )
    tables = {name: layer.table_variables["table"].numpy() for name, layer in layers.items()}
    expected = expected_scores(data, run.batches, tables)
    run.fit(Silent())
    for name, layer in layers.items():
        found = layer.arrays("scores")["scores"][:, 0]
        np.testing.assert_allclose(found, expected[name], rtol=2e-4)
        assert found.sum() == pytest.approx(70, rel=1e-5)  # one a look-up
        assert ((found > 0) == (np.bincount(data.train.ids[name], minlength=len(found)) > 0)).all()


def test_scores_of_repeated_ids_and_of_no_gradient():
    """Ids [0, 0, 1] with gradients of norms [1, 1, 4], then none at all."""
    loop = prepared(Scored, interactions(40))[0].loop
    key, layer = next(iter(loop.layers.items()))
    gradient = np.zeros((4, DIM), np.float32)
    gradient[:3, 0] = [1, -1, 4]
    batch = {"counts": np.int32(3), "indices": {key: {"scores": np.array([0, 0, 1, 5], np.int32)}}}
    loop.counters = {key: "scores"}
    for factor in (1.0, 0.0):
        loop._count(batch, {key: factor * gradient})
        np.testing.assert_allclose(layer.arrays("scores")["scores"][:6, 0], [1, 2, 0, 0, 0, 0])


@pytest.mark.parametrize("momentum", [pytest.param(0.0, marks=pytest.mark.slow), 0.9])
def test_rows_that_change_begin_with_new_moments(updates, chunks, momentum):
    settings = {**SGD, "optimizer_settings": {"momentum": momentum}} if momentum else SGD
    data = interactions(320)
    run, layers = prepared(Replaced, data, epochs=1, table_updates=updates, **settings)
    run.fit(Silent())
    reference, of_reference = prepared(Full, data, epochs=1, table_updates="dense", **settings)
    first, second = reference.batches.epoch(1)
    reference.loop.run(first)
    reference.loop.settle()
    for layer in of_reference.values():
        variable = layer.table_variables["table"]
        table = variable.numpy()
        table[[0, 3]] = table[[1, 2]]
        variable.assign(table)
        whole = reference.loop.whole
        whole.adopt([variable], reset_moments=False)
        for number, held in enumerate(whole.held if momentum else ()):
            moment = whole.optimizer.momentums[number]
            value = moment.numpy()
            if held is variable:
                value[[0, 3]] = 0
            elif held is whole.vector and any(v is variable for v in whole.small):
                place = next(i for i, v in enumerate(whole.small) if v is variable)
                start = sum(whole.sizes[:place])
                value[start : start + DIM] = 0
                value[start + 3 * DIM : start + 4 * DIM] = 0
            moment.assign(value)
    reference.loop.run(second)
    reference.loop.settle()
    for one, other in zip(layers.values(), of_reference.values(), strict=True):
        np.testing.assert_allclose(one.arrays()["table"], other.arrays()["table"], atol=1e-6)


def test_a_change_of_some_rows_settles_nothing(chunks, monkeypatch):
    monkeypatch.setattr("bench.training.layers.LARGE", 0)
    run, _ = prepared(Replaced, interactions(320), epochs=1)
    settled = []
    settle = run.loop.settle
    monkeypatch.setattr(run.loop, "settle", lambda reset=False: settled.append(reset) or settle(reset))
    run.fit(Silent())
    assert run.changes.progress.step == 20 and True not in settled


def test_maps_that_change_within_an_epoch(updates, chunks):
    data = interactions(480)
    run, layers = prepared(Moved, data, epochs=1, table_updates=updates, **SGD)
    tables = []

    class Listener(Silent):
        def chunk(self, *_):
            run.loop.settle()
            tables.append([layer.table_variables["table"].numpy() for layer in layers.values()])

    run.fit(Listener())
    for first, second, third in zip(*tables, strict=True):
        np.testing.assert_array_equal(first[1:], second[1:])
        np.testing.assert_array_equal(second[1:], third[1:])
        assert np.abs(second[0] - first[0]).max() > 1e-4
    assert np.ptp(run.predictions) == 0


LAZY = [{"optimizer": "lazy_adam"}, {"optimizer": "rowwise_adagrad"}]
OTHERS = [
    (method, training) for method in ("cafe", "adaembed") for training in ({"table_updates": "dense"}, *LAZY)
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "training"), [("cafe", {}), *OTHERS], ids=str)
def test_a_killed_run_goes_on_to_equal_digits(chunks, monkeypatch, tmp_path, method, training):
    monkeypatch.setattr("bench.training.layers.LARGE", 0)
    made = []

    def trainer():
        model = build(RATINGS, (method, method))
        made.append(
            Trainer(model, RATINGS, replace(TRAINING, **{**ADAM, "batch_size": 16, **training}), seed=3)
        )
        return made[-1]

    check_equal(trainer, tmp_path / "state")
    for layer in made[0].loop.layers.values():
        found = layer.arrays()
        assert (found["scores"] > 0).any() and (found["row_of"] >= 0).sum() == layer.method.num_hot


def test_what_is_learned_is_who_is_read(chunks):
    """The ids that cafe finds are most of those that are read most."""
    data = interactions(4000)
    made = {}

    def method(vocabulary, dim):
        made[vocabulary.name] = CAFE(vocabulary, dim, CAFESettings(num_hot=10, num_cold=5))
        return made[vocabulary.name]

    run, layers = prepared(method, data, epochs=1, **SGD)
    run.fit(Silent())
    for name, layer in layers.items():
        hot = set(np.flatnonzero(layer.arrays()["row_of"] >= 0))
        most = set(np.argsort(-data.fields[name].counts, kind="stable")[:10])
        assert len(hot) == 10 and len(hot & most) >= 7


class Drawing(Full):
    """Draws a number at each change, and changes nothing."""

    drawn: ClassVar[list[float]] = []

    def is_due(self, progress):
        return True

    def change(self, progress, arrays, rng):
        self.drawn.append(float(rng.random()))
        return Change({})


class Nothing:
    """A loop that nothing is changed in."""

    def adopt(self, changed, reset_moments):
        assert not changed


def draws(seed, names=("user", "item"), epochs=2):
    """What the layers draw at the end of each epoch, one after the other."""
    layers = {name: CompressedEmbedding(Drawing(Vocabulary(name, 5), 2)) for name in names}
    for layer in layers.values():
        layer(np.array([0]))
    Drawing.drawn.clear()
    changes = Changes(layers, {name: {} for name in names}, Nothing(), lambda: None, (epochs, 10), seed)
    for epoch in range(1, epochs + 1):
        changes.make(changes.due(epoch, 0))
    return [*Drawing.drawn]


def test_draws_of_changes_depend_on_seed_layer_and_step():
    first = draws(3)
    assert draws(3) == first and len({*first, *draws(4)}) == 8
