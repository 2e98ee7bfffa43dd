"""Training with one method for several fields, beside training with a method a field."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from bench import models
from bench.config import compose
from bench.data.interactions import Field, Interactions, Part
from bench.embeddings import find
from bench.embeddings.layer import CompressedEmbedding
from bench.models.fields import by_field, joined
from bench.training.lookup import time_lookup
from bench.training.trainer import Trainer

SIZES = {"user": 90, "item": 40, "shop": 15}


class Silent:
    def chunk(self, *_):
        pass

    def epoch(self, *_):
        pass


def interactions(fields=("user", "item"), rows=4000):
    rng = np.random.default_rng(0)

    def some(n):
        ids = {name: (SIZES[name] * rng.random(n) ** 3).astype(np.int32) for name in fields}
        return Part(ids, rng.integers(1, 6, n).astype(np.float32))

    train = some(rows)
    known = {
        name: Field(name, SIZES[name], np.bincount(train.ids[name], minlength=SIZES[name])) for name in fields
    }
    return Interactions("made", known, train, some(0), some(300), (1.0, 5.0), "item", "digest")


def trained(data, groups, tables, model=("model=dot",), method="full", **training):
    """Trains with a table a group, which starts as the tables of its fields; gives the trainer and the layers."""
    layers = {}
    for group in groups:
        vocabulary = joined(data, group)
        layer = layers[vocabulary.name] = CompressedEmbedding(find(method)(vocabulary, 6), seed=0,
                                                              name=f"{vocabulary.name}_embedding")  # fmt: skip
        layer.build()
        if method == "full":
            layer.set_arrays({"table": np.concatenate([tables[name] for name in group])})
    keras.utils.set_random_seed(0)  # of the network
    made = models.build(compose(model).model, by_field(layers, data.fields), data.label_range)
    settings = replace(compose([]).training, batch_size=16, epochs=2, progress=False, **training)
    trainer = Trainer(made, data, settings, 0)
    trainer.fit(Silent())
    return trainer, layers


def both(fields, group, model, **training):
    data, rng = interactions(fields), np.random.default_rng(1)
    tables = {name: rng.uniform(-0.05, 0.05, (SIZES[name], 6)).astype(np.float32) for name in fields}
    apart, own = trained(data, [[name] for name in fields], tables, model, **training)
    rest = [[name] for name in fields if name not in group]
    shared, one = trained(data, [group, *rest], tables, model, **training)
    assert apart.loop.step == shared.loop.step == 500
    vocabulary = joined(data, group)
    table = one[vocabulary.name].arrays()["table"]
    assert not np.array_equal(table, np.concatenate([tables[name] for name in group]))
    np.testing.assert_array_equal(table, np.concatenate([own[name].arrays()["table"] for name in group]))
    np.testing.assert_array_equal(shared.predictions, apart.predictions)
    return shared, one


@pytest.fixture
def by_rows(monkeypatch):
    """Every table counts as large, so that small ones are updated by rows too."""
    monkeypatch.setattr("bench.training.layers.LARGE", 0)


def test_a_full_table_for_two_fields_is_the_tables_of_both(by_rows):
    shared, layers = both(("user", "item"), ["user", "item"], ("model=dot",), jit=False)
    assert shared.updates_by_field() == {"user": "deferred", "item": "deferred"}
    assert time_lookup(layers, shared.data.evaluation, 8, jit=False) > 0


@pytest.mark.slow
@pytest.mark.parametrize("updates", ["deferred", "dense"])
@pytest.mark.parametrize("group", [["user", "item", "shop"], ["user", "shop"]])
def test_a_full_table_for_fields_of_a_network(by_rows, group, updates):
    network = ("dataset=synthetic_ctr", "model=dlrm", "model.hidden_units=[8]")
    both(("user", "item", "shop"), group, network, table_updates=updates)


def test_an_id_in_two_fields_of_a_row_is_updated_once_with_both_gradients(by_rows):
    """Two fields whose ids all meet in one row: the update is that of the sum of both gradients."""
    data = interactions()
    _, layers = trained(data, [["user", "item"]], {}, method="hash", jit=False, optimizer="sgd")
    del layers
    settings = find("hash").Settings(num_rows=1)
    method = find("hash")(joined(data, ["user", "item"]), 2, settings)
    layer = CompressedEmbedding(method, name="user-item_embedding")
    layer.build()
    start = np.array([[0.3, -0.2]], np.float32)
    layer.set_arrays({"table": start})
    made = models.build(compose([]).model, by_field({"both": layer}, data.fields), None)
    training = replace(
        compose([]).training, batch_size=1, epochs=1, optimizer="sgd", learning_rate=0.1, jit=False
    )
    run = Trainer(made, data.training_on(1), training, 0)
    run.fit(Silent())
    score, label = float(start[0] @ start[0]), float(data.train.labels[0])
    gradient = 2 * (score - label) * 2 * start  # of (u . v - label)^2 with u = v
    np.testing.assert_allclose(layer.arrays()["table"], start - 0.1 * gradient, rtol=1e-5)
