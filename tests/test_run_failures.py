"""Runs that fail, are interrupted, killed or refused: the exit code, the one line, and what is left."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Commands, client_of, error_line, logged_runs, result_in

SLOW_MODULES = ("tensorflow", "keras", "mlflow", "pandas", "pyarrow", "torch")


@pytest.mark.parametrize(
    ("arguments", "code", "holds"),
    [
        (["--help"], 0, "strategy=qr num_buckets=120"),
        pytest.param(["--cfg", "job", "strategy=qr_md"], 0, "num_buckets", marks=pytest.mark.slow),
        (["strategy=full", "num_buckets=120"], 2, "num_buckets=120"),
        pytest.param(["strategy=nosuch"], 2, "strategy=nosuch", marks=pytest.mark.slow),
        pytest.param(["training.epochs=0"], 2, "training.epochs=0", marks=pytest.mark.slow),
        (["--nosuch"], 2, "--nosuch"),
        (["-m", "strategy=full,qr", "seed=0,-1"], 2, "seed=-1"),
        pytest.param(
            ["-m", "strategy=full,qr,nosuch", "seed=0,1"], 2, "strategy=nosuch", marks=pytest.mark.slow
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_quick_answers_import_nothing_slow(
    commands: Commands, arguments: list[str], code: int, holds: str
) -> None:
    done = commands.run(*arguments, PYTHONPROFILEIMPORTTIME="1")
    imported = re.findall(r"^import time:.*\| *([\w.]+)$", done.err, re.MULTILINE)
    rest = [line for line in done.err.splitlines() if not line.startswith("import time:")]
    assert done.code == code, rest
    assert "hydra" in imported or arguments == ["--help"]
    assert not {name.partition(".")[0] for name in imported} & set(SLOW_MODULES)
    if code:
        (line,) = rest
        assert line.startswith("error: ") and holds in line
    else:
        assert rest == [] and holds in done.out
    assert list(commands.cwd.iterdir()) == []  # nothing left behind


@pytest.mark.slow
def test_killed_run_leaves_nothing_half_written(commands: Commands) -> None:
    running = commands.start_small("seed=7", "training.epochs=20000")
    try:
        running.until_trains()
        running.process.send_signal(signal.SIGKILL)
        killed = running.wait()
        end = time.monotonic() + 30
        while running.others_alive() and time.monotonic() < end:
            time.sleep(0.1)
        assert not running.others_alive()  # what it had started does not outlive it
    finally:
        running.kill()
    assert killed.code == -signal.SIGKILL
    assert not list(killed.folder.glob("*result.json*"))
    with contextlib.closing(sqlite3.connect(commands.cwd / "outputs" / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (run,) = logged_runs(client_of(commands.cwd))
    assert run.info.status != "FINISHED"


@pytest.mark.slow
def test_killed_run_is_trained_again(commands: Commands) -> None:
    few = ("seed=7", "dataset.num_ratings=30000", "training.epochs=40", "training.jit=false")
    running = commands.start_small(*few)
    try:
        running.until_trains()
    finally:
        running.kill()
    done = commands.small(*few)
    assert (done.code, done.result["status"]) == (0, "finished"), done.err
    runs = {run.info.run_id: run for run in logged_runs(client_of(commands.cwd))}
    assert len({run.data.tags["fingerprint"] for run in runs.values()}) == 1
    assert [id for id, run in runs.items() if run.info.status == "FINISHED"] == [done.result["run_id"]]


@pytest.mark.slow
def test_killed_run_goes_on_from_its_last_epoch(new_commands: Callable[[str], Commands]) -> None:
    few = ("strategy=qr", "dataset.num_ratings=30000", "training.epochs=30", "training.jit=false")
    whole = new_commands("whole").small(*few)
    here = new_commands("killed")
    running = here.start_small(*few, "training.checkpoint=true")
    try:
        running.until(lambda: "epoch 3/" in running.said())
    finally:
        running.kill()
    (state,) = (here.cwd / "outputs" / "results" / "checkpoints").iterdir()
    done = here.small(*few)  # goes on, whatever is kept from now on
    assert (done.code, done.result["status"]) == (0, "finished"), done.err
    found = re.search(r"^going on after epoch (\d+) of 30$", done.err, re.M)
    assert found and int(found[1]) >= 2, done.err
    assert done.result["fingerprint"] == whole.result["fingerprint"] == state.name
    for key in ("val_mae", "val_rmse", "train_loss", "history", "val_mae_by_decile", "val_mae_worst_ids"):
        assert done.result[key] == whole.result[key], key
    assert done.result["train_s"] < done.result["total_s"]
    assert not state.parent.exists()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 2.0, 5.0])
def test_interrupt_at_any_time_says_one_line(commands: Commands, seconds: float) -> None:
    running = commands.start_small("training.epochs=20000")
    try:
        running.until(lambda: any((commands.cwd / "outputs").rglob(".hydra")))
        time.sleep(seconds)
        running.signal_group(signal.SIGINT)
        done = running.wait(60)
    finally:
        running.kill()
    assert done.code == 130, done.err
    assert "interrupted" in error_line(done)
    assert not list(done.cwd.rglob("result.json"))
    with contextlib.suppress(FileNotFoundError):
        assert {run.info.status for run in _runs_if_any(commands)} <= {"KILLED"}


def _runs_if_any(commands: Commands) -> list[Any]:
    database = commands.cwd / "outputs" / "mlflow.db"
    if not database.exists() or not database.stat().st_size:
        return []
    return logged_runs(client_of(commands.cwd))


@pytest.mark.slow
def test_interrupted_sweep_keeps_what_has_finished(commands: Commands) -> None:
    running = commands.start_small("-m", "training.epochs=2,20000,3", "seed=5")
    try:
        running.until(lambda: running.said().count("epoch 1/") >= 2)
        running.signal_group(signal.SIGINT)
        done = running.wait(60)
    finally:
        running.kill()
    assert done.code == 130 and "interrupted" in error_line(done)
    assert [path.name for path in done.folders] == ["0", "1"]
    assert result_in(done.folders[0])["status"] == "finished"
    assert not (done.folders[1] / "result.json").exists()
    assert {run.data.params["training.epochs"]: run.info.status for run in _runs_if_any(commands)} == {
        "2": "FINISHED", "20000": "KILLED",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "holds"),
    [
        (["strategy=qr", "budget=0.0001"], 2, "budget=0.0001: .*smallest .*0\\.\\d+"),
        (["strategy=qr", "budget=1.5"], 2, "budget=1.5: .*at most 1"),
        (["strategy=qr", "num_buckets=150", "budget=0.1"], 2, "budget=0.1"),
        (["embeddings.item.block_dims=[64]"], 2, "block_dims"),
        (["strategy=qr", "num_buckets=3"], 2, "num_buckets=3"),
        (["tracking.uri=nosuch://x"], 2, "tracking.uri=nosuch://x"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_refused_only_once_the_data_is_known(
    commands: Commands, arguments: list[str], code: int, holds: str
) -> None:
    done = commands.small(*arguments)
    assert done.code == code, done.err
    assert re.search(holds, error_line(done))
    assert not list(commands.cwd.rglob("result.json"))
    assert not done.folders


@pytest.mark.slow
def test_source_out_of_reach(commands: Commands, tmp_path: Path) -> None:
    here = Commands(commands.cwd, tmp_path / "data")
    done = here.run("dataset=movielens_1m", "dataset.url=http://127.0.0.1:9/ml-1m.zip")
    assert done.code == 1
    line = error_line(done)
    assert "127.0.0.1:9" in line and "ml-1m" in line and str(tmp_path / "data") in line


@pytest.mark.slow
def test_broken_archive(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(b"PK\3\4 and no more")
    done = Commands(commands.cwd, tmp_path).run("dataset=movielens_1m")
    assert done.code == 2
    assert "ml-1m.zip" in error_line(done)


@pytest.mark.slow
def test_traceback_on_request_alone(commands: Commands) -> None:
    done = commands.run("num_buckets=3", HYDRA_FULL_ERROR="1")
    assert done.code == 2 and "Traceback" in done.err
    assert [line for line in done.err.splitlines() if line.startswith("error: ")]


@pytest.mark.slow
def test_folder_that_cannot_be_written_to(commands: Commands) -> None:
    (commands.cwd / "outputs").write_text("a file")
    done = commands.small()
    assert done.code == 1
    assert "outputs" in error_line(done)
