"""A clock that jumps changes no duration, loses no record and removes nothing that is being written."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path

import pytest
from sources import modules, tree

from bench.records.result import Result, Status
from bench.records.store import Store

DATES = {
    "api.frame",  # how old a record is
    "cli.prepared",
    "cli.results",
    "data.files",  # whether a file has changed just now
    "compiled",  # what killed processes left
    "records.store",  # when a record was made
    "tracking.store",  # when a run began
}
"""Modules that ask for the date. Durations are differences of ``time.perf_counter`` or ``time.monotonic``."""


def test_no_duration_goes_by_the_date() -> None:
    asks = {
        module
        for module, path in modules().items()
        if "time.time" in path.read_text(encoding="utf-8")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.time", "time.time_ns")
    }
    assert asks == DATES


def test_records_stay_whole_whatever_the_date_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, now = Store(tmp_path / "results"), time.time()
    for number, jump in enumerate((0.0, -20e6, 20e6, -now)):  # eight months back and forth, and to 1970
        monkeypatch.setattr("bench.records.store.time.time", lambda jump=jump: now + jump)
        store.add(Result.of(Status.FINISHED, fingerprint=f"{number:064x}", val_mae=0.5, seed=number))
    assert {record.result.seed for record in store.all()} == {0, 1, 2, 3}
    assert [record.created for record in store.all()] == sorted(
        now + jump for jump in (0.0, -20e6, 20e6, -now)
    )


def test_what_is_being_written_stays_when_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "results")
    store.add(Result.of(Status.FINISHED, fingerprint="0" * 64, val_mae=0.5, seed=0))
    left = store.folder / ".new-aa-1-bb"
    left.mkdir()
    os.utime(left, (0, time.time() + 1e6))  # it was begun before the clock was set back
    store.add(Result.of(Status.FINISHED, fingerprint="1" * 64, val_mae=0.5, seed=1))
    assert left.exists()
