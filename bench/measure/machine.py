"""Runs beside each other on one machine: how many there are, and how one is alone for a moment.

What is timed beside other runs is no measure of a method. Every run therefore leaves a sign of itself while it lasts,
and holds a lock that many can share while it computes; who is to be timed alone asks for the same lock for itself.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil
from filelock import FileLock, ReadWriteLock

FOLDER = Path(tempfile.gettempdir()) / f"embedding-bench-{os.getuid() if hasattr(os, 'getuid') else 0}"
"""What the runs of one user on one machine know of each other."""

THREADS_VARIABLE = "BENCH_THREADS"
"""Environment variable: threads of a run that are not set otherwise; what starts several at once sets it."""


def threads() -> int | None:
    """How many threads a run is to compute with where its settings leave it open; None for one a core."""
    return int(os.environ.get(THREADS_VARIABLE, 0)) or None


def lock(kind: str, *what: str) -> FileLock:
    """A lock, not yet taken, that one process of this machine at a time can hold; a kill gives it free.

    Args:
        kind: of thing that is locked, such as ``claims``.
        what: texts that name the one thing.
    """
    folder = FOLDER / kind
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
    return FileLock(folder / f"{key}.lock", poll_interval=0.05)


def is_alive(pid: int, started: float) -> bool:
    """Whether a process of this machine has not ended.

    Args:
        pid: its number.
        started: when it started, in seconds since 1970; tells it from a later one of the same number.
    """
    try:
        return psutil.Process(pid).create_time() == started
    except psutil.Error:
        return False


class Presence:
    """This run among all that go on at once on the machine; a context manager for as long as it lasts.

    Args:
        folder: where the signs lie; the same for all that are to know of each other.

    Attributes:
        most: the most runs that were seen at once, this one included.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        started = psutil.Process().create_time()
        self._sign = folder / f"{os.getpid()}-{started}.run"
        self._lock = ReadWriteLock(str(folder / "computing.lock"), is_singleton=False)
        self.most = 1

    def __enter__(self) -> Self:
        self._sign.touch()
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        self.look()
        self._sign.unlink(missing_ok=True)

    def look(self) -> int:
        """How many runs go on now; also removes what processes have left that were killed."""
        alive = 0
        for sign in self._sign.parent.glob("*.run"):
            if sign == self._sign or _left_by_living(sign):
                alive += 1
            else:
                sign.unlink(missing_ok=True)
        self.most = max(self.most, alive)
        return alive

    @contextmanager
    def computing(self) -> Iterator[float]:
        """Computes beside others, but not while one is alone; yields the seconds that it waited for that."""
        began = time.perf_counter()
        with self._lock.read_lock():
            yield time.perf_counter() - began

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Computes while no other run does."""
        with self._lock.write_lock():
            yield


def _left_by_living(sign: Path) -> bool:
    pid, _, started = sign.stem.partition("-")
    try:
        return is_alive(int(pid), float(started))
    except ValueError:
        return False
