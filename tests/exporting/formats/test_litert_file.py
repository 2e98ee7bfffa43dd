"""``formats=litert``: every method and every model in LiteRT's own operations, NaN outside, arrays once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import exports_made as made
import numpy as np
import pytest
from marks import slow_but
from model_cases import CASES, SIZES
from served_layers import served

from bench import models
from bench.config.typed import plain
from bench.embeddings import find, names
from bench.embeddings.base import Vocabulary
from bench.serving import load, manifest
from bench.serving.manifest import Dense

pytest.importorskip("ai_edge_litert")

SIZE, DIM = 300, 16
OUTSIDE = np.array([SIZE, -1, -(2**63), 2**63 - 1, 2**32 + 1])
MOST_BESIDE_ARRAYS = 30_000


def written(folder: Path, *what: Any, **more: Any) -> tuple[Any, Any]:
    """An export with its file: what was written, and the reader of it."""
    from bench.exporting.formats import litert

    folder.mkdir()
    found = made.content(*what, **more)
    made.write_manifest(folder, made.tree(folder, found))
    done = litert.write(folder, None, found)
    return done, litert.Reader(folder, manifest.read(folder)) if done.files else None


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_every_method(tmp_path, name):
    layer = served(name)
    given = {f"fields/user/{key}": value for key, value in layer.arrays().items()}
    done, reader = written(tmp_path / "shop", {"user": layer.method}, {"user": None}, given=given)
    assert (done.files, done.left_out) == (["model.tflite"], {"predict": "the export has no model"})
    assert (tmp_path / "shop" / "model.tflite").stat().st_size <= layer.method.nbytes + MOST_BESIDE_ARRAYS
    rows = np.arange(SIZE)
    wanted = layer.form(rows, layer.arrays())
    found = reader.vectors("user", rows)
    assert (found.dtype, found.shape) == (np.float32, (SIZE, DIM))
    most = 1e-5 if name == "dhe" else 1e-6
    assert np.abs(found - wanted).max() <= most * max(1.0, np.abs(wanted).max())
    assert np.isnan(reader.vectors("user", OUTSIDE)).all()
    np.testing.assert_array_equal(reader.vectors("user", rows[5:6]), found[5:6])


@pytest.mark.parametrize("name", slow_but((), CASES))
def test_every_model(tmp_path, name):
    model, settings, fields, dense_dim = CASES[name]
    choice = models.read({"name": model, **settings})
    dim = models.vector_dim(choice, 6)
    sizes = dict(list(SIZES.items())[:fields])
    methods = {field: find("full")(Vocabulary(field, size), dim) for field, size in sizes.items()}
    columns = tuple(Dense(f"x{number}") for number in range(dense_dim))
    done, reader = written(
        tmp_path / "shop", methods, dict.fromkeys(sizes), (model, plain(choice.settings)), columns
    )
    assert (done.files, done.left_out) == (["model.tflite"], {})
    rng = np.random.default_rng(5)
    rows = {field: rng.integers(0, size, 40) for field, size in sizes.items()}
    dense = rng.normal(size=(40, dense_dim)).astype(np.float32)
    wanted = load(tmp_path / "shop").scores(rows, dense)
    found = reader.predict(rows, dense)
    assert (found.dtype, found.shape) == (np.float32, (40,)) and np.ptp(wanted) > 0.1
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)
    for field, size in sizes.items():
        given = {one: own.copy() for one, own in rows.items()}
        given[field][[3, 7]] = [size, -1]
        assert np.flatnonzero(np.isnan(reader.predict(given, dense))).tolist() == [3, 7]


@pytest.mark.slow
def test_arrays_are_held_once(tmp_path):
    methods = {name: find("full")(Vocabulary(name, 5000), 64) for name in ("user", "item")}
    rng = np.random.default_rng(0)  # equal arrays would be held once in any case
    given = {f"fields/{name}/table": rng.normal(size=(5000, 64)).astype(np.float32) for name in methods}
    done, _ = written(tmp_path / "shop", methods, dict.fromkeys(methods), ("dot_bias", {}), given=given)
    assert (done.files, done.left_out) == (["model.tflite"], {})
    arrays = 2 * 5000 * 65 * 4
    assert arrays < (tmp_path / "shop" / "model.tflite").stat().st_size <= arrays + MOST_BESIDE_ARRAYS


@pytest.mark.slow
def test_methods_and_names_that_do_not_work_are_left_out(tmp_path, monkeypatch):
    from keras import ops

    def lookups(self: Any, ids: Any, maps: Any, xp: Any) -> Any:
        return {"table": xp.mod(ops.left_shift(ids, ids), 20)}

    sizes = {"user": 20, "item": 20, "straße": 5}
    methods = {
        name: find("qr" if name == "item" else "full")(Vocabulary(name, n), 8) for name, n in sizes.items()
    }
    monkeypatch.setattr(type(methods["user"]), "lookups", lookups)
    done, reader = written(tmp_path / "shop", methods, dict.fromkeys(methods))
    assert done.files == ["model.tflite"]
    assert done.left_out["user"].startswith("LiteRT has no operation LeftShift"), done.left_out
    assert done.left_out["straße"] == "TensorFlow takes no signature of the name 'lookup_straße'"
    assert reader.vectors("item", np.arange(20)).shape == (20, 8)
