"""Training that begins with what a parent has trained."""

import keras
import numpy as np
import pytest
from test_trainer import TRAINING, Silent, interactions

from bench import models
from bench.config import compose
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.parents import only_compresses
from bench.errors import RunFailed
from bench.training.trainer import Trainer
from bench.training.weights import save_weights, start_from

DIM = 6


def model_of(data, **methods):
    keras.utils.set_random_seed(0)
    layers = {
        name: CompressedEmbedding(
            find(method)(Vocabulary(name, data.fields[name].size), DIM, find(method).Settings(**settings)),
            name=f"{name}_embedding",
        )
        for name, (method, settings) in methods.items()
    }
    return models.build(compose(["model=dot_bias"]).model, layers, data.label_range), layers


PARENT = {"user": ("qr", {"num_buckets": 12}), "item": ("full", {})}


@pytest.mark.parametrize(
    ("method", "settings"),
    [("pq", {"num_parts": 2, "num_codes": 5, "fine_tune": True}), ("svd", {"rank": 2, "fine_tune": True})],
)
def test_a_model_begins_with_its_parents_weights(method, settings, tmp_path):
    """The field that is trained on begins with what compressing gives, all else as the parent ended; then it trains."""
    data = interactions()
    parent, of_parent = model_of(data, **PARENT)
    path = tmp_path / "weights.safetensors"
    rng = np.random.default_rng(1)
    for variable in parent.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    save_weights(parent, path)

    child, layers = model_of(data, user=PARENT["user"], item=(method, settings))
    start_from(path, child, layers, seed=3)
    for own, others in zip(child.layers, parent.layers, strict=True):
        if own.name != "item_embedding":
            for a, b in zip(own.variables, others.variables, strict=True):
                np.testing.assert_array_equal(a, b)
    plain = find(method)(
        layers["item"].method.vocabulary, DIM, find(method).Settings(**{**settings, "fine_tune": False})
    )
    compressed = CompressedEmbedding(plain)
    compressed.build()
    compressed.set_arrays(of_parent["item"].arrays())
    ids = np.arange(data.fields["item"].size)
    np.testing.assert_array_equal(layers["item"](ids), compressed.to_served(3)(ids))

    before = layers["item"].arrays()
    Trainer(child, data, TRAINING, seed=0).fit(Silent())
    changed = {
        name for name, value in layers["item"].arrays().items() if not np.array_equal(value, before[name])
    }
    assert changed == {array.name for array in layers["item"].method.arrays() if array.trainable}


def test_a_parent_of_another_model_is_refused(tmp_path):
    data = interactions()
    path = tmp_path / "weights.safetensors"
    save_weights(model_of(data, user=("full", {}), item=("lowrank", {}))[0], path)
    child, layers = model_of(data, user=("full", {}), item=("pq", {"fine_tune": True}))
    with pytest.raises(RunFailed, match="no weights of this model"):
        start_from(path, child, layers, seed=0)


def test_one_field_that_is_trained_on_makes_the_run_train():
    field = Vocabulary("item", 40)
    full, pq, on = (
        find(name)(field, 8, find(name).Settings(**given))
        for name, given in (("full", {}), ("pq", {}), ("pq", {"fine_tune": True}))
    )
    assert [only_compresses({"a": one, "b": other}) for one in (full, pq, on) for other in (full, pq, on)] == [
        False, True, False, True, True, False, False, False, False,
    ]  # fmt: skip
