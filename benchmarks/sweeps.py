"""Measures how fast and how safe sweeps are: two workers against one process, and SIGKILL at random moments.

Run it with ``python -m benchmarks.sweeps [repeats=3] [kills=20] [seed=0] [parts=speed,repeat,kills,many]``. Each
command starts in an empty folder. The data set is prepared once before. Each goal is printed beside the measured
number. The exit code is 1 if a goal is missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import RequestError
from bench.measure.environment import cores
from bench.records.store import Record, Store

PARTS = ("speed", "repeat", "kills", "many")
SWEEP = ("-m", "strategy=full,qr,md,qr_md", "seed=0,1,2,3,4,5", "training.epochs=1")
RUNS = 24
WORKERS = ("hydra/launcher=workers", "hydra.launcher.n_jobs=2")


@dataclass(frozen=True)
class Swept:
    """A sweep that has ended or was killed.

    Attributes:
        code: its exit code.
        seconds: time from its start to its end.
        results: the results of all runs in its folder, by strategy and seed.
    """

    code: int
    seconds: float
    results: dict[tuple[str, int], dict[str, Any]]


def start(folder: Path, *overrides: str) -> subprocess.Popen[bytes]:
    """Starts the sweep in a process group, so that one signal reaches all its processes."""
    log = (folder / "log.txt").open("ab")
    command = [sys.executable, "-m", "bench.run", *SWEEP, *overrides]
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
    )


def sweep(folder: Path, *overrides: str, kill_after: float | None = None) -> Swept:
    """Runs the sweep in a folder. Kills its whole process group after ``kill_after`` seconds, if given."""
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
    """Reads the latest result of every run below a folder, by strategy and seed.

    Raises:
        ValueError: a ``result.json`` is not JSON.
    """
    found = {}
    for path in sorted(folder.glob("outputs/2*/*/*/result.json")):
        result = json.loads(path.read_text())
        if result["status"] in ("finished", "skipped"):
            found[result["strategy"], result["seed"]] = result
    return found


def recorded_in(folder: Path) -> dict[str, float]:
    """Gives the time of each finished run's record in a folder, by fingerprint.

    Raises:
        AssertionError: a record is not whole.
    """
    found = {}
    for record in Store(folder / "outputs" / "results").all():
        assert isinstance(record, Record), record
        found[record.fingerprint] = record.created
    return found


def says(name: str, value: str, good: bool) -> bool:
    """Prints a goal, the measured value, and whether the goal is met."""
    print(f"{name:<58} {value:<24} {'yes' if good else 'NO'}", flush=True)
    return good


def speed(repeats: int) -> bool:
    """Compares two workers with one process that has a thread for each core. They take turns."""
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
    good &= says("as many runs a minute as one process: at least 1.5", f"{middle:.2f}", middle >= 1.5)
    most = sorted(beyond)[len(beyond) // 2]
    return says("seconds a run beyond its own work: at most 1.0", f"{most:.2f}", most <= 1.0) and good


def repeat() -> bool:
    """Measures a finished sweep that is started again."""
    with tempfile.TemporaryDirectory() as folder:
        sweep(Path(folder), *WORKERS)
        again = sweep(Path(folder), *WORKERS)
        skipped = all(result["status"] == "skipped" for result in again.results.values())
        good = again.code == 0 and skipped and len(again.results) == RUNS
    return says("a finished sweep once more: under 3 s", f"{again.seconds:.1f} s", good and again.seconds < 3)


def kills(times: int, seed: int) -> bool:
    """Kills the whole process group at random moments. The same command follows each time."""
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        whole = sweep(Path(one), *WORKERS)
        folder, once, again, rounds = Path(two), dict[str, float](), 0, 0
        for number in range(times):
            swept = sweep(folder, *WORKERS, kill_after=generator.uniform(0.5, whole.seconds))
            now = recorded_in(folder)
            again += sum(now.get(key) != created for key, created in once.items())
            once = now
            ended = "killed" if swept.code == -signal.SIGKILL else f"ended with {swept.code}"
            print(f"  {number + 1}: {ended} after {swept.seconds:.1f} s, {len(now)} records", flush=True)
            if len(now) == RUNS and swept.code == 0:  # all runs have finished: start with an empty folder
                rounds += 1
                if not says("  numbers as without a kill, to the last digit", "", equal(swept, whole)):
                    return False
                subprocess.run(["rm", "-rf", str(folder / "outputs")], check=True)
                once = {}
        last = sweep(folder, *WORKERS)
        now = recorded_in(folder)
        again += sum(now.get(key) != created for key, created in once.items())
    good = last.code == 0 and len(now) == RUNS
    good = says(f"{times} kills, {rounds} whole rounds: every record whole", f"{len(now)} of {RUNS}", good)
    good &= says("none was trained again after it was recorded", f"{again} were", again == 0)
    return says("all numbers as without a kill, to the last digit", "", equal(last, whole)) and good


def many(count: int = 8) -> bool:
    """Starts equal sweeps at one moment in one folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        running = [start(folder, *WORKERS, f"hydra.sweep.dir=outputs/2/{number}") for number in range(count)]
        codes = [process.wait() for process in running]
        found = recorded_in(folder)
        statuses = [
            json.loads(path.read_text())["status"] for path in folder.glob("outputs/2/*/*/result.json")
        ]
    trained = statuses.count("finished")
    good = codes == [0] * count and len(found) == RUNS and len(statuses) == RUNS * count
    return says(f"{count} sweeps at once on one folder: each run trained once", f"{trained} of {RUNS}",
                good and trained == RUNS)  # fmt: skip


def equal(one: Swept, other: Swept) -> bool:
    """Returns True if two sweeps have equal errors, to the last digit."""
    keys = ("val_mae", "val_rmse", "val_loss", "train_loss", "val_mae_by_decile", "embedding_bytes")
    return one.results.keys() == other.results.keys() and all(
        one.results[run][key] == other.results[run][key] for run in one.results for key in keys
    )


def main(arguments: list[str]) -> int:
    """Runs the benchmark. The module's docstring lists the ``NAME=VALUE`` arguments."""
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
    with tempfile.TemporaryDirectory() as folder:  # prepares the data set and fills the system's file cache
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
    if "many" in parts:
        good &= many()
    if "repeat" in parts:
        good &= repeat()
    if "kills" in parts:
        good &= kills(times, seed)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
