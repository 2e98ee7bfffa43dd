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
from pathlib import Path

from bench.errors import RequestError

PREPARED = "prepared"


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


def replace(new: Path, path: Path) -> None:
    """Puts ``new`` in the place of ``path``, a file or a folder, in one step."""
    if path.is_dir():
        shutil.rmtree(path)
    elif new.is_dir():
        path.unlink(missing_ok=True)
    new.replace(path)


def content_digest(path: Path, data_dir: Path) -> str:
    """SHA-256 of a file's content.

    Remembered in ``data_dir`` by path, size and time of last change, so that a large file is read once.
    """
    path = path.absolute()
    stat = path.stat()
    known = {"path": str(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    name = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    memo = data_dir / PREPARED / "digests" / f"{name}.json"
    with suppress(OSError, ValueError, TypeError):
        found = json.loads(memo.read_text("utf-8"))
        if found == {**known, "sha256": str(found["sha256"])}:
            return str(found["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # a change within the clock's grain would go unseen: only what has rested is remembered
    if time.time_ns() - stat.st_mtime_ns > 2_000_000_000:
        with suppress(OSError):  # a folder that cannot be written only costs the time
            write_text(memo, json.dumps({**known, "sha256": digest}))
    return digest


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
