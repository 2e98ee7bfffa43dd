"""Reads an export's files: small ones whole, arrays by mapping. Nothing is trusted before it was checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from bench.serving.errors import ServingError
from bench.serving.layout import ALIGNMENT, Placed, Stored, header, placed

MOST_BYTES_OF_A_MANIFEST = 64 << 20
"""The largest manifest that is read."""

BLOCK = 1 << 20
"""Number of bytes that a digest is fed with at once."""

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def check_name(name: str) -> None:
    """Refuses a file name that could lead out of the folder.

    Raises:
        ServingError: names the file.
    """
    parts = name.split("/")
    if len(name) > 200 or not all(_PART.fullmatch(part) for part in parts):
        raise ServingError(f"export.json: {name!r} is no plain name of a file in the folder")


def opened(folder: Path, name: str) -> IO[bytes]:
    """Opens a file of the folder. Links, pipes and devices are refused.

    Raises:
        ServingError: names the file, and why it cannot be read.
    """
    path = folder / name
    place = folder
    for part in name.split("/")[:-1]:
        place = place / part
        if place.is_symlink():
            raise ServingError(f"{place}: a link; an export has none")
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        if path.is_symlink():
            raise ServingError(f"{path}: a link; an export has none")
        number = os.open(path, flags)
    except FileNotFoundError:
        raise ServingError(
            f"{path}: not found; give a folder that python -m bench.export or bench.compress has written"
        ) from None
    except (OSError, ValueError) as error:
        raise ServingError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ServingError(f"{path}: no regular file")
    return os.fdopen(number, "rb")


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Reads a JSON file whose top is a mapping.

    Raises:
        ServingError: the file is missing, too large or not such JSON.
    """
    path = folder / name
    with opened(folder, name) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES_OF_A_MANIFEST:
            raise ServingError(f"{path}: larger than {MOST_BYTES_OF_A_MANIFEST} bytes")
        text = file.read(size)
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ServingError(f"{path}: no valid JSON ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(found, dict):
        raise ServingError(f"{path}: no mapping at the top")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def mapped(folder: Path, name: str, nbytes: int) -> np.ndarray:
    """Maps a file, uint8 (bytes,), read-only.

    Args:
        folder: the export.
        name: name of the file.
        nbytes: number of bytes that the file must have.

    Raises:
        ServingError: the file has another size, or cannot be mapped.
    """
    path = folder / name
    with opened(folder, name) as file:
        found = os.fstat(file.fileno()).st_size
        if found != nbytes:
            raise ServingError(f"{path}: {found} bytes, and export.json says {nbytes}")
        try:
            return np.memmap(file, np.uint8, "r").view(np.ndarray)
        except (OSError, ValueError, OverflowError) as error:
            raise ServingError(f"{path}: cannot be mapped ({error})") from None


def sha256(raw: np.ndarray) -> str:
    """Computes the SHA-256 of a mapped file, block by block, without a copy."""
    made = hashlib.sha256()
    for begin in range(0, len(raw), BLOCK):
        made.update(raw[begin : begin + BLOCK].data)
    return made.hexdigest()


def sha256_of(folder: Path, name: str, nbytes: int) -> str:
    """Computes the SHA-256 of a file that must have ``nbytes`` bytes.

    Raises:
        ServingError: the file has another size, or cannot be read.
    """
    made = hashlib.sha256()
    with opened(folder, name) as file:
        found = os.fstat(file.fileno()).st_size
        if found != nbytes:
            raise ServingError(f"{folder / name}: {found} bytes, and export.json says {nbytes}")
        while block := file.read(BLOCK):
            made.update(block)
    return made.hexdigest()


def arrays(path: Path, raw: np.ndarray, wanted: Sequence[Stored]) -> dict[str, np.ndarray]:
    """Gives the arrays of a mapped file by name, where they lie: read-only views without a copy.

    The header must be the one that these arrays make, to the last byte. So no shape, type or offset of the file is
    ever used.

    Args:
        path: the file, for messages.
        raw: the mapped file.
        wanted: the arrays that the file must hold, in order.

    Raises:
        ServingError: the file holds something else.
    """
    places = placed(wanted)
    total = places[-1].end if places else 0
    length = int.from_bytes(raw[:8].tobytes(), "little") if len(raw) >= 8 else -1
    if length < 0 or length > len(raw) - 8:
        raise ServingError(
            f"{path}: {len(raw)} bytes with a header of {length}; the file is cut off or altered"
        )
    begin = 8 + length
    if begin % ALIGNMENT or len(raw) - begin != total:
        raise ServingError(f"{path}: {len(raw) - begin} bytes of arrays, and export.json describes {total}")
    made = header(places)
    if len(made) != begin or raw[:begin].tobytes() != made:
        raise ServingError(f"{path}: its header does not describe the arrays that export.json needs")
    return {place.array.name: _view(raw, begin, place) for place in places}


def _view(raw: np.ndarray, start: int, place: Placed) -> np.ndarray:
    array = place.array
    return raw[start + place.begin : start + place.end].view(array.dtype).reshape(array.shape)
