"""Trained models loaded from records: they predict what the run was measured by, whatever serves."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from marks import slow_but

import bench.embeddings
from bench import api, models
from bench.config.files import options
from bench.embeddings import Embedding
from bench.embeddings.constructors import constructor_name
from bench.errors import RequestError
from bench.trained import Trained

SMALL = {"num_ratings": 3000, "num_users": 120, "num_items": 90}

every_strategy = pytest.mark.parametrize("strategy", slow_but(("qr",), options("strategy")))


pytestmark = pytest.mark.usefixtures("own_records")


def run(strategy: str, **settings) -> api.Run:
    return api.run(
        strategy=strategy, dataset=SMALL, save_weights=True,
        training={"epochs": 1, "learning_rate": 0.01, "progress": False, "jit": False}, **settings,
    )  # fmt: skip


def error_of(trained: Trained) -> float:
    """The error as a user computes it."""
    rows = trained.data.evaluation
    predicted = trained.model.predict(trained.inputs(rows), verbose=0)
    assert predicted.shape == rows.labels.shape and predicted.dtype == np.float32
    return float(np.mean(np.abs(predicted.astype(np.float64) - rows.labels)))


@every_strategy
def test_the_model_predicts_what_the_run_was_measured_by(strategy):
    done = run(strategy)
    trained = api.load(done)
    assert error_of(trained) == pytest.approx(done.result.val_mae, abs=1e-6)
    assert trained.result == done.result
    ids = np.arange(5)
    for layer in trained.embeddings.values():
        arrays = layer.arrays()
        assert np.allclose(layer(ids), layer.form(ids, arrays), atol=1e-6)  # NumPy's own lookup
        assert layer in trained.model.layers


@every_strategy
def test_the_entry_of_a_result_makes_the_layer(strategy):
    done = run(strategy)
    sizes = {"user": 120, "item": 90}
    for field, entry in (done.result.embeddings or {}).items():
        layer = Embedding(sizes[field], 64, field=field, **entry)
        assert layer(np.array([[0, 5, sizes[field] - 1]])).shape == (1, 3, 64)
        assert {name: list(v.shape) for name, v in layer.table_variables.items()} == entry["tables"]
        constructor = getattr(bench.embeddings, constructor_name(entry["method"]))
        assert constructor(sizes[field], 64, field=field, **entry).get_config()["settings"] == {
            name: value for name, value in entry.items() if name not in ("method", "tables", "table_updates")
        }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "strategy"),
    zip(
        models.names(), itertools.cycle(("qr", "ptq_int8"))
    ),  # each in turn, trained and compressed afterwards
)
def test_every_model(model, strategy):
    done = run(strategy, model=model)
    assert error_of(api.load(done)) == pytest.approx(done.result.val_mae, abs=1e-6)


@pytest.mark.slow
def test_dense_columns_and_many_fields():
    done = api.run(
        dataset="table", strategy="qr", model="neumf", save_weights=True, training={"epochs": 1},
        **{"dataset.path": table(), "dataset.fields": ["who", "what", "where"], "dataset.dense": ["age"],
           "dataset.label": "stars"},
    )  # fmt: skip
    trained = api.load(done.folder)
    assert list(trained.inputs(trained.data.evaluation)) == ["who", "what", "where", "dense_columns"]
    assert error_of(trained) == pytest.approx(done.result.val_mae, abs=1e-6)
    moved = Path("rows.csv").rename("moved.csv")
    with pytest.raises(RequestError, match=r"rows.csv"):
        api.load(done.folder)
    assert error_of(api.load(done.folder, dataset={"path": str(moved)})) == error_of(trained)
    moved.write_text(moved.read_text().replace(",5,", ",1,"))
    with pytest.raises(RequestError, match=r"^data_digest=\w+: the run's data; those that table gives now"):
        api.load(done.folder, dataset={"path": str(moved)})


def table() -> Path:
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, size, 2000) for size in (40, 30, 8)]
    stars, age = rng.integers(1, 6, 2000), rng.random(2000)
    lines = [",".join(map(str, row)) for row in zip(*columns, stars, age, strict=True)]
    path = Path("rows.csv")
    path.write_text("\n".join(["who,what,where,stars,age", *lines]))
    return path


@pytest.mark.slow
def test_loading_leaves_the_settings_of_keras_and_random_numbers():
    import keras

    done = run("qr")
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        np.random.seed(1)  # noqa: NPY002
        drawn = np.random.get_state()[1].tolist()  # noqa: NPY002
        trained = api.load(done.result)
        assert error_of(trained) == pytest.approx(done.result.val_mae, abs=1e-6)
        assert keras.config.dtype_policy().name == "mixed_float16" and keras.config.floatx() == "float64"
        assert np.random.get_state()[1].tolist() == drawn  # noqa: NPY002
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_weights_asked_for_later_are_added():
    first = api.run(strategy="qr", dataset=SMALL, seed=5, training={"epochs": 1})
    with pytest.raises(
        RequestError, match=r"no weights were kept; run the same again with save_weights=true"
    ):
        api.load(first)
    again = api.run(strategy="qr", dataset=SMALL, seed=5, training={"epochs": 1}, save_weights=True)
    assert again.result.fingerprint == first.result.fingerprint
    for named in (
        first,
        str(first.result.fingerprint)[:12],
        again.folder / "result.json",
        first.result.run_id,
    ):
        assert error_of(api.load(named)) == pytest.approx(first.result.val_mae, abs=1e-6)
