"""Reads the ids of a table's rows from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.data.arrow import from_arrays, numbered, to_numpy
from bench.data.interactions import Values
from bench.errors import RequestError, line


def read(path: Path, rows: int) -> Values:
    """Reads the ids of all rows, in the order of the rows.

    Args:
        path: a text file in UTF-8 with one id a line, or a ``.npy`` file of integers.
        rows: number of rows of the table.

    Raises:
        RequestError: the file cannot be read, an id is missing, or occurs twice, or there is not one for each row.
    """
    if not path.is_file():
        raise RequestError(
            f"ids={path}: {'is no file' if path.exists() else 'not found'}; give a file of ids"
        )
    try:
        found = _integers(path) if path.suffix.lower() == ".npy" else _texts(path)
    except OSError as error:
        raise RequestError(f"ids={path}: cannot be read ({error.strerror or line(error)})") from None
    if len(found) != rows:
        raise RequestError(
            f"ids={path}: {len(found)} ids for {rows} rows; give one id for each row of the table"
        )
    _check_once(path, found)
    return found


def numbers(rows: int) -> Values:
    """Gives the numbers of the rows as their ids, from 0."""
    return Values(0, integers=np.arange(rows))


def _integers(path: Path) -> Values:
    try:
        array: Any = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        reason = line(error).split(". ")[0].rstrip(".")
        raise RequestError(f"ids={path}: cannot be read as a .npy file of integers ({reason})") from None
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iu":
        what = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "several arrays"
        raise RequestError(
            f"ids={path}: holds {what}; give integers of shape (rows,), or text with one id a line"
        )
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise RequestError(f"ids={path}: {array.max()} is beyond 64 bits with a sign; give such ids as text")
    return Values(0, integers=array.astype(np.int64))


def _texts(path: Path) -> Values:
    """Finds the lines of a text in its bytes: a list of millions of texts would take much more memory."""
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        where = raw.count(b"\n", 0, error.start) + 1
        raise RequestError(f"ids={path}: line {where} is no UTF-8; give text with one id a line") from None
    if raw and not raw.endswith(b"\n"):
        raw += b"\n"
    letters = np.frombuffer(raw, np.uint8)
    is_end = letters == ord("\n")
    ends = np.flatnonzero(is_end)
    lengths = np.diff(ends, prepend=-1) - 1
    blank = np.flatnonzero(lengths == 0)
    if len(blank):
        raise RequestError(f"ids={path}: line {blank[0] + 1} is empty; give one id a line")
    return Values(0, ends=np.cumsum(lengths, dtype=np.int64), text=letters[~is_end])


def _check_once(path: Path, found: Values) -> None:
    """Refuses an id that two rows have."""
    if found.integers is not None:
        places, _ = numbered(found.integers)
    else:
        assert found.ends is not None
        assert found.text is not None
        texts = from_arrays({"ends": found.ends, "text": found.text})
        places = to_numpy(texts.dictionary_encode().indices)
    again = np.flatnonzero(places != np.arange(len(places), dtype=places.dtype))
    if len(again):
        # up to the first row whose id has been there before, each row has the number of its own place
        row = int(again[0])
        raise RequestError(
            f"ids={path}: {str(found[row])[:80]!r} is the id of rows {places[row]} and {row}; give each row its own id"
        )
