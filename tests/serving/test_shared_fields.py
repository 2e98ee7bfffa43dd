"""Exports of fields that share a table: each by its own ids, and refused where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import exports_made as made
import numpy as np
import pytest

from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.serving import ServingError, load

IDS = {"user": [5, 7, 9, 11], "shop": [1, 2], "item": [30, 10, 20]}
GROUP = {"user-item": ["user", "item"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    joined = find("hash")(
        Vocabulary.joined([Vocabulary("user", 4), Vocabulary("item", 3)]),
        4,
        find("hash").Settings(num_rows=5),
    )
    methods = {"user": joined, "shop": find("full")(Vocabulary("shop", 2), 4), "item": joined}
    ids = {name: made.integers(own) for name, own in IDS.items()}
    made.write(tmp_path / "shop", methods, ids, ("fm", {"linear": "own"}))
    return tmp_path / "shop"


def test_each_field_has_its_own_ids(folder: Path) -> None:
    tables = load(folder, verify=True)
    forms = tables.described.forms()
    form = forms["item"]
    assert form is forms["user"] and forms["shop"].vocabulary.size == 2
    arrays = {name: tables._arrays[f"fields/user-item/{name}"] for name in ("table", "hash")}
    vectors = form(np.arange(7), arrays)
    np.testing.assert_array_equal(tables.lookup("user", [5, 11]), vectors[[0, 3]])
    np.testing.assert_array_equal(tables.lookup("item", ["30", "20"]), vectors[[4, 6]])
    np.testing.assert_array_equal(tables.vectors("item", np.array([[2, 0]], np.uint8)), vectors[[[6, 4]]])
    assert tables.known("item", [30, 5]).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"field item: id 3 is outside its 3 ids \(0 to 2\)"):
        tables.vectors("item", [3])
    assert np.isnan(tables.lookup("item", [5], unknown="nan")).all()
    assert tables.warm() == sum(array.nbytes for array in tables._arrays.values())
    assert (
        sum(name.startswith("fields/") for name in tables._arrays) == 3
    )  # one table, one hash, the shop's table
    row = {name: tables.lookup(name, [own[0]])[0] for name, own in IDS.items()}
    weights = {name: tables._arrays[f"head/{name}_linear/table"][0, 0] for name in IDS}
    bias = float(tables._arrays["head/bias/bias"])
    pairs = row["user"] @ row["shop"] + row["user"] @ row["item"] + row["shop"] @ row["item"]
    score = float(pairs + sum(weights.values()) + bias)
    found = tables.predict({name: [own[0]] for name, own in IDS.items()})
    assert found[0] == pytest.approx(5 / (1 + np.exp(-score)), rel=1e-5)


@pytest.mark.parametrize(
    ("shared", "says"),
    [
        ({"user-item": ["user"]}, "two fields or more"),
        ({"user-item": ["item", "user"]}, "in their order"),
        ({"user-item": ["user", "user", "item"]}, "each once"),
        ({"user-item": ["user", "other"]}, "two fields or more"),
        ({**GROUP, "user-shop": ["user", "shop"]}, "two fields or more"),
        ({"user-shop": ["user", "shop"]}, "several methods"),
        ({"shop": ["user", "item"]}, "not the name"),
        ({"../up": ["user", "item"]}, "not the name"),
        ({"user-item": 3}, "shared"),
        ([["user", "item"]], "shared"),
        ({}, "export.json describes"),
    ],
    ids=str,
)
def test_what_cannot_be_shared_is_refused(folder: Path, shared: Any, says: str) -> None:
    tree = made.manifest(folder)
    assert tree["shared"] == GROUP
    made.write_manifest(folder, {**tree, "shared": shared})
    with pytest.raises(ServingError, match=says):
        load(folder)
