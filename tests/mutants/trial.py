"""Tries mutants: changes a copy of the project, runs the tests that have to fail, and takes the change back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from bench.errors import RequestError

from .mutant import Mutant

LEFT_OUT = (".*", "__pycache__", "outputs", "build", "dist", "*.egg-info")
"""What a copy of the project does not need."""

MARKED = ("slow", "movielens", "network", "cluster", "server", "browser")
"""Markers of tests that are not run."""

VARIABLES = ("BENCH_RESULTS_DIR", "MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR")
"""Variables of the user's that tests should not see."""

TEST_SECONDS, ALL_SECONDS = 120, 300
"""Seconds after which a test fails, and after which a trial ends: a mutant may wait forever."""

CANNOT_IMPORT, ELSEWHERE = 90, 91

# The module is imported after the tests, which import it as they need it.
_DRIVER = f"""
import importlib, pathlib, sys, traceback
import pytest

code = int(pytest.main(sys.argv[2:]))
if sys.argv[1]:
    try:
        module = importlib.import_module(sys.argv[1])
    except BaseException:
        traceback.print_exc()
        sys.exit({CANNOT_IMPORT})
    if not pathlib.Path(module.__file__).is_relative_to(pathlib.Path.cwd()):
        sys.exit({ELSEWHERE})
sys.exit(code)
"""

_WRONG = {
    2: "its tests cannot be collected",
    4: "there is no such test",
    5: "there is no such test, or it is marked as slow",
    CANNOT_IMPORT: "the changed module cannot be imported",
    ELSEWHERE: "the tests run other code than the copy's",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        mutant: what was tried.
        status: ``caught``, ``survived`` or ``invalid``.
        seconds: what the tests took.
        reason: why the mutant is invalid; else empty.
        output: of the tests.
    """

    mutant: Mutant
    status: str
    seconds: float
    reason: str
    output: str


class Copy:
    """A copy of the project in which one mutant at a time is tried.

    Args:
        root: the project, which stays as it is.
        folder: the folder of the copy, which does not exist yet.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder / "project"
        self._temporary = folder / "tmp"
        shutil.copytree(root, self.folder, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def tried(self, mutant: Mutant) -> Outcome:
        """Tries a mutant. The copy is as before at the end."""
        path = self.folder / mutant.file
        before = path.read_bytes()
        try:
            path.write_bytes(mutant.changed(before.decode()).encode())
            _forget_bytecode(path)
            code, seconds, output = self.run([mutant.test], mutant.module)
        finally:
            path.write_bytes(before)
            _forget_bytecode(path)
        status = {0: "survived", 1: "caught"}.get(code, "invalid")
        reason = _WRONG.get(code, f"pytest ended with {code}") if status == "invalid" else ""
        return Outcome(mutant, status, seconds, reason, output)

    def run(self, tests: Sequence[str], module: str = "") -> tuple[int, float, str]:
        """Runs tests, and then imports a module.

        Returns:
            The exit code of pytest, or one of this module; seconds; the output.
        """
        options = ["-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", f"timeout={TEST_SECONDS}"]
        options += ["-m", " and ".join(f"not {name}" for name in MARKED), f"--basetemp={self._temporary}"]
        # pytest empties its folder first: nothing that an earlier mutant has prepared is used again
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST") and k not in VARIABLES}
        environment = {
            **kept,
            "PYTHONPATH": str(self.folder),
            "BENCH_DATA_DIR": str(self._temporary / "data"),
        }
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-c", _DRIVER, module, *options, *tests],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=ALL_SECONDS * len(tests),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return -1, time.monotonic() - began, str(error)
        return done.returncode, time.monotonic() - began, done.stdout


def _forget_bytecode(path: Path) -> None:
    # Python knows a changed source by its size and its time in seconds, which a quick change may leave equal
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def try_all(
    root: Path, folder: Path, mutants: Sequence[Mutant], processes: int, told: Callable[[Outcome], object]
) -> list[Outcome]:
    """Tries mutants in copies of the project, after a run of their tests without any change.

    Args:
        root: the project, which stays as it is.
        folder: an empty folder for the copies.
        mutants: what is tried.
        processes: how many are tried at once, each in a copy of its own.
        told: a function that is called with each outcome.

    Returns:
        The outcomes, in the order of the mutants.

    Raises:
        RequestError: a test fails without any change, or a mutant's old text is not in its file exactly once.
    """
    for mutant in mutants:
        try:
            mutant.changed((root / mutant.file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RequestError(f"{error}; change tests/mutants") from None
    copies = [Copy(root, folder / str(number)) for number in range(min(processes, len(mutants)))]
    tests = list(dict.fromkeys(mutant.test for mutant in mutants))
    shares = [tests[number :: len(copies)] for number in range(len(copies))]
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def tried(mutant: Mutant) -> Outcome:
        copy = free.get()
        try:
            outcome = copy.tried(mutant)
        finally:
            free.put(copy)
        told(outcome)
        return outcome

    with ThreadPoolExecutor(len(copies)) as pool:
        for code, _, output in pool.map(Copy.run, copies, shares):
            if code:
                print(output)
                raise RequestError(f"pytest ended with {code} without any change; mend that first")
        return list(pool.map(tried, mutants))
