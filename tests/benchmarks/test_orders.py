"""``python -m benchmarks.orders``: the file that it writes."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import orders

SMALL = ["rows=5000", "customers=300", "skus=90", "stores=5", "categories=4"]


def rows_of(path: Path) -> list[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def test_the_file_is_as_described(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv.gz"
    assert orders.main([*SMALL, f"output={path}"]) == 0
    found = rows_of(path)
    assert len(found) == 5000 and tuple(found[0]) == orders.COLUMNS
    times = [row["order_ts"] for row in found]
    assert times == sorted(times) and times[0].startswith("2023-01-01T00:00")
    assert {row["stars"] for row in found} == {"1", "2", "3", "4", "5"}
    assert len({row["store"] for row in found}) == 5 and len({row["category"] for row in found}) == 4
    by_sku: dict[str, set[str]] = {}
    for row in found:
        by_sku.setdefault(row["sku"], set()).add(row["category"])
    assert all(len(own) == 1 for own in by_sku.values())
    texts = [row["text"] for row in found]
    assert any("," in text for text in texts) and any('"' in text for text in texts)
    assert [path.name for path in tmp_path.iterdir()] == ["orders.csv.gz"]


def test_popularity_falls_by_a_power_law_and_ratings_have_structure(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    assert orders.main(["rows=40000", "customers=200", "skus=100", f"output={path}"]) == 0
    found = rows_of(path)
    often = [number for _, number in Counter(row["sku"] for row in found).most_common()]
    assert often[0] > 4 * often[len(often) // 2]
    stars = np.array([float(row["stars"]) for row in found])
    residual = stars - stars.mean()
    for column in ("sku", "customer"):  # who and what explain a part, which is what models are to find
        codes = np.unique([row[column] for row in found], return_inverse=True)[1]
        means = np.bincount(codes, residual) / np.bincount(codes)
        before, residual = residual, residual - means[codes]
        assert residual.var() < 0.93 * before.var(), column


def test_equal_arguments_give_equal_bytes_and_another_seed_others(tmp_path: Path) -> None:
    digests = []
    for number, seed in enumerate((0, 0, 1)):
        path = tmp_path / f"{number}.csv.gz"
        assert orders.main([*SMALL, f"seed={seed}", f"output={path}"]) == 0
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_the_bytes_are_those_of_every_machine() -> None:
    shop = orders.Shop.planted(customers=300, skus=90, stores=5, categories=4, seed=0)
    text = b"".join(orders.lines(5000, shop, 0, 0))
    assert hashlib.sha256(text).hexdigest()[:16] == "1bef7f9c974063e8"


def test_a_longer_file_begins_alike_and_odd_rows_are_counted(tmp_path: Path) -> None:
    shop = orders.Shop.planted(customers=300, skus=90, stores=5, categories=4, seed=0)
    short = b"".join(orders.lines(orders.BLOCK, shop, 0, 0))
    long = b"".join(itertools.islice(orders.lines(2 * orders.BLOCK, shop, 0, 0), 2))
    assert short == long
    odd = io.StringIO(b"".join(orders.lines(orders.BLOCK + 500, shop, 0, 333)).decode())
    bad = [row for row in csv.DictReader(odd) if row["customer"] == "" or row["stars"] == "n/a"]
    assert len(bad) == 333 and {row["stars"] == "n/a" for row in bad} == {True, False}


@pytest.mark.parametrize("argument", [
    "rows=0", "rows=x", "output=orders.parquet", "nosuch=1", "odd_rows=9999999999", "output=/nosuch/a.csv",
])  # fmt: skip
def test_wrong_arguments_are_refused_in_a_line(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert orders.main(["rows=10", argument]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and argument.partition("=")[0] in err
