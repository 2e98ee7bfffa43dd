"""Files in ``data_dir``: written whole or not at all, by one process at a time, known by their content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from bench.errors import RequestError

PREPARED = "prepared"
UNFINISHED = ".unfinished"
"""Ending of the name of a folder in which a prepared copy is being made."""

DIGESTS = "digests"
"""Name of the folder, below that of prepared copies, of what is remembered of files."""


@contextmanager
def writing(data_dir: Path) -> Iterator[None]:
    """Turns what the file system refuses while writing into one line about ``data_dir``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise RequestError(
            f"data_dir={data_dir}: cannot be written ({reason}); give a folder that can, as data_dir= "
            "or in BENCH_DATA_DIR"
        ) from error


@contextmanager
def locked(data_dir: Path, name: str) -> Iterator[None]:
    """Holds the lock ``name`` of ``data_dir`` among processes; it frees itself when its process dies.

    Raises:
        RequestError: the folder cannot be written.
    """
    from filelock import FileLock  # 20 ms that a refused setting need not wait for

    folder = data_dir / ".locks"
    with writing(data_dir):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """An empty folder beside ``path``, gone at the end; what a killed process left of it goes at the start.

    To be used under a lock for ``path``.
    """
    folder = path.with_name(f".{path.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` in which it is made.

    It goes at the end, and if making fails. What a killed or interrupted process left there stays, to go on with. To be
    used under a lock for ``path``.
    """
    folder = path.with_name(f".{path.name}{UNFINISHED}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def replace(new: Path, path: Path) -> None:
    """Puts ``new`` in the place of ``path``, a file or a folder, in one step."""
    if path.is_dir():
        shutil.rmtree(path)
    elif new.is_dir():
        path.unlink(missing_ok=True)
    new.replace(path)


@dataclass(frozen=True)
class Signature:
    """The marks of a file that change with its content. No program can set the time of its inode's last change.

    Attributes:
        size: in bytes.
        mtime_ns: time of the last change of the content, in nanoseconds.
        ctime_ns: time of the last change of the inode, in nanoseconds.
        inode: its number.
        device: the number of its disk.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Reads it from the file system."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def content_digest(path: Path, data_dir: Path) -> str:
    """SHA-256 of a file's content.

    Remembered in ``data_dir`` by path and ``Signature``, so that a large file is read once.
    """
    path = path.absolute()
    stat = path.stat()
    memo, known = _memo(path, data_dir)
    if remembered := _remembered(memo, known):
        return remembered
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # a change within the clock's grain would go unseen: only what has rested is remembered
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > 2_000_000_000:
        with suppress(OSError):  # a folder that cannot be written only costs the time
            write_text(memo, json.dumps({**known, "sha256": digest}))
    return digest


def is_remembered(path: Path, data_dir: Path) -> bool:
    """Returns True if ``content_digest`` knows a file without reading it."""
    with suppress(OSError):
        return _remembered(*_memo(path.absolute(), data_dir)) is not None
    return False


def _memo(path: Path, data_dir: Path) -> tuple[Path, dict[str, object]]:
    """The place of what is remembered of a file, and what must stand there."""
    name = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    known = {"path": str(path), **asdict(Signature.of(path))}
    return data_dir / PREPARED / DIGESTS / f"{name}.json", known


def _remembered(memo: Path, known: dict[str, object]) -> str | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(memo.read_text("utf-8"))
        if found == {**known, "sha256": str(found["sha256"])}:
            return str(found["sha256"])
    return None


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all, also while others write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
