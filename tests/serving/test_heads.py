"""Every model: NumPy predicts what the Keras model does."""

from __future__ import annotations

import exports_made as made
import numpy as np
import pytest
from marks import slow_but
from model_cases import CASES, SIZES

from bench import models
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.models.inputs import DENSE
from bench.serving import ServingError, load
from bench.serving.heads import HEADS
from bench.serving.manifest import Dense

ROWS = 40
FAST = ("dot_bias", "neumf")


def test_every_head_is_of_a_model_and_has_a_case():
    assert set(HEADS) == {case[0] for case in CASES.values()} <= set(models.names())


@pytest.mark.parametrize("name", slow_but(FAST, CASES))
def test_numpy_predicts_what_keras_does(tmp_path, name):
    model_name, settings, fields, dense_dim = CASES[name]
    choice = models.read({"name": model_name, **settings})
    dim = models.vector_dim(choice, 6)
    sizes = dict(list(SIZES.items())[:fields])
    layers = {
        field: CompressedEmbedding(find("full")(Vocabulary(field, size), dim), name=f"{field}_embedding")
        for field, size in sizes.items()
    }
    model = models.build(choice, layers, (1.0, 5.0), dense_dim)
    rng = np.random.default_rng(3)
    given = {}
    for variable in model.variables:
        if "seed" in variable.path:
            continue
        value = rng.normal(size=variable.shape, scale=0.7)
        variable.assign(np.abs(value) + 0.1 if "variance" in variable.path else value)
        field, _, table = variable.path.partition("_embedding/")
        given[f"fields/{field}/{table}" if table else f"head/{variable.path}"] = variable.numpy()
    methods = {field: layer.method for field, layer in layers.items()}
    ids = {field: made.integers(range(size)) for field, size in sizes.items()}
    columns = tuple(Dense(f"x{number}") for number in range(dense_dim))
    made.write(tmp_path / "shop", methods, ids, (model_name, settings), columns, given)
    rows = {field: rng.integers(0, size, ROWS).astype(np.int32) for field, size in sizes.items()}
    dense = rng.normal(size=(ROWS, dense_dim)).astype(np.float32)
    wanted = model.predict({**rows, **({DENSE: dense} if dense_dim else {})}, verbose=0)
    asked = {**rows, **{f"x{number}": dense[:, number] for number in range(dense_dim)}}
    found = load(tmp_path / "shop").predict(asked)
    assert np.ptp(wanted) > 0.5
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


def test_many_rows_are_predicted_in_parts(tmp_path, monkeypatch):
    methods = {field: find("full")(Vocabulary(field, SIZES[field]), 4) for field in ("user", "item")}
    made.write(
        tmp_path / "shop", methods, {f: made.integers(range(SIZES[f])) for f in methods}, ("dot_bias", {})
    )
    tables = load(tmp_path / "shop")
    rows = {"user": np.arange(20) % 20, "item": np.arange(20) % 10}
    whole = tables.predict(rows)
    monkeypatch.setattr("bench.serving.tables.AT_ONCE", 7)
    np.testing.assert_array_equal(tables.predict(rows), whole)


def test_a_model_that_does_not_fit_its_fields_is_refused(tmp_path):
    methods = {field: find("full")(Vocabulary(field, SIZES[field]), 4) for field in SIZES}
    made.write(tmp_path / "shop", methods, {f: made.integers(range(SIZES[f])) for f in methods}, ("bias", {}))
    tree = made.manifest(tmp_path / "shop")
    tree["model"]["name"] = "dot"
    made.write_manifest(tmp_path / "shop", tree)
    with pytest.raises(ServingError, match="model dot: its settings do not work"):
        load(tmp_path / "shop")
