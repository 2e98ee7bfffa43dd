"""Models of clicks: by hand in NumPy, their published numbers of parameters, and batch normalization."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench import models
from bench.config.typed import Choice
from bench.embeddings import FullEmbedding, QREmbedding
from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import embedding_layers
from bench.errors import RequestError
from bench.models import build, read
from bench.models.layers import BatchNorm, counted_rows

DIM = 4
SIZES = {"user": 7, "item": 5, "day": 3}
IDS = {
    "user": np.array([0, 6, 3, 3], np.int32),
    "item": np.array([4, 0, 2, 1], np.int32),
    "day": np.array([0, 2, 1, 1], np.int32),
}
X = np.random.default_rng(5).normal(size=(4, 2)).astype(np.float32)
NET = {"hidden_units": [6, 5]}


def fields(dim=DIM):
    return {
        "user": QREmbedding(7, dim, field="user", name="user_vectors"),
        **{n: FullEmbedding(SIZES[n], dim, field=n, name=f"{n}_vectors") for n in ("item", "day")},
    }


def made(spec, dense_dim=2, dim=DIM, label_range=None):
    """A model without zeros among its numbers, its vectors, and a function that gives a layer's numbers."""
    keras.utils.set_random_seed(0)
    layers = fields(dim)
    model = build(read(spec), layers, label_range, dense_dim)
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "seed" not in variable.path and variable.dtype == "float32":
            values = rng.normal(size=variable.shape) * 0.5
            variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
    read_ids = {**IDS, **({"dense_columns": X} if dense_dim else {})}
    return model, [layers[n](IDS[n]).numpy() for n in layers], read_ids


def weights(model, layer):
    return [v.numpy() for v in model.get_layer(layer).variables if "seed" not in v.path]


def numeric(model):
    (v,) = weights(model, "numeric_vectors")
    return [X[:, j : j + 1] * v[j] for j in range(2)]


def linear_by_hand(model, vectors, own):
    if not own:
        return (np.concatenate(vectors, axis=1) @ weights(model, "linear")[0])[:, 0]
    tables = sum(weights(model, f"{n}_linear")[0][IDS[n], 0] for n in SIZES)
    return tables + (X @ weights(model, "linear_columns")[0])[:, 0]


def pairs_by_hand(vectors):
    n = len(vectors)
    return sum((vectors[i] * vectors[j]).sum(axis=1) for i in range(n) for j in range(i + 1, n))


def network_by_hand(model, hidden, name="hidden", norm=False):
    for i in range(2):
        kernel, bias = weights(model, f"{name}_{i}")
        hidden = hidden @ kernel + bias
        if norm:
            gamma, beta, mean, variance = weights(model, f"{name}_{i}_norm")
            hidden = gamma * (hidden - mean) / np.sqrt(variance + 1e-5) + beta
        hidden = np.maximum(hidden, 0)
    return hidden


def scored(model, hidden):
    kernel, bias = weights(model, "score")
    return (hidden @ kernel + bias)[:, 0]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)


def test_lr_by_hand():
    model, v, ids = made({"name": "lr"}, dim=1)
    expected = sum(v)[:, 0] + (X @ weights(model, "linear_columns")[0])[:, 0] + weights(model, "bias")[0]
    close(model(ids), expected)
    assert (
        models.vector_dim(read({"name": "lr"}), 64) == 1 and models.vector_dim(read({"name": "fm"}), 64) == 64
    )
    with pytest.raises(RequestError, match="model=lr adds up vectors of one number; the field user"):
        made({"name": "lr"})


@pytest.mark.parametrize("linear", ["projected", "own"])
def test_fm_by_hand(linear):
    model, v, ids = made({"name": "fm", "linear": linear})
    v = v + numeric(model)
    close(
        model(ids), linear_by_hand(model, v, linear == "own") + pairs_by_hand(v) + weights(model, "bias")[0]
    )


@pytest.mark.parametrize("linear", ["projected", "own"])
def test_wide_deep_and_deepfm_by_hand(linear):
    for name in ("wide_deep", "deepfm"):
        model, v, ids = made({"name": name, "linear": linear, "batch_norm": True, "dropout": 0.5, **NET})
        v = v + numeric(model)
        expected = linear_by_hand(model, v, linear == "own")
        expected += scored(model, network_by_hand(model, np.concatenate(v, axis=1), norm=True))
        close(model(ids), expected + (pairs_by_hand(v) if name == "deepfm" else 0))


def test_dcn_v2_by_hand():
    for structure in ("parallel", "stacked"):
        model, v, ids = made({"name": "dcn_v2", "structure": structure, "cross_layers": 2, **NET})
        x = first = np.concatenate(v + numeric(model), axis=1)
        for i in range(2):
            kernel, bias = weights(model, f"cross_{i}")
            x = first * (x @ kernel + bias) + x
        if structure == "parallel":
            x = np.concatenate([x, network_by_hand(model, first)], axis=1)
        else:
            x = network_by_hand(model, x)
        close(model(ids), scored(model, x))


@pytest.mark.parametrize("dense_dim", [0, 2])
@pytest.mark.parametrize("interaction", ["dot", "cat"])
def test_dlrm_by_hand(interaction, dense_dim):
    spec = {"name": "dlrm", "interaction": interaction, "bottom_units": [3, 6], **NET}
    model, v, ids = made(spec, dense_dim)
    bottom = []
    if dense_dim:
        kernel, bias = weights(model, "bottom_vector")
        bottom = [np.maximum(network_by_hand(model, X, "bottom") @ kernel + bias, 0)]
    v = bottom + v
    if interaction == "dot":
        n = len(v)
        dots = [(v[i] * v[j]).sum(axis=1) for i in range(n) for j in range(i + 1, n)]
        top = np.concatenate([np.stack(dots, axis=1), *bottom], axis=1)
    else:
        top = np.concatenate(v, axis=1)
    close(model(ids), scored(model, network_by_hand(model, top)))


@pytest.mark.parametrize("name", ["dot", "dot_bias", "neumf", "fm", "deepfm"])
def test_a_range_of_labels_makes_a_rating_of_the_same_logit(name):
    layers = {n: FullEmbedding(SIZES[n], DIM, field=n, name=f"{n}_vectors") for n in ("user", "item")}
    logit = build(read({"name": name}), layers, None)
    rating = build(read({"name": name}), layers, (1.0, 5.0))
    ids = {n: IDS[n] for n in layers}
    for a, b in zip(rating.variables, logit.variables, strict=True):
        a.assign(b)
    close(rating(ids), 5 / (1 + np.exp(-logit(ids).numpy())))


FIELDS = ("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
FRAPPE = dict(zip(FIELDS, (957, 4083, 7, 7, 2, 3, 2, 9, 80, 229), strict=True))
"""Ids of ten fields, 5,379 in all."""

CRITEO = 2_086_303
"""Ids of Criteo_x1's fields."""


def parameters(spec, sizes, dense_dim=0, dim=10):
    chosen = read(spec)
    width = models.vector_dim(chosen, dim)
    layers = {n: FullEmbedding(size, width, field=n, name=f"{n}_vectors") for n, size in sizes.items()}
    model = build(chosen, layers, None, dense_dim)
    own = models.own_tables(chosen, {n: Vocabulary(n, size) for n, size in sizes.items()})
    assert sum(method.nbytes for method in own.values()) == (4 * sum(sizes.values()) if own else 0)
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


PUBLISHED_NET = {"batch_norm": True, "dropout": 0.2}


@pytest.mark.parametrize(("spec", "count"), [
    ({"name": "lr"}, 5_390),
    ({"name": "fm", "linear": "own"}, 59_280),
    ({"name": "deepfm", "linear": "own", **PUBLISHED_NET}, 423_280),
    ({"name": "wide_deep", "linear": "own", **PUBLISHED_NET}, 423_280),
    ({"name": "dcn_v2", "cross_layers": 4, **PUBLISHED_NET}, 458_391),
    ({"name": "dlrm", "interaction": "cat", **PUBLISHED_NET}, 417_891),
])  # fmt: skip
def test_published_numbers_of_parameters_on_frappe(spec, count):
    sizes = {n: size + 1 for n, size in FRAPPE.items()}  # with an out-of-vocabulary row each
    sizes["city"] -= sum(sizes.values()) - 5_389
    assert sum(sizes.values()) == 5_379 + 10
    assert parameters(spec, sizes) == count


def test_published_number_of_parameters_of_dlrm_on_criteo():
    sizes = {f"C{n}": 80_242 for n in range(1, 27)}
    sizes["C26"] += CRITEO - sum(sizes.values())
    assert parameters({"name": "dlrm", **PUBLISHED_NET}, sizes, dense_dim=13) == 21_664_241


def test_a_projected_linear_part_has_no_table():
    sizes = {"user": 50, "item": 30}
    assert parameters({"name": "fm"}, sizes) == 80 * 10 + 2 * 10 + 1
    assert models.own_tables(read({"name": "fm"}), {"user": Vocabulary("user", 50)}) == {}


def test_initial_values():
    keras.utils.set_random_seed(0)
    layer = FullEmbedding(2000, 10, initializer="tiny", seed=3)
    table = layer(np.arange(2000)).numpy()
    assert table.std() == pytest.approx(1e-4, rel=0.02) and abs(table.mean()) < 3e-6
    layers = {n: FullEmbedding(20, 50, field=n, name=f"{n}_vectors") for n in ("user", "item")}
    model = build(read({"name": "wide_deep", "hidden_units": [300, 200]}), layers, None)
    for number, (before, after) in enumerate([(100, 300), (300, 200)]):
        kernel, bias = weights(model, f"hidden_{number}")
        assert kernel.std() == pytest.approx((2 / (before + after)) ** 0.5, rel=0.02)
        assert not bias.any()


def test_the_order_of_a_layer():
    model, _, _ = made({"name": "deepfm", "batch_norm": True, "dropout": 0.5, **NET})
    kinds = [type(layer).__name__ for layer in model.layers if layer.name.startswith("hidden_")]
    assert kinds == ["Dense", "BatchNorm", "ReLU", "Dropout"] * 2


def test_batch_normalization_leaves_out_rows_that_fill_up_a_batch():
    x = np.random.default_rng(2).normal(2, 3, (8, 3)).astype(np.float32)
    filled = x.copy()
    filled[5:] = x[0]
    ours, plain = BatchNorm(), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    expected = plain(x[:5], training=True)
    with counted_rows(tf.range(8) < 5):
        found = ours(filled, training=True)
    close(found[:5], expected)
    for a, b in zip(ours.variables, plain.variables, strict=True):
        close(a, b)
    close(ours(x), plain(x))
    close(ours(x, training=True), plain(x, training=True))


def test_plain_batch_normalization_is_refused(monkeypatch):
    def own(fields, label_range, settings, dense_dim=0):
        ids = models.inputs.inputs(fields, dense_dim)
        hidden = keras.layers.BatchNormalization(name="norm")(fields["user"](ids["user"]))
        return keras.Model(ids, keras.ops.sum(hidden, axis=-1))

    module = type("Module", (), {"build": staticmethod(own), "__name__": "bench.models.own"})
    monkeypatch.setattr(models, "find", lambda name: module)
    with pytest.raises(
        RequestError, match=r"norm is a keras.layers.BatchNormalization.*bench.models.layers.Batch"
    ):
        build(Choice("own", None), {"user": FullEmbedding(3, 2)}, None)


@pytest.mark.parametrize("name", ["fm", "deepfm", "dlrm"])
def test_one_vector_makes_no_pairs(name):
    with pytest.raises(RequestError, match=r"^model.*give model"):
        build(read({"name": name}), {"user": FullEmbedding(3, 2)}, None)


def test_a_loaded_model_gives_the_same(tmp_path):
    for name in ("deepfm", "dcn_v2", "dlrm"):
        model, _, ids = made({"name": name, "batch_norm": True, **NET})
        model.save(tmp_path / f"{name}.keras")
        close(keras.saving.load_model(tmp_path / f"{name}.keras")(ids), model(ids))
    assert len(embedding_layers(made({"name": "fm", "linear": "own"})[0])) == 6
