"""``python -m benchmarks.clicks``: that it runs and says what it measured, never how fast."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import ROOT, Commands

from benchmarks import clicks


@pytest.mark.slow
def test_ratios_and_memory_are_printed(tmp_path: Path) -> None:
    here = Commands(tmp_path, tmp_path)
    words = ("repeats=1", "scale=0.01", "parts=head,memory")
    done = here.start(*words, module="benchmarks.clicks", PYTHONPATH=str(ROOT)).wait()
    assert done.code == 0, done.err
    for batch in ("128", "2,048"):
        name = re.escape(f"DLRM, batch {batch} / DLRM, batch {batch}: head alone")
        assert re.search(rf"\d\.\d\d  \(.* to .*\)  {name}   at most", done.out), done.out
    assert re.search(
        r"^337,\d{3} rows of width 16: [\d.]+ s from building to the first step, ", done.out, re.M
    )
    assert re.search(r"^60,000 rows of width 64: .* GB in all at most, .* times weights", done.out, re.M)


@pytest.mark.parametrize("argument", ["repeats=0", "nosuch=1", "parts=nosuch", "scale=2", "repeats=x"])
def test_wrong_arguments(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert clicks.main([argument]) == 2
    assert capsys.readouterr().err.startswith("error: ")
