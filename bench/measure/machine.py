"""Runs beside each other on one machine: how many there are, and how one is alone for a moment.

A time that is taken beside other runs does not measure a method. So every run leaves a sign while it lasts, and holds
a lock that many can share while it computes. A run that is timed alone asks for that lock for itself.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil
from filelock import FileLock, ReadWriteLock, Timeout

NAME = "embedding-bench"
"""Name of the folder that holds what the runs of one user on one machine know of each other."""

THREADS_VARIABLE = "BENCH_THREADS"
"""Environment variable: threads of a run that are not set otherwise; what starts several at once sets it."""

RUNTIME = Path("/run/user")
"""The folder in which a login makes each user's runtime folder, named by the user's number."""

SLICE_SECONDS = 1.0
"""Seconds of waiting for a lock between two looks for a Ctrl-C: SQLite's own wait cannot be interrupted."""

log = logging.getLogger(__name__)


def threads() -> int | None:
    """Returns the number of threads of a run whose settings leave it open; None for one a core."""
    return int(os.environ.get(THREADS_VARIABLE, 0)) or None


@functools.cache
def folder() -> Path:
    """The folder of locks and signs of this user's runs on this machine; made where it is missing.

    It lies in ``XDG_RUNTIME_DIR``, or in ``/run/user/UID`` if that variable is not set. If there is no such folder, it
    lies in ``XDG_CACHE_HOME`` or ``~/.cache``, by the machine's name, since several machines may share a home folder;
    else in the folder of temporary files. Only a folder that belongs to the user, and that no other user can write to,
    is taken.
    """
    for place in _places():
        with contextlib.suppress(OSError):
            return private(place)
    alone = Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
    log.warning("%s: no folder is this user's alone, so other runs on this machine are not seen; set XDG_CACHE_HOME",
                alone)  # fmt: skip
    return alone


def _places() -> Iterator[Path]:
    # Without a login, as in cron, the variable is not set, though the folder may be there.
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or RUNTIME / str(_user()))
    if runtime.is_absolute() and _is_own(runtime):
        yield runtime / NAME
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with contextlib.suppress(RuntimeError):  # no home folder, of a user that the system does not know
        cache = cache if cache.is_absolute() else Path.home() / ".cache"
    if cache.is_absolute() and _is_own(cache if cache.exists() else cache.parent):
        yield cache / NAME / f"on-{platform.node() or 'this-machine'}"
    yield Path(tempfile.gettempdir()) / f"{NAME}-{_user()}"


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _is_own(path: Path) -> bool:
    """Returns True if a folder belongs to this user and nobody else can change it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == _user() and not found.st_mode & 0o022


def private(path: Path) -> Path:
    """Makes a folder that only this user can read and write.

    Raises:
        OSError: it cannot be made, or what lies there is another user's, a link or no folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if found.st_uid != _user() or not path.is_dir() or path.is_symlink():
        raise PermissionError(f"{path}: is not a folder of this user")
    if found.st_mode & 0o077:
        path.chmod(0o700)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: cannot be written to")
    return path


def lock(kind: str, *what: str) -> FileLock:
    """A lock, not yet taken, that one process of this machine at a time can hold; a kill gives it free.

    Args:
        kind: of thing that is locked, such as ``searches``.
        what: texts that name the one thing.
    """
    place = folder() / kind
    place.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\0".join(what).encode()).hexdigest()[:32]
    return FileLock(place / f"{key}.lock", poll_interval=0.05)


@contextmanager
def held(own: FileLock, waiting: str) -> Iterator[None]:
    """Holds a lock; where another process has it, says so and waits.

    Args:
        own: the lock.
        waiting: what is waited for, such as ``an equal run is trained in another process``.
    """
    _acquire(own.acquire, waiting, patience=0)
    try:
        yield
    finally:
        own.release()


def _acquire(acquire: Callable[[float], object], waiting: str, patience: float = SLICE_SECONDS) -> None:
    """Acquires a lock in slices of time; says what it waits for once ``patience`` seconds are over."""
    said = False
    while True:
        try:
            acquire(SLICE_SECONDS if said else patience)
            return
        except Timeout:
            if not said:
                log.info("waiting: %s", waiting)
            said = True


def is_alive(pid: int, started: float) -> bool:
    """Returns True if a process of this machine has not ended.

    Args:
        pid: its number.
        started: when it started, in seconds since 1970; tells it from a later one of the same number.
    """
    try:
        return psutil.Process(pid).create_time() == started
    except psutil.Error:
        return False


class Presence:
    """The presence of this run among all that run on the machine; a context manager.

    Args:
        place: where the signs lie, the same for all that are to know of each other; None for ``folder()``.

    Attributes:
        most: the most runs that were seen at once, this one included.
    """

    def __init__(self, place: Path | None = None) -> None:
        place = place or folder()
        place.mkdir(parents=True, exist_ok=True)  # a runtime folder goes when its user logs out
        started = psutil.Process().create_time()
        self._sign = place / f"{os.getpid()}-{started}.run"
        self._lock = ReadWriteLock(str(place / "computing.lock"), is_singleton=False)
        self.most = 1

    def __enter__(self) -> Self:
        self._sign.touch()
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        self.look()
        self._sign.unlink(missing_ok=True)

    def look(self) -> int:
        """Counts the runs that go on now; removes the signs that killed processes have left."""
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
        _acquire(self._lock.acquire_read, "another run on this machine is timed alone")
        try:
            yield time.perf_counter() - began
        finally:
            self._lock.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Computes while no other run does."""
        _acquire(self._lock.acquire_write, "to be timed alone, until no other run on this machine computes")
        try:
            yield
        finally:
            self._lock.release()


def _left_by_living(sign: Path) -> bool:
    pid, _, started = sign.stem.partition("-")
    try:
        return is_alive(int(pid), float(started))
    except ValueError:
        return False
