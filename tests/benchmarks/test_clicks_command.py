"""``python -m benchmarks.clicks``: that it runs and says what it measured, never how fast."""

from __future__ import annotations

import functools
import re

import pytest
from commands import ROOT

from benchmarks import clicks


@pytest.mark.slow
def test_ratios_and_memory_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Few fields and rows and small networks, but for what is measured in processes of their own."""
    small = [word.replace("[512,256]", "[16,8]") for word in clicks.DLRM]
    monkeypatch.setattr(clicks, "DLRM", tuple(small))
    monkeypatch.setattr(clicks, "CRITEO_SIZES", clicks.CRITEO_SIZES[:4])
    monkeypatch.setattr(clicks, "random_clicks", functools.partial(clicks.random_clicks, rows=9000))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert clicks.main(["repeats=1", "scale=0.01", "parts=head,memory"]) == 0
    out = capsys.readouterr().out
    for batch in ("128", "2,048"):
        name = re.escape(f"DLRM, batch {batch} / DLRM, batch {batch}: head alone")
        assert re.search(rf"\d\.\d\d  \(.* to .*\)  {name}   at most", out), out
    assert re.search(r"^337,\d{3} rows of width 16: [\d.]+ s from building to the first step, ", out, re.M)
    assert re.search(r"^60,000 rows of width 64: .* GB in all at most, .* times weights", out, re.M)


@pytest.mark.parametrize("argument", ["repeats=0", "nosuch=1", "parts=nosuch", "scale=2", "repeats=x"])
def test_wrong_arguments(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert clicks.main([argument]) == 2
    assert capsys.readouterr().err.startswith("error: ")
