"""``python -m benchmarks.serving_load``: that it runs, compares and judges, never how fast."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, Commands

from benchmarks import made, serving_load


@pytest.mark.slow
def test_requests_and_latencies_are_printed(tmp_path: Path) -> None:
    words = ("seconds=0.3", "clients=2", "num_ids=500", "dim=8", "methods=full,pq,int8")
    done = (
        Commands(tmp_path, tmp_path)
        .start(*words, module="benchmarks.serving_load", PYTHONPATH=str(ROOT))
        .wait()
    )
    assert done.code == 0, done.err
    for kind in serving_load.KINDS:
        assert len(re.findall(rf"^{kind} +[\d,]+ +[\d.]+ +[\d.]+ +[\d.]+$", done.out, re.MULTILINE)) == 3, (
            done.out
        )
    assert "\nfull\n" in done.out and re.search(r"^pq, [\d.]+x smaller$", done.out, re.MULTILINE)


@pytest.mark.slow
def test_nothing_is_wrong_while_clients_are_killed(tmp_path: Path) -> None:
    words = ("minutes=0.1", "clients=4", "kills=true", "num_ids=500", "dim=8", "workers=2")
    done = (
        Commands(tmp_path, tmp_path)
        .start(*words, module="benchmarks.serving_load", PYTHONPATH=str(ROOT))
        .wait()
    )
    assert done.code == 0, (done.out, done.err)
    found = re.search(
        r"^([\d,]+) numbers compared, 0 wrong, 0 requests failed, (\d+) clients killed$", done.out, re.M
    )
    assert found and int(found[1].replace(",", "")) > 10_000 and int(found[2]) >= 3


@pytest.mark.slow
def test_wrong_numbers_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made.export(tmp_path / "other", "full", 50, 4)
    serving = serving_load.serving
    # the clients compare with the numbers of another export
    monkeypatch.setattr(serving_load, "serving", lambda folder, workers: serving(tmp_path / "other", workers))
    assert serving_load.main(["minutes=0.05", "clients=1", "num_ids=50", "dim=4"]) == 1
    assert "wrong numbers: 0: NO" in capsys.readouterr().out


def test_made_exports_hold_the_ids_that_are_asked_for(tmp_path: Path) -> None:
    assert made.export(tmp_path / "shop", "qr", 60, 8) > 1
    tables = serving_load.load(tmp_path / "shop")
    ids = made.STEP * np.arange(60)
    assert tables.known("user", ids).all() and not tables.known("user", ids + 1).any()
    for kind in serving_load.KINDS:
        one = serving_load.request(kind, ids[:2], "nan")
        assert one.path.startswith("/lookup" if kind.startswith("lookup") else "/predict")


@pytest.mark.parametrize(
    "argument",
    ["seconds=0", "clients=0", "nosuch=1", "budget=2", "methods=nosuch", "minutes=-1", "ids=x", "ids"],
)
def test_wrong_arguments(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert serving_load.main([argument]) == 2
    assert capsys.readouterr().err.startswith("error: ")
