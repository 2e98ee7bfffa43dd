"""The times of methods side by side."""

from __future__ import annotations

import re

import pytest

from benchmarks import methods

SMALL = ("dataset.num_ratings=2000", "dataset.num_users=60", "dataset.num_items=40")


@pytest.mark.slow
def test_methods_are_timed_in_turns_and_those_beyond_the_budget_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert methods.main(["methods=float16,md", "budget=0.3", "steps=3", "repeats=1", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "synthetic, dot: batch 128, width 64, adam, budget=0.3; 1 repeats of 3 steps" in out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if re.match(r"(qr|md|float16) ", line)}
    assert rows["qr"][3] == "1.00" and float(rows["md"][2]) > 0
    assert rows["float16"][1:4] == ["2.0x", "-", "-"]  # it has no steps of its own
    assert "At their own size, since no size of theirs meets the budget: float16" in out


def test_a_setting_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert methods.main(["methods=qr", "nosuch=3"]) == 2
    assert "error: nosuch=3: no such setting" in capsys.readouterr().err
