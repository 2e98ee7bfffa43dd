"""The example of the documentation runs, and prints what its page shows."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from commands import ROOT, Commands

EXAMPLE = ROOT / "docs" / "examples" / "own_code.py"
PAGE = (ROOT / "docs" / "own-code.md").read_text(encoding="utf-8")


def without_numbers(text: str) -> list[str]:
    """The lines without numbers and their units, which may differ between machines.

    Lines that appear only if something takes long enough are left out.
    """
    by_the_clock = re.compile(r"checking |md: .* s a run, ")
    lines = [line for line in text.splitlines() if not by_the_clock.match(line)]
    return [" ".join(re.sub(r"\d[\d.,]*( s$| ms|e-\d+)?", "#", line).split()) for line in lines]


def test_the_page_shows_the_example():
    assert f"```python\n{EXAMPLE.read_text(encoding='utf-8').strip()}\n```" in PAGE


@pytest.mark.slow
def test_the_example_prints_what_the_page_shows(commands: Commands):
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        cwd=commands.cwd, env=commands.environment(), capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = PAGE.split("It prints on standard output")[1].split("```\n")[1]
    assert without_numbers(done.stdout) == without_numbers(shown)
    error, again = (
        re.search(rf"{name}:? [a-z ]*(0\.\d+)", done.stdout) for name in ("qr: val_mae", "computed again")
    )
    assert error and again and error[1] == again[1]
