"""Sweeps: every job leaves a result, a failed or refused one ends no other."""

from __future__ import annotations

import re

import pytest
from commands import Commands, Done, client_of, error_line, logged_runs, result_in

from bench.records.result import Result
from bench.tradeoff import tradeoff

pytestmark = pytest.mark.slow


def test_each_job_has_its_folder_and_result(sweep: Done) -> None:
    assert sweep.code == 0, sweep.err
    assert [folder.name for folder in sweep.folders] == ["0", "1", "2", "3"]
    assert len({folder.parent for folder in sweep.folders}) == 1
    assert re.fullmatch(
        r"outputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d", str(sweep.folders[0].parent.relative_to(sweep.cwd))
    )
    assert [(result["strategy"], result["seed"]) for result in sweep.results] == [
        ("full", 0), ("full", 1), ("qr", 0), ("qr", 1),
    ]  # fmt: skip


def test_job_that_had_finished_is_not_trained_again(sweep: Done, good: Done) -> None:
    assert [result["status"] for result in sweep.results] == ["finished", "finished", "skipped", "finished"]
    skipped = sweep.results[2]
    assert (skipped["run_id"], skipped["val_mae"]) == (good.result["run_id"], good.result["val_mae"])
    assert len(sweep.err.splitlines()) == 3 * 3  # a line an epoch of those that trained
    assert all(line.startswith("epoch ") for line in sweep.err.splitlines())


def test_jobs_differ_by_what_was_swept(sweep: Done) -> None:
    results = sweep.results
    assert len({result["fingerprint"] for result in results}) == 4
    assert len({result["val_mae"] for result in results}) == 4
    assert [result["compression_ratio"] == 1 for result in results] == [True, True, False, False]
    assert {result["full_embedding_bytes"] for result in results} == {500 * 64 * 4}


def test_report_of_a_sweep_is_beside_its_runs_and_in_mlflow(sweep: Done, good: Done) -> None:
    folder = sweep.folders[0].parent / "report"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert f"report of these runs: {folder.relative_to(sweep.cwd)}/index.html" in sweep.out
    client = client_of(good.cwd)
    (child,) = [run for run in logged_runs(client) if run.info.run_id == sweep.results[0]["run_id"]]
    stored = {file.path for file in client.list_artifacts(child.data.tags["mlflow.parentRunId"], "report")}
    assert {f"report/{path.name}" for path in folder.iterdir()} == stored


def test_a_sweep_that_trains_nothing_writes_no_report(commands: Commands) -> None:
    for _ in range(2):
        again = commands.small("-m", "strategy=full,qr", "training.epochs=1")
    assert {result["status"] for result in again.results} == {"skipped"}
    assert "report of these runs" not in again.out and "python -m bench.report" in again.out
    assert not (again.folders[0].parent / "report").exists()


def test_failed_and_refused_jobs_end_no_other(commands: Commands) -> None:
    done = commands.small(
        "-m", "strategy=qr", "training.optimizer=sgd", "budget=0.0001,0.5", "training.learning_rate=1e30,0.01"
    )
    assert done.code == 1
    line = error_line(done)
    assert "1 of 4 runs failed" in line and " 2 (" in line and "1e+30" in line
    assert re.search(r"^runs 0 \(.*\); 1 \(.*\) refused: budget=0.0001: .*smallest", done.out, re.MULTILINE)
    assert re.search(r"^run 2 \(.*\) failed: .*\bnan\b.*step \d+", done.out, re.MULTILINE)
    written = {folder.name: result_in(folder)["status"] for folder in done.folders if _has_result(folder)}
    assert {name: status for name, status in written.items() if status != "refused"} == {
        "2": "failed", "3": "finished",
    }  # fmt: skip
    statuses = sorted(run.info.status for run in logged_runs(client_of(done.cwd)))
    assert statuses == ["FAILED", "FINISHED"]


def test_every_job_of_a_sweep_is_left_a_result(commands: Commands) -> None:
    done = commands.small("-m", "strategy=qr", "budget=0.0001,0.5")
    assert (done.code, done.err.count("error:")) == (0, 0)  # a refused point is listed and is no failure
    assert [result["status"] for result in done.results] == ["refused", "finished"]


def test_ready_sweep_is_one_word_and_gives_a_trade_off(commands: Commands) -> None:
    given = ("dataset=synthetic", "num_buckets=20,40", "seed=0,1", "training.epochs=1")
    done = commands.small("experiment=sweep_buckets", *given)
    assert done.code == 0, done.err
    groups = tradeoff([Result.read(folder) for folder in done.folders]).groups
    assert [(group.strategy, group.seeds) for group in groups] == [("qr", [0, 1])] * 2
    assert [group.embeddings["item"]["num_buckets"] for group in groups] == [40, 20]
    assert all(group.statistics["val_mae"].ci95 for group in groups)
    assert any(group.pareto for group in groups)


def _has_result(folder) -> bool:
    return (folder / "result.json").exists()


def test_full_tables_of_an_earlier_sweep_are_the_baseline(commands: Commands) -> None:
    quick = ("training.epochs=1", "training.jit=false")
    assert commands.small("-m", "strategy=full", "seed=0,1,2", *quick).code == 0
    done = commands.small("-m", "strategy=qr", "seed=0,1", *quick)
    rows = {words[0]: words for line in done.out.splitlines() if (words := line.replace("*", " ").split())}
    assert "baseline" in rows["full"], done.out
    assert "2 runs of earlier commands, to compare with." in done.out
    page = (done.folders[0].parent / "report" / "index.html").read_text(encoding="utf-8")
    assert "baseline" in page
    # of other training, nothing is the baseline
    other = commands.small("-m", "strategy=qr", "seed=0,1", "training.epochs=2", "training.jit=false")
    assert "of an earlier command" not in other.out


def test_an_experiment_that_is_renamed_in_mlflow_trains_nothing_anew(commands: Commands) -> None:
    given = ("-m", "strategy=full,qr", "training.epochs=1", "training.jit=false")
    assert commands.small(*given).code == 0
    client = client_of(commands.cwd)
    experiment = client.get_experiment_by_name("embedding-compression")
    client.rename_experiment(experiment.experiment_id, "mine")
    again = commands.small(*given)
    assert [result["status"] for result in again.results] == ["skipped", "skipped"], again.err
    assert len(logged_runs(client, "mine")) == 2 and not logged_runs(client)
