"""Functions that write a file whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import RequestError

RESERVED, RESERVED_BYTES, RESERVED_BYTES_AN_EPOCH = ".reserved", 1 << 17, 1 << 11
"""The name of a file that reserves disk space while a run trains, and its size: bytes, and more bytes for each epoch.

The space is for the result and the record. So neither is lost if the disk fills up meanwhile.
"""

MOST_RESERVED = 1 << 26
"""The most bytes that are reserved, however many epochs are asked for."""


def write_whole(path: Path, text: str) -> Path:
    """Writes a text file under a temporary name and then renames it. The file's mode follows the umask.

    Raises:
        OSError: the folder cannot be written to, or the disk is full. An earlier file then stays unchanged.
    """
    temporary = path.with_name(
        f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}"
    )  # the same folder: one disk
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def remove_empty(folder: Path, end: Path) -> None:
    """Removes a folder that is empty, and each folder above it that is empty by then, as far as it is below ``end``."""
    place = folder.absolute()
    while end.absolute() in place.parents and not any(place.iterdir()):
        place.rmdir()
        place = place.parent


@contextmanager
def reserved(folder: Path, epochs: int) -> Iterator[None]:
    """Reserves disk space until ``release`` frees it, or the block ends.

    Args:
        folder: the run's output folder.
        epochs: the highest number of epochs that the result's history may have.

    Raises:
        RequestError: the folder cannot be written to, or the disk is full already.
    """
    path = folder / RESERVED
    try:
        try:
            with path.open("wb") as file:
                file.write(bytes(min(RESERVED_BYTES + epochs * RESERVED_BYTES_AN_EPOCH, MOST_RESERVED)))
                os.fsync(file.fileno())
        except OSError as error:
            raise RequestError(
                f"{folder}: cannot be written to ({error.strerror}); free some space, or start in another folder"
            ) from error
        yield
    finally:
        release(folder)


def release(folder: Path) -> None:
    """Frees the disk space that ``reserved`` keeps in a folder."""
    with contextlib.suppress(OSError):
        (folder / RESERVED).unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Makes a hard link to a file at ``target``, or a copy where the file system has no hard links."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        # if both names are links to one file, the rename does nothing and leaves the temporary name
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Gives the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
