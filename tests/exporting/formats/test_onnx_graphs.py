"""``formats=onnx``: graphs of every method and every model compute what NumPy does, and hold no arrays."""

from __future__ import annotations

from dataclasses import replace
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
from bench.exporting.content import Content
from bench.exporting.formats import onnx_files
from bench.serving import load, manifest
from bench.serving.layout import ARRAYS
from bench.serving.manifest import Dense

for package in ("ndonnx", "onnx", "onnxruntime"):
    pytest.importorskip(package)

SIZE, DIM = 300, 16
OUTSIDE = np.array([SIZE, -1, -(2**63), 2**63 - 1, 2**32 + 1])


def written(folder: Path, *what: Any, **more: Any) -> tuple[Any, Any]:
    """An export with its graphs: what was written, and the reader of them."""
    folder.mkdir()
    found = made.content(*what, **more)
    made.write_manifest(folder, made.tree(folder, found))
    return onnx_files.write(folder, None, found), onnx_files.Reader(folder, manifest.read(folder))


@pytest.mark.parametrize("name", slow_but(("qr", "tt"), names()))
def test_every_method(tmp_path, name):
    layer = served(name)
    given = {f"fields/user/{key}": value for key, value in layer.arrays().items()}
    done, reader = written(tmp_path / "shop", {"user": layer.method}, {"user": None}, given=given)
    assert (done.files, done.left_out) == (["lookup_user.onnx"], {"predict": "the export has no model"})
    rows = np.arange(SIZE)
    wanted = layer.form(rows, layer.arrays())
    found = reader.vectors("user", rows)
    assert (found.dtype, found.shape) == (np.float32, (SIZE, DIM))
    most = 1e-5 if name == "dhe" else 1e-6
    assert np.abs(found - wanted).max() <= most * max(1.0, np.abs(wanted).max())
    outside = reader.vectors("user", np.concatenate([OUTSIDE, [0]]))
    assert np.isnan(outside[:-1]).all()
    np.testing.assert_array_equal(outside[-1], found[0])
    assert reader.vectors("user", rows[:0]).shape == (0, DIM)


@pytest.mark.parametrize("name", slow_but(("deepfm", "dlrm"), CASES))
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
    assert (done.files, done.left_out) == ([*(f"lookup_{field}.onnx" for field in sizes), "model.onnx"], {})
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
        found = reader.predict(given, dense)
        assert np.flatnonzero(np.isnan(found)).tolist() == [3, 7]


def test_fields_of_any_name_have_a_file(tmp_path):
    sizes = {"User": 20, "user": 10, "straße 1": 5, "7": 4, "prediction": 3}
    methods = {name: find("full")(Vocabulary(name, size), 1) for name, size in sizes.items()}
    done, reader = written(tmp_path / "shop", methods, dict.fromkeys(methods), ("lr", {}))
    lookups = ["lookup-0.onnx", "lookup-1.onnx", "lookup-2.onnx", "lookup_7.onnx", "lookup_prediction.onnx"]
    assert done.files == [*lookups, "model.onnx"]
    tables = load(tmp_path / "shop")
    for name, size in sizes.items():
        np.testing.assert_array_equal(
            reader.vectors(name, np.arange(size)), tables.vectors(name, np.arange(size))
        )
    rows = dict.fromkeys(sizes, np.array([0, 2]))
    wanted = tables.scores(rows, np.zeros((2, 0)))
    np.testing.assert_allclose(reader.predict(rows, np.zeros((2, 0))), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", slow_but(("qr",), names()))
def test_graphs_of_a_million_ids_are_small(tmp_path, name):
    method = find(name)(Vocabulary("user", 10**6), 64)
    described = made.content({"user": find("full")(Vocabulary("user", 2), 1)}, {"user": None}).described
    entry = replace(
        described.fields["user"], size=10**6, dim=64, method=name, settings=plain(method.settings)
    )
    form = method.served()
    found = Content(replace(described, fields={"user": entry}), {"user": form}, entry.stored(form), {})
    with (tmp_path / ARRAYS).open("wb") as file:  # a hole: no byte of it is read
        file.truncate(sum(array.nbytes + 64 for array in found.wanted) + (1 << 20))
    onnx_files.write(tmp_path, None, found)
    assert (tmp_path / "lookup_user.onnx").stat().st_size <= 100_000


def test_a_method_without_a_graph_is_left_out_by_name(tmp_path, monkeypatch):
    def lookups(self: Any, ids: Any, maps: Any, xp: Any) -> Any:
        return {"table": xp.bincount(ids)}

    methods = {name: find("qr" if name == "item" else "full")(Vocabulary(name, 20), 8) for name in SIZES}
    monkeypatch.setattr(type(methods["user"]), "lookups", lookups)
    done, reader = written(tmp_path / "shop", methods, dict.fromkeys(methods), ("lr", {}))
    assert done.files == ["lookup_item.onnx"]
    assert done.left_out["user"].startswith("its method full makes no graph (")
    assert "bincount" in done.left_out["user"]
    assert done.left_out["predict"] == "it needs user, hour"
    assert reader.vectors("item", np.arange(20)).shape == (20, 8)
