"""Rows of RESULTS.md, computed anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Commands

from benchmarks.published import pages
from benchmarks.published.pages import Measured
from benchmarks.published.studies import STUDIES

MEASURED = Measured.read(pages.ROOT / pages.FOLDER)
APART = 0.002
"""Scores of one seed on two processors differ by less: floats are summed in another order, over thousands of steps."""


@pytest.mark.slow
@pytest.mark.movielens
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("study", "strategy", "budget"),
    [("ratings", "qr", 0.1), ("ratings", "pq", 0.05), ("ratings", "dpq", 0.02), ("clicks", "hash", 0.01)],
)
def test_a_row_is_found_again(
    study: str, strategy: str, budget: float, new_commands: Callable[[str], Commands], movielens_dir: Path
) -> None:
    if study not in MEASURED.studies:
        pytest.skip(f"studies={study} is not among the kept numbers")
    row = MEASURED.studies[study].find(strategy, budget)
    assert row is not None
    (own,) = (one for one in STUDIES if one.name == study)
    fixed = [one for one in own.overrides if not one.startswith(("strategy=", "budget="))]
    folder = Commands(new_commands("anew").cwd, movielens_dir)
    done = folder.run("-m", *fixed, f"strategy={strategy}", f"budget={budget}", "seed=0", limit=500)
    assert done.code == 0, done.err
    (result,) = (one for one in done.results if one["seed"] == 0 and one["strategy"] == strategy)
    kept = MEASURED.studies[study]
    assert result["data_digest"] == kept.data_digest
    assert result[kept.headline.name] == pytest.approx(row.scores["0"], abs=APART)
    assert result["embedding_bytes"] == pytest.approx(row.embedding_bytes, rel=0.01)
