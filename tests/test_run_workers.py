"""Sweeps whose runs go on beside each other in workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from commands import Commands, Done, Running, client_of, error_line, logged_runs, result_in, sweep_runs

pytestmark = pytest.mark.slow

WORKERS = ("hydra/launcher=workers", "hydra.launcher.n_jobs=2")
SWEEP = ("-m", "strategy=full,qr", "seed=0,1")
LONG = "training.epochs=20000"


@pytest.fixture(scope="module")
def beside(new_commands: Callable[[str], Commands]) -> Done:
    """A sweep of four runs on two workers."""
    return new_commands("beside").small(*SWEEP, *WORKERS)


def log_of(running: Running) -> str:
    """What the workers have said so far."""
    return "".join(path.read_text() for path in running.cwd.glob("outputs/*/*/workers.log"))


def test_numbers_are_those_of_one_process(beside: Done, new_commands: Callable[[str], Commands]) -> None:
    assert beside.code == 0, beside.err
    serial = new_commands("serial").small(*SWEEP)
    for one, other in zip(beside.results, serial.results, strict=True):
        assert (one["strategy"], one["seed"], one["fingerprint"]) == (
            other["strategy"], other["seed"], other["fingerprint"],
        )  # fmt: skip
        for key in ("val_mae", "val_rmse", "train_loss", "val_mae_by_decile"):
            assert one[key] == other[key]


def test_each_run_has_a_thread_and_says_that_it_was_not_alone(beside: Done) -> None:
    assert {result["environment"]["threads"] for result in beside.results} == {1}
    assert max(result["environment"]["jobs"] for result in beside.results) >= 2
    runs = logged_runs(client_of(beside.cwd))
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert {run.data.tags["environment.threads"] for run in runs} == {"1"}


def test_a_line_a_run_and_the_trade_off(beside: Done) -> None:
    lines = beside.out.splitlines()
    ended = [line for line in lines if line.startswith("run ")]
    assert len(ended) == 4 and all("finished" in line and "val MAE " in line for line in ended)
    assert "strategy=qr seed=1" in "".join(ended) and "dataset.num_users" not in beside.out
    table = [line.split() for line in lines if line.startswith(("*  ", "   "))]
    assert {"full", "qr"} <= {word for row in table for word in row}
    assert beside.said == []


def test_same_command_trains_nothing(beside: Done) -> None:
    again = Commands(beside.cwd, _data_dir(beside)).small(*SWEEP, *WORKERS)
    assert [result["status"] for result in again.results] == ["skipped"] * 4
    assert [r["val_mae"] for r in again.results] == [r["val_mae"] for r in beside.results]
    assert len(logged_runs(client_of(beside.cwd))) == 4


def test_runs_of_all_workers_lie_below_one(beside: Done) -> None:
    client = client_of(beside.cwd)
    (own,) = sweep_runs(client)  # also after the same command
    assert own.info.status == "FINISHED" and own.info.run_name == "strategy=full,qr seed=0,1"
    assert {run.data.tags["mlflow.parentRunId"] for run in logged_runs(client)} == {own.info.run_id}


def _data_dir(done: Done) -> Path:
    return Path(done.results[0]["settings"]["data_dir"])


def test_equal_runs_at_the_same_moment_train_once(commands: Commands) -> None:
    done = commands.small("-m", "seed=5,5", *WORKERS)
    assert done.code == 0, done.err
    assert sorted(result["status"] for result in done.results) == ["finished", "skipped"]
    assert len(logged_runs(client_of(done.cwd))) == 1


def test_killed_worker_costs_its_run_only(commands: Commands) -> None:
    sweep = ("-m", "training.epochs=2,20000,3", "seed=3", *WORKERS)
    running = commands.start_small(*sweep)
    try:
        running.until(lambda: _finished(commands, 2) and "/20000 " in log_of(running))
        _process_at(running, "1/run.log").kill()
        done = running.wait()
    finally:
        running.kill()
    assert done.code == 1, done.err
    assert "1 of 3 runs failed" in error_line(done) and "training.epochs=20000" in error_line(done)
    assert [result["status"] for result in done.results] == ["finished", "failed", "finished"]
    assert "killed" in result_in(done.folders[1])["error"]
    statuses = sorted(run.info.status for run in logged_runs(client_of(done.cwd)))
    assert statuses == ["FINISHED", "FINISHED", "KILLED"]
    (own,) = sweep_runs(client_of(done.cwd))
    assert own.info.status == "FAILED" and own.data.tags["runs.failed"] == "1"


def _process_at(running: Running, file: str) -> psutil.Process:
    """The process of a command that has a file open."""
    for process in psutil.Process(running.process.pid).children(recursive=True):
        if any(opened.path.endswith(f"/{file}") for opened in process.open_files()):
            return process
    raise AssertionError(f"no process has {file} open")


def _finished(commands: Commands, count: int) -> bool:
    return len(list(commands.cwd.glob("outputs/2*/*/*/result.json"))) >= count


@pytest.mark.parametrize("whole_group", [True, False])
def test_interrupt_ends_the_running_and_keeps_the_finished(commands: Commands, whole_group: bool) -> None:
    running = commands.start_small("-m", "training.epochs=2,20000,20001,5", "seed=4", *WORKERS)
    try:
        running.until(lambda: _finished(commands, 1) and "1/20001" in log_of(running))
        if whole_group:
            running.signal_group(signal.SIGINT)
        else:
            os.kill(running.process.pid, signal.SIGINT)
        done = running.wait(100)
        end = time.monotonic() + 30
        while running.others_alive() and time.monotonic() < end:
            time.sleep(0.1)
        assert not running.others_alive()
    finally:
        running.kill()
    assert done.code == 130, done.err
    assert "1 finished run kept" in error_line(done)
    assert "python -m bench.run" in done.err and "training.epochs=2,20000,20001,5" in done.err
    assert "Traceback" not in log_of(running)
    statuses = sorted(run.info.status for run in logged_runs(client_of(done.cwd)))
    assert statuses == ["FINISHED", "KILLED", "KILLED"]
    (own,) = sweep_runs(client_of(done.cwd))
    assert own.info.status == "KILLED" and own.data.tags["runs.missing"] == "3"


def test_kill_of_everything_then_the_same_command(commands: Commands) -> None:
    sweep = ("-m", "strategy=full,qr,md", "seed=0,1", *WORKERS)
    for moment in (1, 3):
        running = commands.start_small(*sweep)
        try:
            running.until(lambda moment=moment: _finished(commands, moment))
        finally:
            running.kill()
    done = commands.small(*sweep)
    assert done.code == 0, done.err
    assert len(done.results) == 6 and {r["status"] for r in done.results} <= {"finished", "skipped"}
    with contextlib.closing(sqlite3.connect(commands.cwd / "outputs" / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    runs = logged_runs(client_of(done.cwd))
    finished = [run.data.tags["fingerprint"] for run in runs if run.info.status == "FINISHED"]
    assert len(finished) == len(set(finished)) == 6
    assert not [run for run in runs if run.info.status == "RUNNING"]
    (own,) = sweep_runs(client_of(done.cwd))  # of all three commands
    assert own.info.status == "FINISHED" and own.data.tags["runs.finished"] == "6"
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {own.info.run_id}
    for path in commands.cwd.rglob("result.json"):
        result_in(path.parent)


def test_a_run_that_was_recorded_and_never_sent(commands: Commands) -> None:
    sweep = ("-m", "strategy=full", "seed=0,1")
    assert commands.small(*sweep).code == 0
    client = client_of(commands.cwd)
    left, other = logged_runs(client)
    (own,) = sweep_runs(client)
    # as a kill of all processes leaves it between the record and the end of MLflow's run
    (record,) = commands.cwd.glob("outputs/results/sweeps/*.json")
    for run_id in (left.info.run_id, own.info.run_id):
        client.update_run(run_id, status="RUNNING")
    known = json.loads(record.read_text())
    trained = [other.data.tags["fingerprint"]]
    record.write_text(json.dumps({**known, "status": "running", "trained": trained}))
    client.delete_tag(left.info.run_id, "status")

    done = commands.small(*sweep)
    assert done.code == 0 and [result["status"] for result in done.results] == ["skipped"] * 2, done.err
    assert sorted(run.info.status for run in logged_runs(client)) == ["FINISHED", "FINISHED"]
    (own,) = sweep_runs(client)
    assert own.info.status == "FINISHED" and own.data.tags["runs.finished"] == "2"
    assert {run.data.tags["mlflow.parentRunId"] for run in logged_runs(client)} == {own.info.run_id}


def test_runs_that_do_not_fit_into_memory_are_refused(commands: Commands) -> None:
    done = commands.small(
        "-m", "seed=range(0,60)", "hydra/launcher=workers", "hydra.launcher.n_jobs=60", limit=250
    )
    assert done.code == 2
    line = error_line(done)
    assert "hydra.launcher.n_jobs=60: 60 x 1." in line and "GiB are free; give hydra.launcher.n_jobs=" in line
    assert not (commands.cwd / "outputs").exists()


def test_what_is_wrong_with_a_later_job_leaves_nothing(commands: Commands) -> None:
    done = commands.small("-m", "strategy=qr", "num_buckets=120,-5", *WORKERS)  # imports have begun by then
    assert done.code == 2 and error_line(done).startswith("error: num_buckets=-5: give ")
    assert not list(commands.cwd.iterdir())


def test_time_alone(commands: Commands) -> None:
    done = commands.small("-m", "strategy=full,qr", "timing=true", *WORKERS)
    assert done.code == 0, done.err
    assert [result["environment"]["jobs"] for result in done.results] == [1, 1]
    assert all(result["step_time_ms"] > 0 for result in done.results)
    quick = commands.small("-m", "strategy=full,qr", *WORKERS)
    for one, other in zip(done.results, quick.results, strict=True):
        assert one["val_mae"] == other["val_mae"]  # what is timed comes after what is reported
