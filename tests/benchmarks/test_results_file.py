"""RESULTS.md: its tables, and the command that makes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results
from benchmarks.results import Options, Study

SMALL = ("dataset.num_ratings=2000", "dataset.num_users=60", "dataset.num_items=40", "training.epochs=1")


def group(strategy: str, budget: float | None, mean: float, **more: Any) -> dict[str, Any]:
    """A group as ``python -m bench.report format=json`` has it, as far as the tables read it."""
    interval = [mean - 0.002, mean + 0.002]
    return {
        "strategy": strategy, "budget": budget, "task": "rating", "val_mae_mean": mean, "val_mae_ci95": interval,
        "compression_ratio": 10.0, "pareto": False, "seeds": [0, 1, 2], "step_time_ms_mean": 0.1, "lookup_us_mean": 5.0,
        "baseline": strategy == "full", "full_embedding_bytes": 1 << 20, "val_constant": 0.9, "data_digest": "a" * 64,
        **more,
    }  # fmt: skip


def test_a_table_has_a_row_a_strategy_and_a_column_a_budget() -> None:
    found = [
        group("qr", 0.1, 0.73, pareto=True),
        group("qr", 0.2, 0.72),
        group("full", None, 0.67, compression_ratio=1.0),
        group("md", 0.2, 0.69, val_mae_ci95=None, seeds=[0], step_time_ms_mean=None),
        group("pep", 0.1, 0.8, val_mae_mean=None),
    ]
    assert results.table(found) == [
        "| strategy | MAE, budget 0.2 | MAE, budget 0.1 | MAE, at its own size | ms a step | lookup, µs | seeds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| `full` | - | - | 0.6700 ± 0.0020 (1.0x) | 0.100 | 5 | 3 |",
        "| `md` | 0.6900 | - | - | - | 5 | 1 |",
        "| `pep` | - | failed | - | 0.100 | 5 | 3 |",
        "| `qr` | 0.7200 ± 0.0020 | ★ 0.7300 ± 0.0020 | - | 0.100 | 5 | 3 |",
    ]


def test_the_best_are_those_with_the_smallest_error_and_the_largest_score() -> None:
    found = [
        group(name, budget, mean)
        for name, mean in (("a", 0.7), ("b", 0.6), ("c", 0.8))
        for budget in (0.1, 0.2)
    ]
    assert results.best(found, 2) == ["b", "a"]
    clicks = [{**one, "task": "click", "val_auc_mean": one["val_mae_mean"]} for one in found]
    assert results.best(clicks, 2) == ["c", "a"]


def test_groups_of_more_seeds_replace_those_of_fewer_and_the_front_is_found_anew() -> None:
    few = [
        group("a", 0.1, 0.62, embedding_bytes=100, pareto=True),
        group("b", 0.1, 0.6, embedding_bytes=90, pareto=True),
        group("c", 0.1, 0.61, embedding_bytes=80),
        group("d", 0.1, 0.1, embedding_bytes=80, val_mae_mean=None),
    ]
    more = [group("b", 0.1, 0.63, embedding_bytes=90, seeds=[0, 1, 2, 3, 4])]
    found = results.merged(few, more)
    assert [(one["strategy"], one["val_mae_mean"], len(one["seeds"]), one["pareto"]) for one in found] == [
        ("a", 0.62, 3, False), ("b", 0.63, 5, False), ("c", 0.61, 3, True), ("d", None, 3, False)
    ]  # fmt: skip


def test_more_seeds_replace_the_strategies_and_keep_the_rest() -> None:
    study = Study("s", "S", "", ("dataset=movielens_1m", "strategy=glob(*)", "budget=0.1"))
    assert results.command(study, (0, 1), ["qr", "md"]) == [
        "-m", "dataset=movielens_1m", "budget=0.1", "strategy=qr,md", "seed=0,1"
    ]  # fmt: skip


def test_an_unknown_study_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert results.main(["studies=rating"]) == 2
    assert capsys.readouterr().err.startswith("error: studies=rating: not found; give some of ratings, sizes")


@pytest.mark.slow
def test_the_command_writes_the_file_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = Study("own", "Own", "Small.", (*SMALL, "strategy=full,qr,hash", "budget=0.5,0.25"), more_seeds=True)
    gone = Study(
        "gone", "Gone", "", ("dataset=frappe_x1", f"data_dir={tmp_path}", "strategy=full"), "frappe_x1"
    )
    monkeypatch.setattr(results, "STUDIES", (own, gone))
    monkeypatch.setattr(results, "MOST", 1)
    monkeypatch.setattr(results, "SEEDS", (0,))
    monkeypatch.setattr(results, "MORE_SEEDS", (0, 1))
    results.results(Options(studies="own,gone"))
    first = Path("RESULTS.md").read_text(encoding="utf-8")
    assert "## Own" in first and "Left out: Gone, because frappe_x1 is not there" in first
    qr, others = re.search(r"^\| `qr`.*$", first, re.M), re.search(r"^\| `hash`.*$", first, re.M)
    assert qr is not None and others is not None
    assert {qr[0].split("|")[-2].strip(), others[0].split("|")[-2].strip()} == {"1", "2"}
    records = sorted(Path("outputs/results").iterdir())
    results.results(Options(studies="own"))
    assert sorted(Path("outputs/results").iterdir()) == records  # nothing was trained again
    again = Path("RESULTS.md").read_text(encoding="utf-8")
    assert (
        again.splitlines()
        == [one for one in first.splitlines() if not one.startswith("Left out")][: len(again.splitlines())]
    )
