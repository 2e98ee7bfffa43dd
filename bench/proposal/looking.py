"""Looks at the first rows of a table: what each column holds, judged by the readers that a run uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.data.arrow import from_numpy, to_numpy
from bench.data.columns import Ids, Numbers, Times
from bench.data.delimited import Delimited
from bench.data.parquet import Parquet
from bench.data.table import SHOWN, explained
from bench.data.table_settings import SUFFIXES, Form, suffix
from bench.errors import RequestError

ROWS = 200_000
"""Rows that are looked at."""

MOST_VALUES = 20_000_000
"""Most values that are looked at: of many columns fewer rows."""

MOST_COLUMNS = 2_000
"""Most columns that are looked at."""

BLOCK_BYTES = 1 << 22

SEPARATORS = (",", "\t", ";", "|", " ")
"""Separators that are tried where the file's ending says nothing, the likeliest first."""

_QUOTING: tuple[Literal["standard", "none"], ...] = ("standard", "none")

PROBED = 1_000
"""Rows after which a column without a number is none of numbers."""

MOST_RAGGED = 0.01
"""The largest share of rows with another number of columns if quotes are read as letters because they do not close."""

MOSTLY = 0.9
"""The share of a column's values that makes it one of numbers or of times."""


@dataclass(frozen=True)
class Seen:
    """What a column holds in the rows that were looked at.

    Attributes:
        name: of the column.
        kind: ``time`` (dates or times written as such), ``whole`` (whole numbers), ``number``, ``text`` or ``other``.
        rows: that were looked at.
        missing: rows without a value.
        odd: rows whose value is no number in a column of numbers, or no time in one of times.
        distinct: the number of distinct values.
        codes: the number of each row's value, int32 (rows,), or None for a column that cannot hold ids.
        values: its numbers, float32 (numbers,), of a column of numbers.
        rises: True if its numbers are one larger in each row.
        words: the mean number of words in a value.
        letters: the mean length of a value.
        examples: some values, as text.
        holds: why it cannot hold ids, where it cannot.
    """

    name: str
    kind: str
    rows: int
    missing: int
    odd: int
    distinct: int
    codes: npt.NDArray[np.int32] | None = field(repr=False)
    values: npt.NDArray[np.float32] = field(repr=False)
    rises: bool
    words: float
    letters: float
    examples: tuple[str, ...]
    holds: str | None

    @property
    def is_numeric(self) -> bool:
        """True if it holds numbers."""
        return self.kind in ("whole", "number")

    @property
    def is_key(self) -> bool:
        """True if no two rows have the same value."""
        return self.missing == 0 and self.distinct == self.rows

    @property
    def num_numbers(self) -> int:
        """The number of distinct numbers."""
        return len(np.unique(self.values))

    @property
    def low(self) -> float:
        """The smallest number."""
        return float(self.values.min()) if len(self.values) else float("nan")

    @property
    def high(self) -> float:
        """The largest number."""
        return float(self.values.max()) if len(self.values) else float("nan")


@dataclass(frozen=True)
class Look:
    """The first rows of a table.

    Attributes:
        path: the file that was looked at.
        form: how it is read.
        sniffed: the separator, if neither the file's ending nor its header line says it to a run; else None.
        names: of all columns, in order.
        columns: those that were looked at.
        unnamed: names that several columns have, or none: they cannot be asked for.
        rows: that were looked at.
        is_all: True if the file has no more.
        ragged: rows with another number of columns than the first; they are not among ``rows``.
    """

    path: Path
    form: Form
    sniffed: str | None
    names: tuple[str, ...]
    columns: dict[str, Seen]
    unnamed: tuple[str, ...]
    rows: int
    is_all: bool
    ragged: int


def look(path: Path, separator: str | None, rows: int, asked: Collection[str] = ()) -> Look:
    """Looks at the first rows of a file.

    Args:
        path: the file.
        separator: between columns, or None to find it.
        rows: so many are looked at.
        asked: the columns that are looked at where there are too many.

    Raises:
        RequestError: the file cannot be read, has no rows, or too many columns of which none is asked for.
    """
    with explained(path):
        if not path.stat().st_size:
            raise RequestError(f"{path}: no rows; give a file that has some")
        if suffix(path) == ".parquet":
            return _looked(path, Parquet(path), Form(), None, rows, asked)
        mark = separator or _separator(path)
        first: RequestError | None = None
        for quoting in _QUOTING:
            try:
                form = _with_header(path, Form(mark, quoting))
                seen = _looked(path, Delimited(path, form, BLOCK_BYTES), form, mark, rows, asked)
            except RequestError as error:
                if first is None and "dataset.quoting=none" not in str(error):
                    raise
                first = first or error
            else:
                if first is None or seen.ragged <= MOST_RAGGED * seen.rows:
                    return seen
    assert first is not None
    raise first


def _separator(path: Path) -> str | None:
    """The separator that the first line has most of, where a run would not find it; else None."""
    known = suffix(path) in SUFFIXES
    counts = {mark: len(Delimited(path, Form(mark, header=False)).names) for mark in (None, *SEPARATORS)}
    if known and (counts[None] > 1 or counts["|"] == 1):
        return None
    best = max(SEPARATORS, key=lambda mark: counts[mark])
    return "|" if known else best if counts[best] > 1 else ","


def _with_header(path: Path, form: Form) -> Form:
    """The form, without a header if the first row looks like those that follow.

    It does if it has a number in each column of numbers, and there is one.
    """
    plain = Form(form.separator, form.quoting, header=False)
    reader = Delimited(path, plain, BLOCK_BYTES)
    if not any(_is_number(cell) for cell in Delimited(path, form, BLOCK_BYTES).names):
        return form
    found = _table(reader, reader.names[:MOST_COLUMNS], 1_000)
    numeric = 0
    for column in found.columns.values():
        cells = [cell.as_py() or "" for cell in column]
        rest = [_is_number(cell) for cell in cells[1:] if cell.strip()]
        if rest and sum(rest) >= MOSTLY * len(rest):
            if not _is_number(cells[0]):
                return form
            numeric += 1
    return plain if numeric else form


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class _Rows:
    columns: dict[str, Any]
    rows: int
    is_all: bool
    ragged: int


def _table(reader: Any, names: Collection[str], most: int) -> _Rows:
    """The first rows of some columns, as Arrow arrays of chunks."""
    import pyarrow as pa

    found: dict[str, list[Any]] = {name: [] for name in names}
    rows = ragged = 0
    is_all = True
    for read, _ in reader.blocks(list(names), ()):
        if rows >= most:
            is_all = False
            break
        block = read()
        taken = min(block.rows, most - rows)
        is_all = taken == block.rows
        for name, chunks in found.items():
            chunks.extend(block.columns[name].slice(0, taken).chunks)
        rows, ragged = rows + taken, ragged + len(block.ragged)
        if not is_all:
            break
    columns = {name: pa.chunked_array(chunks) for name, chunks in found.items() if chunks}
    return _Rows(columns, rows, is_all, ragged)


def _looked(
    path: Path, reader: Any, form: Form, sniffed: str | None, rows: int, asked: Collection[str]
) -> Look:
    often = Counter(name.strip() for name in reader.names)
    unnamed = tuple(dict.fromkeys(n for n in reader.names if often[n.strip()] > 1 or not n.strip()))
    names = [name for name in reader.names if name not in unnamed]
    if len(names) > MOST_COLUMNS:
        names = [name for name in names if name in asked]
        if not names:
            raise RequestError(
                f"{path}: {len(reader.names):,} columns, too many to look at all; name those to use with --fields and "
                "--label"
            )
    if not names:
        listed = ", ".join(map(repr, unnamed[:SHOWN]))
        raise RequestError(f"{path}: its columns cannot be told apart by name ({listed}); give each its own")
    found = _table(reader, names, max(1_000, min(rows, MOST_VALUES // len(names))))
    if not found.rows:
        raise RequestError(f"{path}: no rows; give a file that has some")
    seen = {name: _seen(name, column) for name, column in found.columns.items()}
    return Look(
        path, form, sniffed, tuple(reader.names), seen, unnamed, found.rows, found.is_all, found.ragged
    )


def _seen(name: str, column: Any) -> Seen:
    """What a column holds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = len(column)
    codes, texts, missing, distinct, holds = _ids(name, column)
    values = np.zeros(0, np.float32)
    if _some(Numbers(name), column):
        numbers = Numbers(name).read(column, False)
        values = numbers.values[~_any(numbers.complaints, rows)]
    if codes is None:
        missing, distinct = column.null_count, _distinct(column)
    present = rows - missing
    is_date = pa.types.is_temporal(column.type)
    times = 0
    if is_date or (len(values) < MOSTLY * present and _some(Times(name), column)):
        times = rows - int(_any(Times(name).read(column, False).complaints, rows).sum())
    if times and times >= MOSTLY * present:
        kind, odd = "time", present - times
    elif present and len(values) >= MOSTLY * present:
        kind, odd = ("whole" if bool((values == np.floor(values)).all()) else "number"), present - len(values)
    else:
        kind, odd = ("text" if codes is not None else "other"), 0
    long = texts is not None and len(texts)
    return Seen(
        name, kind, rows, missing, odd, distinct, codes, values,
        rises=kind == "whole" and rows > 2 and len(values) == rows and bool((np.diff(values) == 1).all()),
        words=1 + pc.mean(pc.count_substring(texts, " ")).as_py() if long else 0.0,
        letters=pc.mean(pc.utf8_length(texts)).as_py() if long else 0.0,
        examples=tuple(map(str, texts[:3].to_pylist())) if long else (),
        holds=holds,
    )  # fmt: skip


def _ids(name: str, column: Any) -> tuple[npt.NDArray[np.int32] | None, Any, int, int, str | None]:
    """A column as ids: each row's number, the distinct values as text, missing rows, how many values; why not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        taken = Ids(name, name).read(column, False)
    except RequestError as error:
        return None, None, 0, 0, str(error).removeprefix(f"{name}: ").partition(";")[0]
    lacking = _any(taken.complaints, len(column))
    encoded = taken.values.values.dictionary_encode(null_encoding="encode")
    codes = to_numpy(encoded.indices)[taken.values.codes].astype(np.int32)
    there = np.unique(codes[~lacking])
    texts = encoded.dictionary.take(from_numpy(there)).cast(pa.large_string())
    return codes, pc.utf8_trim_whitespace(texts), int(lacking.sum()), len(there), None


def _some(reader: Numbers | Times, column: Any) -> bool:
    """Returns True unless many values are there at the beginning, and the reader can read none of them."""
    head = column.slice(0, PROBED)
    empty = _ids(reader.column, head)[2]
    return (
        len(head) < PROBED
        or 2 * empty > PROBED
        or not _any(reader.read(head, False).complaints, PROBED).all()
    )


def _distinct(column: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return int(pc.count_distinct(column, mode="only_valid").as_py())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # of lists and the like
        return len(column) - int(column.null_count)


def _any(complaints: Any, rows: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(rows, np.bool_)
    for mask in complaints.values():
        found |= mask
    return found
