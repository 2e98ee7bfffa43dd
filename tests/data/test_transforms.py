"""Transforms of columns, against values worked out by hand."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import bench.data
from bench.data import transforms
from bench.errors import RequestError

TEXT = "id,when,price,y\na,14102100,3,0\nb,14102523,-7,1\na,14102611,,1\nc,14102112,2.5,0\n"
OWN = {"timestamp": None, "label": "y", "split.kind": "random", "split.train_fraction": 0.5}


@pytest.fixture
def load(dataset, tmp_path):
    def make(**changes):
        (tmp_path / "r.csv").write_text(TEXT)
        own = {"path": str(tmp_path / "r.csv"), **OWN, **changes}
        return bench.data.load(dataset("table", own), tmp_path / "cache")

    return make


def every(data, of):
    """A value of each row, sorted."""
    return sorted(value for part in (data.train, data.validation, data.evaluation) for value in of(part))


def ids(data, field):
    return every(data, lambda part: [data.fields[field].values[n] for n in part.ids[field]])


@pytest.mark.parametrize(("value", "bucket"), [
    ("-3", -3), ("-0.5", -1), ("0", 0), ("2", 2), ("3", 1), ("100", 21), (100.0, 21), ("7.5", 4), ("x", None),
])  # fmt: skip
def test_ln2_bucket(value, bucket):
    assert transforms.ln2_bucket(value) == bucket


@pytest.mark.parametrize(("time", "parts"), [
    ("14102523", (23, 5, 1)),  # a Saturday
    (14102100, (0, 1, 0)),
    ("2014-10-26T07:30:00", (7, 6, 1)),
    ("14132100", (None, None, None)),
])  # fmt: skip
def test_parts_of_an_hour(time, parts):
    assert tuple(transforms.hour_part(time, part) for part in transforms.HOUR_PARTS) == parts


def test_hashed_ids_are_equal_everywhere():
    digest = hashlib.blake2b(b"a", digest_size=8).digest()
    assert transforms.hashed("a", 1000) == int.from_bytes(digest, "little") % 1000
    assert {transforms.hashed(n, 7) for n in range(200)} == set(range(7))


def test_columns_are_transformed(load):
    data = load(
        fields=["id", "when"], dense=["price"], missing="keep",
        transforms={"when": "hour_parts", "price": "log1p", "id": "hash:1000"},
    )  # fmt: skip
    assert list(data.fields) == ["id", "when", "when_weekday", "when_weekend"]
    assert ids(data, "when") == ["0", "11", "12", "23"] and ids(data, "when_weekend") == ["0", "0", "1", "1"]
    assert ids(data, "id") == sorted(str(transforms.hashed(value, 1000)) for value in "abac")
    np.testing.assert_allclose(every(data, lambda part: part.dense[:, 0]), np.log([1, 1, 3.5, 4]), rtol=1e-6)


def test_numbers_become_categories(load):
    data = load(fields=["id", "price"], missing="keep", transforms={"price": "ln2_bucket"})
    assert ids(data, "price") == sorted(["1", "-7", "", "0"])


@pytest.mark.parametrize(("changes", "says"), [
    ({"transforms": {"id": "log1p"}}, r"transforms\.id=log1p: of a categorical column give none, ln2_bucket"),
    ({"transforms": {"id": "hash:0"}}, r"transforms\.id=hash:0: of a categorical column give"),
    ({"dense": ["price"], "transforms": {"price": "hash:9"}}, r"of a numeric column give none, log1p"),
    ({"transforms": {"prices": "log1p"}}, r"transforms\.prices=log1p: no column of a field or a number"),
    ({"split.kind": "folds"}, "the label 0 occurs 2 times, and each of 10 folds needs it"),
    ({"split.kind": "folds", "split.validation_fraction": 0.1}, "has rows that validate; leave it out"),
    ({"min_count": 2}, r"dataset\.min_count=2: .* give dataset\.vocabulary=train too"),
])  # fmt: skip
def test_what_cannot_work_is_refused(load, changes, says):
    with pytest.raises(RequestError, match=says):
        load(fields=["id"], **changes)
