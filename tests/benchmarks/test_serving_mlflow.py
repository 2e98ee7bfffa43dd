"""``python -m benchmarks.serving_mlflow``: that both servers give equal vectors, never how fast."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import ROOT, Commands

from benchmarks import serving_mlflow


@pytest.mark.slow
def test_both_servers_are_compared(tmp_path: Path) -> None:
    here = Commands(tmp_path, tmp_path)
    words = ("num_ids=500", "dim=8", "ids=4", "seconds=1", "repeats=1")
    done = here.start(*words, module="benchmarks.serving_mlflow", PYTHONPATH=str(ROOT)).wait()
    assert done.code == 0, done.err
    assert re.search(r"^\| mlflow models serve, JSON \| [\d,]+ \| 1\.0 \|$", done.out, re.M), done.out
    assert len(re.findall(r"^\| bench.serve, (?:JSON|octets) \| [\d,]+ \| \d+\.\d \|$", done.out, re.M)) == 2


@pytest.mark.parametrize("argument", ["seconds=0", "nosuch=1", "ids", "method=nosuch", "num_ids=x"])
def test_wrong_arguments(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert serving_mlflow.main([argument]) == 2
    assert capsys.readouterr().err.startswith("error: ")
