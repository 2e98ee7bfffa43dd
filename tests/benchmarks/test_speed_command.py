"""``python -m benchmarks.speed``: that it runs and says what it measured, never how fast."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, Commands

pytestmark = pytest.mark.slow

USERS, ITEMS, ROWS = 2_600, 2_000, 80_000  # what the replica's buckets, blocks and number of steps need


@pytest.fixture
def speed(tmp_path: Path) -> Commands:
    """The repository, and a data folder with few ratings in the layout of MovieLens 100K."""
    rng = np.random.default_rng(0)
    pairs = rng.choice(USERS * ITEMS, ROWS, replace=False)
    stars = rng.integers(1, 6, ROWS)
    lines = [f"{pair // ITEMS + 1}\t{pair % ITEMS + 1}\t{star}\t{i}\n"
             for i, (pair, star) in enumerate(zip(pairs.tolist(), stars.tolist(), strict=True))]  # fmt: skip
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-100k" / "u.data").write_text("".join(lines))
    return Commands(tmp_path / "here", tmp_path)


def test_ratios_are_printed(speed: Commands) -> None:
    environment = {"PYTHONPATH": str(ROOT)}
    speed.cwd.mkdir()
    running = speed.start(
        "dataset=movielens_100k", "repeats=1", "parts=recipe", module="benchmarks.speed", **environment
    )
    done = running.wait()
    assert done.code == 0, done.err
    ratios = done.out.partition("Ratios")[2]
    for name in ("full: recipe / full: deferred", "QR + MD: recipe / QR + MD: dense"):
        assert re.search(rf"\d\.\d\d  \(.* to .*\)  {re.escape(name)}", ratios), done.out
    assert "Traceback" not in done.err


@pytest.mark.parametrize("argument", ["repeats=0", "nosuch=1", "parts=nosuch", "dataset=nosuch", "repeats=x"])
def test_wrong_arguments(speed: Commands, argument: str) -> None:
    speed.cwd.mkdir()
    done = speed.start(argument, module="benchmarks.speed", PYTHONPATH=str(ROOT)).wait()
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("error: ") and "Traceback" not in done.err
