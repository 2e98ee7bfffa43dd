"""An export as a model of MLflow, without MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import exports_made as made
import numpy as np
import pytest

from bench.cli import export
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.serving import load, manifest, pyfunc
from bench.serving.manifest import Entry, Ids


def test_an_export_that_was_altered_is_not_registered(shop_made, capsys, monkeypatch):
    (shop_made / "export.json").write_text("{}")
    assert export.main([f"run={shop_made}", "register=shop"]) == 2
    assert "format version" in capsys.readouterr().err


@pytest.fixture
def shop_made(tmp_path: Path) -> Path:
    """An export that was made without training."""
    user = find("full")(Vocabulary("user", 3), 4)
    made.write(tmp_path / "shop", {"user": user}, {"user": made.integers([7, 3, 9])})
    return tmp_path / "shop"


def test_a_table_alone_gives_its_vectors(shop_made):
    served = pyfunc._load_pyfunc(str(shop_made))
    found = served.predict({"user": np.array([9, 7])})
    np.testing.assert_array_equal(found, load(shop_made).lookup("user", [9, 7]))
    assert np.isnan(served.predict({"user": np.array([8])}, {"unknown": "nan"})).all()


def entry(kind: str, **more: Any) -> Entry:
    return Entry("f", 9, 4, "full", {}, Ids(kind), None, "column", **more)


@pytest.mark.parametrize(
    ("own", "kind"),
    [
        (entry("integers"), "int64"),
        (entry("range"), "int64"),
        (entry("text"), "str"),
        (entry("long_text"), "str"),
        (entry("none", transform="hash:9"), "str"),
        (entry("integers", keeps_missing=True), "str"),
    ],
)
def test_types_of_raw_columns(own, kind):
    dense = (manifest.Dense("age"),)
    described = manifest.Manifest({"f": own}, dense, None, {}, {}, {})
    assert pyfunc.input_types(described) == {"column": kind, "age": "float64"}
