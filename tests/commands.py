"""Commands run as a user runs them, in a folder of their own, and what they leave there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cli import run
from bench.config import Settings
from bench.sweeps.jobs import Task, Work

ROOT = Path(__file__).resolve().parent.parent
SMALL = ("dataset.num_users=300", "dataset.num_items=200", "dataset.num_ratings=5000")
GOOD = ("strategy=qr", "save_weights=true")
DIVERGES = ("training.optimizer=sgd", "training.learning_rate=1e30")
LIMIT = 280.0  # seconds; below the tests' own limit, so that what was printed is shown
SET_BY_USERS = (
    "BENCH_DATA_DIR",
    "BENCH_RESULTS_DIR",
    "HYDRA_FULL_ERROR",
    "MLFLOW_TRACKING_URI",
    "COLUMNS",
    "FORCE_COLOR",
)


@dataclass(frozen=True)
class Done:
    """A command that has ended.

    Attributes:
        code: its exit code.
        out: standard output.
        err: standard error.
        cwd: where it ran.
        folders: the output folders that it made, one a run, in order.
    """

    code: int
    out: str
    err: str
    cwd: Path
    folders: tuple[Path, ...]

    @property
    def said(self) -> list[str]:
        """The lines of standard error but those that appear only while something takes long."""
        return [line for line in self.err.splitlines() if not line.endswith(" so far")]

    @property
    def folder(self) -> Path:
        """The output folder of its only run."""
        assert len(self.folders) == 1, (self.folders, self.err)
        return self.folders[0]

    @property
    def result(self) -> dict[str, Any]:
        """``result.json`` of its only run."""
        return result_in(self.folder)

    @property
    def results(self) -> list[dict[str, Any]]:
        """``result.json`` of each run."""
        return [result_in(folder) for folder in self.folders]


@dataclass
class Running:
    """A command under way, leader of a process group of its own.

    Attributes:
        cwd: where it runs.
        process: the command.
        known: output folders that were there before it.
    """

    cwd: Path
    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    known: set[Path] = field(default_factory=set)

    def wait(self, limit: float = LIMIT) -> Done:
        """Waits for its end."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"still running after {limit:.0f} s; standard error: {self.said()}"
            ) from None
        folders = sorted(output_folders(self.cwd) - self.known, key=_by_number)
        return Done(code, self.out.read_text(), self.said(), self.cwd, tuple(folders))

    def until(self, condition: Callable[[], bool], limit: float = LIMIT) -> None:
        """Waits while the command runs and ``condition`` does not hold."""
        end = time.monotonic() + limit
        while not condition():
            assert self.process.poll() is None, f"ended too early: {self.said()}"
            assert time.monotonic() < end, f"waited {limit:.0f} s in vain: {self.said()}"
            time.sleep(0.02)

    def until_trains(self) -> None:
        """Waits for the end of the first epoch."""
        self.until(lambda: "epoch 1/" in self.said())

    def said(self) -> str:
        """Standard error so far."""
        return self.err.read_text()

    def signal_group(self, number: int) -> None:
        """Signals the command and all that it has started, as a terminal does."""
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Ends it and all that it has started, if any of it still runs."""
        if self.others_alive():
            self.signal_group(signal.SIGKILL)
        self.process.wait()

    def others_alive(self) -> bool:
        """Whether anything of its process group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


@dataclass(frozen=True)
class Commands:
    """Starts commands in one folder.

    Attributes:
        cwd: the folder.
        data_dir: where data sets are cached, shared by all tests.
    """

    cwd: Path
    data_dir: Path

    def start(self, *arguments: str, module: str = "bench.run", **environment: str) -> Running:
        """Starts ``python -m MODULE ARGUMENTS``."""
        logs = self.cwd.with_name(f"{self.cwd.name}.logs")
        logs.mkdir(exist_ok=True)
        number = len(list(logs.iterdir())) // 2
        out, err = logs / f"{number}.out", logs / f"{number}.err"
        known = output_folders(self.cwd)
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self.cwd, env=self.environment(**environment), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err,
            )  # fmt: skip
        return Running(self.cwd, process, out, err, known)

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a command: the user's own choices do not reach it."""
        kept = {name: value for name, value in os.environ.items() if name not in SET_BY_USERS}
        return {**kept, "BENCH_DATA_DIR": str(self.data_dir), **more}

    def run(self, *arguments: str, limit: float = LIMIT, **environment: str) -> Done:
        """Runs ``python -m bench.run ARGUMENTS`` to its end."""
        return self.start(*arguments, **environment).wait(limit)

    def small(self, *arguments: str, **environment: str) -> Done:
        """The same on a data set that trains in a moment."""
        return self.run(*SMALL, *arguments, **environment)

    def start_small(self, *arguments: str, **environment: str) -> Running:
        """Starts ``tiny``."""
        return self.start(*SMALL, *arguments, **environment)


def run_here(task: Task, argv: list[str], memory: Callable[[Settings], int] | None = None) -> int:
    """Runs the command ``bench.run`` in this process, with a task in the benchmark's place; returns its exit code."""
    return run.main(argv, Work(task, memory))


def output_folders(cwd: Path) -> set[Path]:
    """The output folders of all runs in a folder, each with ``.hydra``."""
    return {path.parent for path in (cwd / "outputs").rglob(".hydra")}


def _by_number(folder: Path) -> tuple[str, int, str]:
    # a sweep's tenth job comes after its second
    return (str(folder.parent), int(folder.name), "") if folder.name.isdecimal() else (str(folder), 0, "")


def result_in(folder: Path) -> dict[str, Any]:
    """``result.json`` of an output folder; NaN and infinity are no JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{folder}: {name} in result.json")

    result: dict[str, Any] = json.loads((folder / "result.json").read_text(), parse_constant=refuse)
    return result


def error_line(done: Done) -> str:
    """The one line on standard error that says what was wrong; nothing else may stand there, progress aside."""
    lines = [line for line in done.said if not line.startswith(("epoch ", "downloading "))]
    assert len(lines) == 1 and lines[0].startswith("error: "), done.err
    assert "Traceback" not in done.out
    return lines[0]


def unmeasured() -> dict[str, str]:
    """The environment of a process whose imports are looked at: without what measures coverage there."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def client_of(cwd: Path) -> Any:
    """MLflow's client of the database that runs in this folder log to."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{cwd}/outputs/mlflow.db")


def logged_runs(client: Any, experiment: str = "embedding-compression") -> list[Any]:
    """MLflow's runs that stand for a run each: those with a fingerprint."""
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=1000) if found else []
    return [run for run in runs if "fingerprint" in run.data.tags]


def sweep_runs(client: Any, experiment: str = "embedding-compression") -> list[Any]:
    """MLflow's runs that stand for a sweep each."""
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], max_results=1000) if found else []
    return [run for run in runs if "sweep" in run.data.tags]
