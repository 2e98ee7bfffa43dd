"""``python -m benchmarks.serving``: that it runs and says what it measured, never how fast."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, Commands

from bench.serving import load
from benchmarks import made, serving


@pytest.mark.slow
def test_tables_and_ratios_are_printed(tmp_path: Path) -> None:
    here = Commands(tmp_path, tmp_path)
    words = ("repeats=1", "ids=3000", "methods=full,hash,pq of 16 bytes", "parts=lookups,keras,ids,cold")
    done = here.start(*words, module="benchmarks.serving", PYTHONPATH=str(ROOT)).wait()
    assert done.code == 0, done.err
    number = r"\d+\.\d, \d+\.\d \| \d+\.\d\d"
    for name in ("take", "full", "hash", "pq of 16 bytes", "full, compiled Keras call"):
        assert re.search(
            rf"^\| {re.escape(name)} \|.*{number} \| {number} \| {number} \|$", done.out, re.M
        ), name
    assert re.search(r"^hash at 64: \d+\.\d\d x take   at most 4: ", done.out, re.M)
    assert re.search(r"^Keras / NumPy, hash at 1: \d+   at least 20: ", done.out, re.M)
    assert re.search(r"^\| text, a list \| 0\.1 \| [\d.]+, [\d.]+, [\d.]+ \|$", done.out, re.M)
    for name in ("import numpy", "bench.serving", "SavedModel"):
        assert re.search(rf"^\| {name} \| \d+ \| \d+\.\d \| \d+ \|$", done.out, re.M), name


def test_ids_are_drawn_by_popularity() -> None:
    rows = serving.popular(1000, 200_000)
    assert rows.dtype == np.int32 and rows.min() >= 0 and rows.max() < 1000
    counts = np.sort(np.bincount(rows, minlength=1000))[::-1]
    shares = np.arange(1, 1001) ** -1.05
    expected = 200_000 * shares / shares.sum()
    np.testing.assert_allclose(counts[:5], expected[:5], rtol=0.05)


@pytest.mark.parametrize("text", [False, True])
def test_made_exports_are_found_by_their_ids(tmp_path: Path, text: bool) -> None:
    assert made.export(tmp_path / "made", "qr", 500, 8, text=text) == pytest.approx(10, rel=0.05)
    tables = load(tmp_path / "made", verify=True)
    ids = tables.first_ids("item", 500)
    assert ids[:2] == (["C0000000000000", "C0000000000003"] if text else [0, 3])
    assert tables.known("item", ids).all() and not tables.known("item", ["1", "C0000000000001"]).any()


@pytest.mark.parametrize(
    "argument", ["nosuch=1", "parts=nosuch", "methods=nosuch", "ids=x", "batch", "repeats=0"]
)
def test_wrong_arguments(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert serving.main([argument]) == 2
    assert capsys.readouterr().err.startswith("error: ")
