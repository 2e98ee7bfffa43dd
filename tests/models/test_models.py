from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import slow_but

from bench import models
from bench.config.typed import Choice
from bench.embeddings import FullEmbedding, MDEmbedding, QREmbedding
from bench.embeddings.layer import embedding_layers
from bench.errors import RequestError
from bench.models import build, find, names, read, vector_dim
from bench.models.inputs import inputs

USERS, ITEMS, DIM = 11, 7, 6
IDS = {"user": np.array([0, 10, 3, 3], np.int32), "item": np.array([6, 0, 2, 5], np.int32)}


def fields(dim=DIM, users=USERS, items=ITEMS, **more):
    return {
        "user": QREmbedding(users, dim, field="user", name="user_vectors", **more),
        "item": MDEmbedding(items, dim, field="item", name="item_vectors"),
    }


def made(spec, label_range=(1.0, 5.0), dense_dim=0, embeddings=None):
    """A model without zeros among its numbers, and its fields' vectors in NumPy."""
    keras.utils.set_random_seed(0)
    embeddings = embeddings or fields(vector_dim(read(spec), DIM))
    model = build(read(spec), embeddings, label_range, dense_dim)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        wide = len(variable.shape) == 2 and variable.shape[0] >= 100  # a sum over so many would be far from 0
        variable.assign(rng.normal(size=variable.shape) * (0.07 if wide else 0.7))
    return model, {f: layer(IDS[f]).numpy() for f, layer in embeddings.items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(model, layer):
    return [v.numpy() for v in model.get_layer(layer).trainable_variables]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_importing_names_and_finding():
    assert set(names()) >= {"dot", "dot_bias", "neumf"}
    with pytest.raises(RequestError, match=f"model=nosuch: does not exist; there are {', '.join(names())}"):
        find("nosuch")
    with pytest.raises(RequestError, match="model=inputs"):
        find("inputs")
    with pytest.raises(RequestError, match=r"model\.layers=3: no such setting"):
        read({"name": "dot", "layers": 3})
    with pytest.raises(RequestError, match=r"model\.dropout=1"):
        read({"name": "neumf", "dropout": 1})


@pytest.mark.parametrize("name", slow_but(["dot", "dlrm"], names()))
def test_every_model_takes_ids_by_field_and_gives_one_number_a_row(name, tmp_path):
    model, _ = made({"name": name})
    predicted = model(IDS)
    assert predicted.shape == (4,) and predicted.dtype == tf.float32
    assert (np.asarray(predicted) > 0).all() and (np.asarray(predicted) < 5).all()
    assert {n: (i.shape, i.dtype) for n, i in model.input.items()} == {
        "user": ((None,), "int32"),
        "item": ((None,), "int32"),
    }
    assert {layer.method.vocabulary.name for layer in embedding_layers(model)} == {"user", "item"}
    assert all(layer.method.vocabulary.size in (USERS, ITEMS) for layer in embedding_layers(model))
    model.save(tmp_path / "model.keras")
    close(keras.saving.load_model(tmp_path / "model.keras")(IDS), predicted)


@pytest.mark.parametrize("name", slow_but(["dlrm"], names()))
def test_every_model_has_gradients_everywhere(name):
    model, _ = made({"name": name})
    user, item = (grid.ravel().astype(np.int32) for grid in np.meshgrid(np.arange(USERS), np.arange(ITEMS)))
    variables = [v.value for v in model.trainable_variables]

    @tf.function(jit_compile=True)
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model({"user": user, "item": item}, training=True) - 3.0) ** 2)
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]

    for variable, gradient in zip(model.trainable_variables, gradients(), strict=True):
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize(
    ("given", "low", "high"), [((1.0, 5.0), 0.0, 5.0), ((-2.0, 3.0), -2.0, 3.0), ((0.5, 4), 0, 4)]
)
def test_dot_by_hand(given, low, high):
    model, v = made({"name": "dot"}, given)
    score = np.array(
        [sum(a * b for a, b in zip(u, w, strict=True)) for u, w in zip(v["user"], v["item"], strict=True)]
    )
    close(model(IDS), low + (high - low) * sigmoid(score))


def test_parameters_of_the_recipe():
    def trainable(*embeddings):
        model = build(read({"name": "dot"}), dict(zip(("user", "item"), embeddings, strict=True)), (1, 5))
        return sum(int(np.prod(v.shape)) for v in model.trainable_variables)

    assert trainable(FullEmbedding(6040, 64), FullEmbedding(3706, 64)) == 623_744
    assert trainable(QREmbedding(6040, 64, num_buckets=120), MDEmbedding(3706, 64)) == 117_968


def test_dot_bias_by_hand():
    model, v = made({"name": "dot_bias"})
    score = (v["user"] * v["item"]).sum(axis=1)
    score += weights(model, "user_bias")[0][IDS["user"], 0] + weights(model, "item_bias")[0][IDS["item"], 0]
    close(model(IDS), 5 * sigmoid(score + weights(model, "bias")[0]))


def test_dot_bias_starts_where_dot_does():
    embeddings = fields()
    dot = build(read({"name": "dot"}), embeddings, (1, 5))
    biased = build(read({"name": "dot_bias"}), embeddings, (1, 5))
    close(biased(IDS), dot(IDS))
    assert len(biased.trainable_variables) == len(dot.trainable_variables) + 3


def neumf_by_hand(model, vectors, dense=None):
    half = vectors[0].shape[1] // 2
    product = sum(
        vectors[i][:, :half] * vectors[j][:, :half]
        for i in range(len(vectors))
        for j in range(i + 1, len(vectors))
    )
    hidden = np.concatenate([*(v[:, half:] for v in vectors), *([] if dense is None else [dense])], axis=1)
    for i in range(2):
        kernel, bias = weights(model, f"hidden_{i}")
        hidden = np.maximum(hidden @ kernel + bias, 0)
    kernel, bias = weights(model, "score")
    return 5 * sigmoid((np.concatenate([product, hidden], axis=1) @ kernel + bias)[:, 0])


@pytest.mark.parametrize("dim", [6, 5, 2])
def test_neumf_by_hand(dim):
    model, v = made({"name": "neumf", "hidden_units": [4, 3]}, embeddings=fields(dim))
    close(model(IDS), neumf_by_hand(model, list(v.values())))


def test_neumf_with_dense_columns_and_three_fields():
    embeddings = {**fields(), "day": FullEmbedding(3, DIM, field="day", name="day_vectors")}
    IDS["day"] = np.array([0, 2, 1, 1], np.int32)
    dense = np.random.default_rng(5).normal(size=(4, 2)).astype(np.float32)
    model, v = made({"name": "neumf", "hidden_units": [4, 3]}, dense_dim=2, embeddings=embeddings)
    close(model({**IDS, "dense_columns": dense}), neumf_by_hand(model, list(v.values()), dense))
    assert len(embedding_layers(model)) == 3
    del IDS["day"]


def test_neumf_drops_inputs_only_while_training():
    model, _ = made({"name": "neumf", "hidden_units": [8], "dropout": 0.5})
    close(model(IDS), model(IDS))
    assert not np.allclose(model(IDS, training=True), model(IDS), rtol=1e-3)


def test_data_that_a_model_cannot_take():
    three = {**fields(), "day": FullEmbedding(3, DIM, name="day")}
    one = {"user": FullEmbedding(3, DIM)}
    for name in ("dot", "dot_bias"):
        with pytest.raises(RequestError, match=rf"model={name} .*3 \(user, item, day\).*neumf"):
            build(read({"name": name}), three, (1, 5))
        with pytest.raises(RequestError, match=rf"model={name} .* 2; give model=neumf"):
            build(read({"name": name}), fields(), (1, 5), dense_dim=2)
    with pytest.raises(RequestError, match=r"model=neumf .* 1"):
        build(read({"name": "neumf"}), one, (1, 5))
    with pytest.raises(RequestError, match="embedding_dim=1"):
        build(read({"name": "neumf"}), fields(1), (1, 5))
    with pytest.raises(RequestError, match="cannot be called dense_columns"):
        build(read({"name": "neumf"}), {"dense_columns": one["user"], "user": one["user"]}, (1, 5))


def test_a_model_of_ones_own_may_have_a_layer_that_keras_calls_dense():
    keras.backend.clear_session()
    given = inputs(["user"], 2)
    layer = keras.layers.Dense(1)
    assert layer.name == "dense"
    model = keras.Model(given, layer(given["dense_columns"]))
    assert set(model.input) == {"user", "dense_columns"}


def test_a_field_that_is_called_as_a_layer_is_refused_with_what_helps():
    embeddings = {**fields(), "score": FullEmbedding(3, DIM, name="score_embedding")}
    with pytest.raises(
        RequestError,
        match=r"model=neumf: a layer is called score, as a field is; .*dataset\.columns\.NAME=score",
    ):
        made({"name": "neumf"}, embeddings=embeddings)


@pytest.mark.parametrize(("change", "says"), [
    (lambda model: None, "build returned NoneType; return a keras.Model"),
    (lambda model: model.output, "build returned KerasTensor; return a keras.Model"),
    (lambda model: keras.Model(model.inputs, model.output[:, None]), r"has the shape \(None, 1\); it must be"),
    (lambda model: keras.Model(model.inputs, [model.output]), r"has the type list; it must be \(batch,\)"),
])  # fmt: skip
def test_a_model_of_another_kind_is_refused_with_its_file(change, says, monkeypatch):
    dot = find("dot")
    changed = SimpleNamespace(__name__="bench.models.own", build=lambda *given: change(dot.build(*given)))
    monkeypatch.setattr(models, "find", lambda name: changed)
    with pytest.raises(RequestError, match=f"^bench/models/own.py: .*{says}"):
        build(Choice("own", dot.Settings()), fields(), (1, 5))


def test_bias_by_hand():
    model, v = made({"name": "bias"})
    score = v["user"].sum(axis=1) + v["item"].sum(axis=1) + weights(model, "bias")[0]
    close(model(IDS), 5 * sigmoid(score))


def test_bias_takes_any_fields_and_reads_no_dense_columns():
    embeddings = {name: FullEmbedding(5, 1, field=name, name=f"{name}_vectors") for name in ("a", "b", "c")}
    model = build(read({"name": "bias"}), embeddings, (1.0, 5.0), dense_dim=2)
    ids = {name: np.array([0, 4, 2], np.int32) for name in embeddings}
    found = [np.asarray(model({**ids, "dense_columns": np.full((3, 2), x, np.float32)})) for x in (0, 9)]
    close(*found)
    score = sum(layer(ids[name]).numpy()[:, 0] for name, layer in embeddings.items())
    close(found[0], 5 * sigmoid(score))
