"""RESULTS.md and the tables of docs/methods.md: their cells, and the command that makes them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.records.result import Result, Status
from benchmarks import results
from benchmarks.published import pages
from benchmarks.published.kept import Kept, Row, Time, Times
from benchmarks.published.pages import Measured
from benchmarks.published.studies import STUDIES, Study
from benchmarks.published.tables import Column, of_study, of_times, side_by_side
from benchmarks.results import Options

SMALL = ("dataset.num_ratings=2000", "dataset.num_users=60", "dataset.num_items=40", "training.epochs=1")
MACHINE = {"processor": "P", "cores": 2, "gpu": None, "python": "3.11.7", "git_commit": "a" * 40}
THREE = (0.0, 0.001, -0.001)
"""Their interval is 0 -+ 4.303 * 0.001 / sqrt(3), which is 0.0025."""


def row(strategy: str, budget: float | None, mean: float, size: int = 100, seeds: int = 3) -> Row:
    scores = {str(seed): mean + THREE[seed % 3] for seed in range(seeds)}
    return Row(strategy, strategy, budget, size, scores)


def kept(*rows: Row, task: str = "rating") -> Kept:
    return Kept(task, ["python -m bench.run -m x=1"], "d" * 64, 1000, 0.9, [MACHINE], rows)


ROWS = (
    row("qr", 0.1, 0.73, 100),
    row("qr", 0.2, 0.72, 200),
    row("full", None, 0.67, 1000),
    row("md", 0.2, 0.69, 190, seeds=1),
    Row("md", "", 0.1, None, {}),
    Row("pep", "pep", 0.1, 100, {"0": 0.8, "1": None}),
)
TIMES = Times("python -m benchmarks.methods", MACHINE, {
    "qr": Time(0.1234, 1.0, 5.2), "full": Time(0.2, 1.62, 14.0), "pq": Time(None, None, 30.0),
})  # fmt: skip


def test_a_table_has_a_row_a_strategy_and_a_column_a_budget() -> None:
    assert of_study(kept(*ROWS)) == [
        "| strategy | MAE, budget 0.2 | MAE, budget 0.1 | MAE, at its own size | seeds |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| `full` |  |  | ★ 0.6700 ± 0.0025 | 3 |",
        "| `md` | ★ 0.6900 | - | - | 1 |",
        "| `pep` |  | failed | - | 2 |",
        "| `qr` | 0.7200 ± 0.0025 | ★ 0.7300 ± 0.0025 | - | 3 |",
    ]


def test_studies_stand_side_by_side_with_the_best_in_bold_and_times() -> None:
    ratings, sizes = (
        kept(*ROWS, row("pq", 0.1, 0.74)),
        kept(row("int8", None, 0.68, 250), Row("x", "", 0.1, None, {})),
    )
    columns = [Column.best_bold("0.1", ratings, 0.1, full=True), Column("own", sizes, None, {})]
    assert side_by_side(columns, TIMES, lookups=True) == [
        "| method | 0.1 | own | ms a step | over `qr` | lookup, µs |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| `full` | 0.6700 ± 0.0025 | - | 0.200 | 1.62 | 14 |",
        "| `int8` |  | 0.6800 ± 0.0025 (4.00x) |  |  |  |",
        "| `pep` | failed | - |  |  |  |",
        "| `pq` | 0.7400 ± 0.0025 | - | as `full` |  | 30 |",
        "| `qr` | **0.7300 ± 0.0025** | - | 0.123 | 1.00 | 5 |",
    ]  # fmt: skip
    assert "µs" not in side_by_side(columns, TIMES, lookups=False)[0]
    assert of_times(TIMES)[2:] == [
        "| `full` | 0.200 | 1.62 | 14 |", "| `pq` | as `full` |  | 30 |", "| `qr` | 0.123 | 1.00 | 5 |",
    ]  # fmt: skip


def test_the_best_are_those_with_the_smallest_error_and_the_largest_score() -> None:
    rows = [
        row(name, budget, mean)
        for name, mean in (("a", 0.7), ("b", 0.6), ("c", 0.8))
        for budget in (0.1, 0.2)
    ]
    assert kept(*rows).best(2) == ["b", "a"]
    assert kept(*rows, task="click").best(2) == ["c", "a"]
    assert [one.strategy for one in kept(*rows, task="click").front()] == ["c", "c"]


def result(seed: int, status: Status = Status.FINISHED, **more: object) -> Result:
    measured = {
        "strategy": "qr", "seed": seed, "task": "rating", "val_mae": 0.5 + seed / 10, "settings": {"budget": 0.1},
        "embedding_bytes": 100 + seed, "full_embedding_bytes": 1000, "val_constant": 0.9, "data_digest": "d" * 64,
        "embeddings": {"user": {"method": "qr"}},
        "environment": {**MACHINE, "threads": seed},
    }  # fmt: skip
    return Result.of(status, **{**measured, **more})


def test_results_are_kept_by_seed_and_what_has_no_size_is_told_from_what_failed(tmp_path: Path) -> None:
    none = {"val_mae": None, "embedding_bytes": None, "environment": None, "embeddings": None}
    found = [
        result(10), result(2), result(2, Status.SKIPPED), result(0, Status.REFUSED, strategy="int8", **none),
        result(0, Status.FAILED, strategy="pep", **none),
    ]  # fmt: skip
    own = results.keep(found, ["python"])
    assert own.rows == [
        Row("int8", "", 0.1, None, {}), Row("pep", "", 0.1, None, {"0": None}),
        Row("qr", "qr", 0.1, 106, {"2": 0.7, "10": 1.5}),
    ]  # fmt: skip
    assert list(own.find("qr", 0.1).scores) == ["2", "10"]  # type: ignore[union-attr]
    assert [one["git_commit"] for one in own.machines] == ["a" * 40]
    own.write(tmp_path / "docs" / "own.json")
    assert Kept.read(tmp_path / "docs" / "own.json") == own
    TIMES.write(tmp_path / "times-ratings.json")
    assert Times.read(tmp_path / "times-ratings.json") == TIMES


def test_more_seeds_replace_the_strategies_and_keep_the_rest() -> None:
    study = Study("s", "S", "", ("dataset=movielens_1m", "strategy=glob(*)", "budget=0.1"))
    assert study.command((0, 1), ["qr", "md"]) == [
        "-m", "dataset=movielens_1m", "budget=0.1", "strategy=qr,md", "seed=0,1"
    ]  # fmt: skip


def test_an_unknown_study_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert results.main(["studies=rating"]) == 2
    assert capsys.readouterr().err.startswith("error: studies=rating: not found; give some of ratings, sizes")


def test_the_pages_are_those_of_the_kept_numbers() -> None:
    for path, text in pages.written():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path}: run python -m benchmarks.results write=only"
        )


def test_the_families_stand_by_their_smallest_error() -> None:
    ratings = kept(row("qr", 0.1, 0.73), row("hash", 0.1, 0.87), row("dpq", 0.1, 0.69), row("pq", 0.1, 0.68),
                   row("qr", 0.2, 0.7))  # fmt: skip
    sizes = kept(row("full", None, 0.67, 1000), row("int8", None, 0.68, 250), row("pq", None, 0.6, 10))
    assert pages.families_table(Measured({"ratings": ratings, "sizes": sizes}, {}))[2:] == [
        "| uncompressed | `full` 0.670 |", "| after training | `pq` 0.680 |", "| codes | `dpq` 0.690 |",
        "| shared rows | `qr` 0.730, `hash` 0.870 |",
        "| precision | `int8` 0.680 at 4.0x |",
    ]  # fmt: skip


def test_each_table_of_a_page_has_its_studies() -> None:
    known = {study.name for study in STUDIES}
    for name, (page, _, needed) in pages.TABLES.items():
        assert set(needed) <= known
        assert (pages.ROOT / page).read_text(encoding="utf-8").count(pages.START.format(name)) == 1
    of_all = Measured({name: kept(*ROWS, row("qr", 0.01, 0.8), row("qr", 0.001, 0.8)) for name in known}, {})
    for name, (_, table, _) in pages.TABLES.items():
        assert any("`qr`" in line for line in table(of_all)), name


@pytest.mark.slow
def test_the_command_writes_the_files_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = Study("own", "Own", "Small.", (*SMALL, "strategy=full,qr,hash", "budget=0.5,0.25"), more_seeds=True)
    gone = Study(
        "gone", "Gone", "", ("dataset=frappe_x1", f"data_dir={tmp_path}", "strategy=full"), "frappe_x1"
    )
    for place in (results, pages):
        monkeypatch.setattr(place, "STUDIES", (own, gone))
    monkeypatch.setattr(results, "MOST", 1)
    monkeypatch.setattr(results, "SEEDS", (0,))
    monkeypatch.setattr(results, "MORE_SEEDS", (0, 1))
    (tmp_path / "docs").mkdir()
    for page in (pages.METHODS, pages.README):
        (tmp_path / page).write_text("# A page\n")
    results.publish(Options(studies="own,gone", folder=str(tmp_path)))
    first = Path("RESULTS.md").read_text(encoding="utf-8")
    assert "## Own" in first and "Not made yet: Gone (`studies=gone`)." in first
    qr, others = re.search(r"^\| `qr`.*$", first, re.M), re.search(r"^\| `hash`.*$", first, re.M)
    assert qr is not None and others is not None
    assert {qr[0].split("|")[-2].strip(), others[0].split("|")[-2].strip()} == {"1", "2"}
    records = sorted(Path("outputs/results").iterdir())
    numbers = json.loads(Path("docs/measured/own.json").read_text())
    results.publish(Options(studies="own", folder=str(tmp_path)))
    assert sorted(Path("outputs/results").iterdir()) == records  # nothing was trained again
    assert json.loads(Path("docs/measured/own.json").read_text()) == numbers
    assert Path("RESULTS.md").read_text(encoding="utf-8") == first
