"""The report of one sweep: its numbers hold still, whatever else is recorded; its family of comparisons is named."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import made
from scipy import stats

from bench.cli.report import main
from bench.config import report as request
from bench.errors import RequestError
from bench.records.result import Result
from bench.records.store import Store
from bench.records.sweeps import Member, SweepRecord
from bench.reporting import contents, page, plots, sources, swept, tables
from bench.tradeoff import tradeoff

SEEDS = range(3)


def named(run: Result) -> Result:
    """The run with a fingerprint that can be a folder's name."""
    return replace(run, fingerprint=hashlib.sha256(str(run.fingerprint).encode()).hexdigest())


def noisy(
    strategy: str, mae: float, size: float, dataset: str = "synthetic", **changed: object
) -> list[Result]:
    rng = np.random.default_rng([len(strategy), int(1000 * size), int(1e4 * mae)])
    return [
        named(made(strategy, seed, mae + float(rng.normal(0, 0.004)), size, dataset, **changed))
        for seed in SEEDS
    ]


def sweep_runs() -> list[Result]:
    return [
        *noisy("full", 0.70, 1.0),
        *noisy("md", 0.706, 0.2),
        *noisy("md", 0.71, 0.1),
        *noisy("qr", 0.75, 0.2),
        *noisy("qr", 0.78, 0.1),
    ]


def unrelated() -> list[Result]:
    """60 runs: other data, other strategies and budgets on the same data, other training, other models."""
    found = [
        *(run for size in (0.3, 0.12, 0.05) for run in noisy("full", 0.68, size, "movielens_1m")),
        *(run for size in (0.5, 0.4, 0.3, 0.05, 0.02) for run in noisy("lowrank", 0.72, size)),
        *(run for size in (0.4, 0.3, 0.05) for run in noisy("md", 0.73, size)),
        *(run for size in (0.4, 0.3, 0.05) for run in noisy("tt", 0.73, size)),
        *(
            run
            for size in (0.9, 0.7, 0.6)
            for run in noisy("qr", 0.70, size, overrides=("training.epochs=5",))
        ),
        *(run for size in (0.9, 0.7, 0.6) for run in noisy("qr", 0.70, size, overrides=("model=dot_bias",))),
    ]
    assert len(found) == 60
    return found


def record(folder: Path, runs: list[Result], key: str = "ab12", where: str = "outputs/one") -> SweepRecord:
    jobs = tuple(
        Member(number, (f"strategy={run.strategy}", f"seed={run.seed}"), "finished", run.fingerprint)
        for number, run in enumerate(runs)
    )
    sweep = SweepRecord(
        key, "strategy=full,md,qr", "python -m bench.run -m", str(Path(where).absolute()), "p", {}, jobs
    )
    sweep.write(Store(folder))
    return sweep


def shown(folder: Path, *given: str) -> tuple[str, str, str, str]:
    """JSON, CSV, Markdown and the page of the report of some records."""
    asked = request.read([f"results_dir={folder}", *given])
    found = sources.read(asked)
    built = contents.build(found.results, asked.ci, found.unreadable, (), found.scope)
    specs = {section.key: plots.specifications(section) for section in built.sections}
    html = page.page(built, found.origin, page.Drawn(specs, ""))
    return tables.as_json(built), tables.table(built), tables.markdown(built), html


def test_unrelated_runs_change_no_number_of_a_sweeps_report(tmp_path: Path) -> None:
    store, runs = Store(tmp_path), sweep_runs()
    for run in runs:
        store.add(run)
    record(tmp_path, runs)
    before, all_before = shown(tmp_path, "sweep=ab"), shown(tmp_path)
    for run in unrelated():
        store.add(run)
    assert shown(tmp_path, "sweep=ab") == before
    assert shown(tmp_path, "sweep=outputs/one") == before
    assert shown(tmp_path, "sweep=latest") == before
    # its numbers are those of the report that the sweep writes itself, from the results at hand
    own = contents.build(runs, scope="sweep")
    assert (tables.as_json(own), tables.table(own), tables.markdown(own)) == before[:3]
    # without a choice, the family is that of the section, which has grown
    alone, whole, grown = (
        {group["name"]: group["p_value"] for group in json.loads(text)["groups"]}
        for text in (before[0], all_before[0], shown(tmp_path)[0])
    )
    assert alone == whole and grown["md budget=0.1"] > alone["md budget=0.1"]


def test_the_family_is_named_wherever_p_values_are(tmp_path: Path) -> None:
    for run in sweep_runs():
        Store(tmp_path).add(run)
    record(tmp_path, sweep_runs())
    for given, words in (
        (["sweep=latest"], "Holm-corrected over the 4 comparisons of this sweep"),
        (["strategy=md"], "Holm-corrected over the 2 comparisons that the filters select"),
        (["sweep=latest", "strategy=qr"], "Holm-corrected over the 2 comparisons that the filters select"),
        ([], "Holm-corrected over the 4 comparisons in this section"),
    ):
        as_json, as_csv, markdown, html = shown(tmp_path, *given)
        assert words in markdown and words in html
        values = json.loads(as_json)
        assert values["sets"][0]["p_family"] == words.removeprefix("Holm-corrected over ")
        counts = {group["p_comparisons"] for group in values["groups"] if not group["baseline"]}
        assert counts == {int(re.search(r"\d", words)[0])}  # type: ignore[index]
        assert f",{counts.pop()}," in as_csv.splitlines()[-1]
        # the effect stands before the interval and the p value
        assert re.search(r"\| \+0\.\d{4} ± 0\.\d{4} \| <?0\.\d+ \|", markdown)


def test_one_comparison_needs_no_correction() -> None:
    found = tradeoff([*noisy("full", 0.7, 1.0), *noisy("md", 0.71, 0.2)], scope="sweep")
    group = found.groups[1]
    assert group.p_value == group.delta.p_value and group.family
    assert group.family.correction == "not corrected, as the only comparison of this sweep"


def test_a_sweep_over_two_data_sets_is_one_family() -> None:
    runs = [*sweep_runs(), *noisy("full", 0.6, 1.0, "movielens_1m"), *noisy("md", 0.61, 0.2, "movielens_1m")]
    values: dict[tuple[str | None, str | None, int | None], list[float]] = {}
    for run in runs:
        values.setdefault((run.dataset, run.strategy, run.embedding_bytes), []).append(run.val_mae or 0.0)
    full = {key[0]: own for key, own in values.items() if key[1] == "full"}
    raw = {key: stats.ttest_rel(own, full[key[0]]).pvalue for key, own in values.items() if key[1] != "full"}
    ordered, expected, before = sorted(raw, key=lambda key: raw[key]), {}, 0.0
    for place, key in enumerate(ordered):
        before = max(before, min(1.0, raw[key] * (5 - place)))
        expected[key] = before
    found = {
        (group.runs[0].dataset, group.strategy, group.runs[0].embedding_bytes): group
        for group in tradeoff(runs, scope="sweep").groups
        if not group.baseline
    }
    assert found.keys() == expected.keys() and len(found) == 5
    for key, group in found.items():
        assert group.p_value == pytest.approx(expected[key], abs=1e-12)
        assert group.delta.p_value == pytest.approx(raw[key], abs=1e-12)
        assert group.family and group.family.size == 5
    sections = tradeoff(runs).sets
    assert [one.family.size for one in sections if one.family] == [4, 1]


def test_runs_of_a_sweep_that_have_no_numbers_are_listed(tmp_path: Path) -> None:
    store, runs = Store(tmp_path), sweep_runs()
    for run in runs[1:]:
        store.add(run)
    sweep = record(tmp_path, runs)
    sweep.with_job(Member(90, ("seed=7",), "failed", None, "a loss of NaN")).with_job(
        Member(91, ("seed=8",))
    ).write(store)
    found = sources.read(request.read([f"results_dir={tmp_path}", "sweep=ab"]))
    assert len(found.results) == len(runs) - 1
    assert [(run.status, run.name, run.reason) for run in found.unreadable] == [
        ("missing", "strategy=full seed=0", "its record is no longer there"),
        ("failed", "seed=7", "a loss of NaN"),
        ("missing", "seed=8", "the sweep was stopped before it"),
    ]


def test_a_sweep_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    with pytest.raises(RequestError, match="no records of sweeps in"):
        swept.find(store, "latest")
    record(tmp_path, sweep_runs(), "ab12", "outputs/one")
    record(tmp_path, sweep_runs(), "ab34", "outputs/two")
    assert swept.find(store, "ab3").key == swept.find(store, "outputs/two").key == "ab34"
    with pytest.raises(RequestError, match=r"sweep=ab: several sweeps are called so; .*ab34 in .*; ab12 in "):
        swept.find(store, "ab")
    assert main([f"results_dir={tmp_path}", "sweep=zz", "format=json"]) == 2
    out, err = capsys.readouterr()
    assert (
        out == "" and err.count("\n") == 1 and "no such sweep" in err and "/outputs/one (strategy=full" in err
    )


def test_of_two_commands_in_one_folder_the_latest_counts(tmp_path: Path) -> None:
    record(tmp_path, sweep_runs(), "ab12")
    record(tmp_path, sweep_runs(), "cd34")
    os.utime(tmp_path / "sweeps" / "ab12.json", (1, 1))
    assert swept.find(Store(tmp_path), "outputs/one").key == "cd34"


def test_a_sweep_without_full_tables_takes_those_of_another_command(tmp_path: Path) -> None:
    store, runs = Store(tmp_path), sweep_runs()
    biases = noisy("full", 0.72, 1 / 64, overrides=("model=bias", "embedding_dim=1"))
    for run in [*runs, *biases]:
        store.add(run)
    record(tmp_path, runs[3:])
    values = json.loads(shown(tmp_path, "sweep=ab")[0])
    full, *others = values["groups"]
    assert full["baseline"] and {group["p_comparisons"] for group in others} == {4}
    assert values["sets"][0]["biases"]["seeds"] == [0, 1, 2]
    assert values["sets"][0]["biases"]["delta"] == pytest.approx(
        np.mean([run.val_mae for run in biases]) - np.mean([run.val_mae for run in runs[:3]])
    )
