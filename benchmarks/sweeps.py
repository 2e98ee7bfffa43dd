"""How fast and how safe a sweep is: workers against one process, and SIGKILL at random moments.

``python -m benchmarks.sweeps [repeats=3] [kills=20] [seed=0] [parts=speed,repeat,kills]``; each command starts in a
folder of its own, with a data set that is prepared once before. Prints what is aimed at beside what was found, and
ends with 1 where that differs.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import RequestError
from bench.measure.environment import cores

PARTS = ("speed", "repeat", "kills")
SWEEP = ("-m", "strategy=full,qr,md,qr_md", "seed=0,1,2,3,4,5", "training.epochs=1")
RUNS = 24
WORKERS = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@dataclass(frozen=True)
class Swept:
    """A sweep that has ended or was killed.

    Attributes:
        code: its exit code.
        seconds: from Enter to prompt.
        results: of all runs in its folder, by what was asked for.
    """

    code: int
    seconds: float
    results: dict[tuple[str, int], dict[str, Any]]


def start(folder: Path, *overrides: str) -> subprocess.Popen[bytes]:
    """Starts the sweep as the leader of a process group."""
    log = (folder / "log.txt").open("ab")
    command = [sys.executable, "-m", "bench.run", *SWEEP, *overrides]
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
    )


def sweep(folder: Path, *overrides: str, kill_after: float | None = None) -> Swept:
    """Runs the sweep in a folder, or kills its whole process group after some seconds."""
    began = time.perf_counter()
    process = start(folder, *overrides)
    try:
        process.wait(kill_after)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return Swept(process.returncode, time.perf_counter() - began, results_in(folder))


def results_in(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The latest numbers of every run below a folder; fails where a ``result.json`` does not parse."""
    found = {}
    for path in sorted(folder.glob("outputs/2*/*/*/result.json")):
        result = json.loads(path.read_text())
        if result["status"] in ("finished", "skipped"):
            found[result["strategy"], result["seed"]] = result
    return found


def finished_in(folder: Path) -> Counter[str]:
    """How many finished runs MLflow's database has of each fingerprint; fails where it cannot be opened."""
    database = folder / "outputs" / "mlflow.db"
    if not database.exists():
        return Counter()
    query = (
        "SELECT value FROM runs JOIN tags USING (run_uuid) WHERE tags.key = 'fingerprint' AND "
        "runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active'"
    )
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with contextlib.suppress(sqlite3.OperationalError):  # killed before its tables were made
            return Counter(value for (value,) in connection.execute(query))
    return Counter()


def says(name: str, value: str, good: bool) -> bool:
    """Prints a line, and whether it is what is aimed at."""
    print(f"{name:<58} {value:<24} {'yes' if good else 'NO'}", flush=True)
    return good


def speed(repeats: int) -> bool:
    """Workers against one process with a thread a core, in turns."""
    good, ratios, beyond = True, [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            serial, beside = sweep(Path(one)), sweep(Path(two), *WORKERS)
        good &= serial.code == beside.code == 0 and len(beside.results) == RUNS
        ratios.append(serial.seconds / beside.seconds)
        each = [r["total_s"] - r["compile_s"] - r["train_s"] - r["eval_s"] for r in beside.results.values()]
        beyond.append(sum(each) / len(each))
        print(
            f"  one process {serial.seconds:.1f} s, two workers {beside.seconds:.1f} s, beyond compilation, "
            f"training and evaluation {beyond[-1]:.2f} s a run",
            flush=True,
        )
    good = says(f"{repeats} sweeps of {RUNS} runs without a failure", "", good)
    middle = sorted(ratios)[len(ratios) // 2]
    good &= says("as many runs a minute as one process: at least 1.4", f"{middle:.2f}", middle >= 1.4)
    most = sorted(beyond)[len(beyond) // 2]
    return says("seconds a run beyond its own work: at most 1.0", f"{most:.2f}", most <= 1.0) and good


def repeat() -> bool:
    """The same command once more."""
    with tempfile.TemporaryDirectory() as folder:
        sweep(Path(folder), *WORKERS)
        again = sweep(Path(folder), *WORKERS)
        skipped = all(result["status"] == "skipped" for result in again.results.values())
        good = again.code == 0 and skipped and len(again.results) == RUNS
    return says(
        "a finished sweep once more: under 12 s", f"{again.seconds:.1f} s", good and again.seconds < 12
    )


def kills(times: int, seed: int) -> bool:
    """SIGKILL of the whole process group at random moments, each followed by the same command."""
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        whole = sweep(Path(one), *WORKERS)
        folder, once, retrained = Path(two), Counter[str](), 0
        for number in range(times):
            moment = generator.uniform(0.5, whole.seconds)
            swept = sweep(folder, *WORKERS, kill_after=moment)
            now = finished_in(folder)
            retrained += sum(now[key] > 1 for key in once)
            once = now
            ended = "killed" if swept.code == -signal.SIGKILL else f"ended with {swept.code}"
            print(
                f"  {number + 1}: {ended} after {swept.seconds:.1f} s, {len(now)} runs finished", flush=True
            )
            if len(now) == RUNS and swept.code == 0:  # nothing is left to kill: begin anew
                good = all(count == 1 for count in now.values()) and equal(swept, whole)
                if not says("  each run finished once, with the same numbers", "", good):
                    return False
                subprocess.run(["rm", "-rf", str(folder / "outputs")], check=True)
                once = Counter()
        last = sweep(folder, *WORKERS)
        now = finished_in(folder)
    good = last.code == 0 and len(now) == RUNS and all(count == 1 for count in now.values())
    good = says(f"{times} kills: every run exists once as finished", f"{len(now)} of {RUNS}", good)
    good &= says("none was trained again after it had finished", "", retrained == 0)
    return says("all numbers as without a kill, to the last digit", "", equal(last, whole)) and good


def equal(one: Swept, other: Swept) -> bool:
    """Whether two sweeps have the same errors, to the last digit."""
    keys = ("val_mae", "val_rmse", "val_loss", "train_loss", "val_mae_by_decile", "embedding_bytes")
    return one.results.keys() == other.results.keys() and all(
        one.results[run][key] == other.results[run][key] for run in one.results for key in keys
    )


def main(arguments: list[str]) -> int:
    """Runs the benchmark; ``NAME=VALUE`` arguments as the module says."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        repeats, times, seed = (int(given.pop(n, d)) for n, d in (("repeats", 3), ("kills", 20), ("seed", 0)))
        parts = given.pop("parts", ",".join(PARTS)).split(",")
        if given or repeats < 1 or times < 1 or not set(parts) <= set(PARTS):
            raise RequestError(
                f"{' '.join(arguments)}: give repeats=3 kills=20 seed=0 parts={','.join(PARTS)}"
            )
    except (RequestError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{RUNS} runs, {cores()} cores: python -m bench.run {' '.join(SWEEP)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:  # prepares the data set, and files in the system's cache
        subprocess.run(
            [sys.executable, "-m", "bench.run", "training.epochs=1"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
            check=True,
            capture_output=True,
        )
    good = True
    if "speed" in parts:
        good &= speed(repeats)
    if "repeat" in parts:
        good &= repeat()
    if "kills" in parts:
        good &= kills(times, seed)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
