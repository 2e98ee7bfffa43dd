"""Sums of the files of a prepared copy: a copy that was damaged is noticed before it gives wrong numbers."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from isal.isal_zlib import crc32  # ten times as fast as zlib's

from bench.data.files import Signature, write_text

BLOCK = 1 << 24
"""Bytes that are read at once."""


def checksum(path: Path) -> int:
    """The CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found = crc32(block, found)
    return found


def check_sums(folder: Path, sums: Mapping[str, int], verify: bool) -> None:
    """Refuses a copy whose arrays are not as they were written.

    Each file is read once on a machine, and again after each change of its ``Signature``.

    Args:
        folder: of the copy.
        sums: the sums of its arrays by name.
        verify: read all files, whatever is known of them.

    Raises:
        ValueError: an array has another sum.
        OSError: a file cannot be read.
    """
    known = _known(folder, sums)  # before the files are read
    if not verify:
        with suppress(OSError, ValueError):
            if json.loads(_memo(folder).read_text("utf-8")) == known:
                return
    for name, expected in sums.items():
        if checksum(folder / f"{name}.npy") != expected:
            raise ValueError(f"{name}.npy does not have the sum that it was written with")
    _note(folder, known)


def remember(folder: Path, sums: Mapping[str, int]) -> None:
    """Notes the sums of arrays that were just written, so that they are not read again."""
    _note(folder, _known(folder, sums))


def _note(folder: Path, known: Mapping[str, object]) -> None:
    with suppress(OSError):  # a folder that cannot be written only costs the time
        write_text(_memo(folder), json.dumps(known))


def _memo(folder: Path) -> Path:
    return folder / f".verified-{platform.node() or 'here'}.json"


def _known(folder: Path, sums: Mapping[str, int]) -> dict[str, object]:
    files = {name: list(astuple(Signature.of(folder / f"{name}.npy"))) for name in sums}
    return {"files": files, "sums": dict(sums)}
