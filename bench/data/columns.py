"""Columns of a table, taken block by block: ids as codes, numbers, times."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from bench.data.arrow import from_numpy, numbered, to_numpy, whole
from bench.data.interactions import Encoded
from bench.data.transforms import log1p
from bench.errors import RequestError

Mask = npt.NDArray[np.bool_]
T = TypeVar("T")

EXACT = 2**53
"""Whole numbers up to here are exact in float64."""


MISSING = ("missing ids", "missing numbers")
"""Complaints of values that are missing, and may be kept."""


@dataclass(frozen=True)
class Taken(Generic[T]):
    """What a block of a column holds.

    Attributes:
        values: of all rows.
        complaints: True for rows that cannot be used, bool (rows,), by the complaint; only of complaints that hold.
        truths: how many values are true or false, of those that can be used.
        numbers: how many others can be used.
    """

    values: T
    complaints: Mapping[str, Mask]
    truths: int = 0
    numbers: int = 0


class Column(Protocol[T]):
    """A column that is read block by block.

    Attributes:
        column: its name in the settings.
        may_be_missing: False if a row without a value cannot be used.
    """

    column: str
    may_be_missing: bool

    def read(self, column: Any, keeps: bool) -> Taken[T]:
        """Reads a block, an Arrow array of chunks; ``keeps`` means that missing values are kept."""


class Ids:
    """A column of ids, text or integers.

    Args:
        column: its name in the settings.
        setting: the setting that names it, with its value, for messages.
        transform: a function that is applied to each distinct id; None from it is a missing id.
    """

    def __init__(
        self, column: str, setting: str, transform: Callable[[Any], int | None] | None = None
    ) -> None:
        self.column, self._setting, self._transform, self.may_be_missing = column, setting, transform, True

    def read(self, column: Any, keeps: bool) -> Taken[Encoded]:
        """Reads a block; complains of rows without an id.

        Args:
            column: the block, an Arrow array of chunks: text in dictionaries without nulls, or values.
            keeps: a missing id is an id of its own, the empty text.

        Raises:
            RequestError: the column holds neither text nor whole numbers.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if not pa.types.is_dictionary(column.type) and not (self._transform and _is_number(column.type)):
            column = self._of_kind(column)
        ids = encoded(column)
        values = ids.values
        if self._transform:
            values = pa.array([None if v is None else self._transform(v) for v in values.to_pylist()])
        values = self._of_kind(values)
        if keeps:
            values = values.cast(pa.large_string())
        missing = to_numpy(values.is_null())
        if _is_text(values.type) and len(values):
            blank = pc.or_(pc.equal(values, ""), pc.utf8_is_space(values))
            missing = missing | to_numpy(blank.fill_null(False))
        if keeps or not missing.any():
            if missing.any():
                values = pc.if_else(pa.array(missing), pa.scalar("", values.type), values)
            return Taken(Encoded(ids.codes, values), {})
        return Taken(Encoded(ids.codes, values), {MISSING[0]: missing[ids.codes]})

    def _of_kind(self, column: Any) -> Any:
        """The column as text or integers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind, name = column.type, self._setting
        if _is_text(kind):
            return column.cast(pa.large_string())
        if pa.types.is_integer(kind):
            return column if kind == pa.uint64() else column.cast(pa.int64())
        if pa.types.is_null(kind) or pa.types.is_boolean(kind):
            return column.cast(pa.large_string())
        if pa.types.is_floating(kind):  # integers with missing ones among them, as pandas writes them
            column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
            if (pc.max(pc.abs(column)).as_py() or 0) > EXACT:
                raise RequestError(
                    f"{name}: holds floats beyond 2**53, which stand for several ids each; ids are text or integers"
                )
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            try:
                return column.cast(pa.int64())
            except pa.ArrowInvalid as error:
                if pa.types.is_decimal(kind) and pc.all(pc.equal(pc.round(column), column)).as_py():
                    return column.cast(pa.decimal256(76, 0)).cast(pa.large_string())  # beyond 64 bits
                raise RequestError(f"{name}: holds fractions; ids are text or integers") from error
        if pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16:
            return _changed(column, lambda value: str(uuid.UUID(bytes=value))).cast(pa.large_string())
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            try:
                return column.cast(pa.large_binary()).cast(pa.large_string())
            except pa.ArrowInvalid as error:
                raise RequestError(
                    f"{name}: holds bytes that are not UTF-8; ids are text or integers"
                ) from error
        raise RequestError(f"{name}: holds {kind}; ids are text or integers")


class Numbers:
    """A column of numbers.

    Args:
        column: its name in the settings.
        is_label: a missing label is like one that is no number.
        is_log: ``log1p`` is applied.
    """

    def __init__(self, column: str, is_label: bool = False, is_log: bool = False) -> None:
        self.column, self._is_label, self._is_log = column, is_label, is_log
        self.may_be_missing = not is_label

    def read(self, column: Any, keeps: bool) -> Taken[npt.NDArray[np.float32]]:
        """Reads a block; complains of rows without a finite float32.

        Args:
            column: the block, an Arrow array of chunks.
            keeps: a missing number is 0.
        """
        numbers, missing, truths = _numbers(column)
        if keeps and missing.any():
            numbers = np.where(missing, 0.0, numbers)
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite
            bad = ~np.isfinite(numbers.astype(np.float32))
            found = (log1p(numbers) if self._is_log else numbers).astype(np.float32)
        there, others = int((truths & ~bad).sum()), int((~truths & ~bad).sum())
        if self._is_label:
            complaints = {"labels that are no finite number": bad}
        else:
            complaints = {MISSING[1]: bad & missing, "values that are no finite number": bad & ~missing}
        return Taken(found, complaints if bad.any() else {}, there, others)


class Times:
    """A column of times: numbers, dates, or text that holds them.

    Args:
        column: its name in the settings.
    """

    def __init__(self, column: str) -> None:
        self.column, self.may_be_missing = column, False

    def read(self, column: Any, keeps: bool) -> Taken[npt.NDArray[Any]]:
        """Reads a block of times as integers or as seconds; complains of rows without a time."""
        times, there = _times(column)
        return Taken(times, {} if there.all() else {"missing or unreadable timestamps": ~there})


def of_one_kind(times: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """The times of all blocks as integers of their order, int64 (rows,)."""
    found = np.concatenate(times) if times else np.zeros(0, np.int64)
    if found.dtype == np.int64:
        return found
    # ranks: seconds with a fraction have no integer unit of their own
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def encoded(column: Any) -> Encoded:
    """The values of a column as positions in a list of them, in order of appearance.

    Args:
        column: an Arrow array of chunks: text in dictionaries without nulls, or values, of which null is one.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        chunks = column.unify_dictionaries().chunks
        values = chunks[0].dictionary if chunks else pa.array([], pa.string())
        codes = [to_numpy(chunk.indices) for chunk in chunks] or [np.zeros(0, np.int32)]
        return Encoded(np.concatenate(codes), values.cast(pa.large_string()))
    found = whole(column.dictionary_encode(null_encoding="encode"))
    return Encoded(to_numpy(found.indices).astype(np.int32, copy=False), found.dictionary)


def kept(ids: Encoded, good: Mask) -> Encoded:
    """The ids of some rows alone, with the values that occur in them."""
    codes, used = numbered(ids.codes[good])
    return Encoded(codes, ids.values.take(from_numpy(used)))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _changed(column: Any, to: Callable[[Any], Any]) -> Any:
    """``to`` of each value, called once for each distinct one; null stays null."""
    import pyarrow as pa

    ids = encoded(column)
    values = pa.array([None if value is None else to(value) for value in ids.values.to_pylist()])
    return values.take(from_numpy(ids.codes))


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _numbers(column: Any) -> tuple[npt.NDArray[np.float64], Mask, Mask]:
    """A column as float64, NaN where it holds no number; where it is missing; and where it holds true or false."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type) or _is_text(column.type):
        ids = encoded(column)
        words = [word.strip() if word else "" for word in ids.values.to_pylist()]
        table = np.array([_BOOLEANS.get(word.lower(), _number(word)) for word in words] or [np.nan])
        truths = np.array([word.lower() in _BOOLEANS for word in words] or [False])
        return (
            table[ids.codes],
            np.array([not word for word in words] or [True])[ids.codes],
            truths[ids.codes],
        )
    none = np.zeros(len(column), np.bool_)
    missing, truths = to_numpy(column.is_null()) if column.null_count else none, none
    if pa.types.is_boolean(column.type):
        column, truths = column.cast(pa.int8()), ~none
    try:
        numbers = column.cast(pa.float64(), safe=False)
        return to_numpy(numbers.fill_null(np.nan) if numbers.null_count else numbers), missing, truths
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.full(len(column), np.nan), missing, none


def _times(column: Any) -> tuple[npt.NDArray[Any], Mask]:
    """A column of times as numbers of the same order, int64 or float64, and where there is a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type) or _is_text(column.type):
        ids = encoded(column)
        try:
            texts = pc.if_else(pc.equal(ids.values, ""), pa.scalar(None, ids.values.type), ids.values)
            column = texts.cast(pa.int64()).take(from_numpy(ids.codes))
        except pa.ArrowInvalid:
            words = ids.values.to_pylist()
            seconds = np.array([_second(word or "") for word in words] or [np.nan])[ids.codes]
            return seconds, np.isfinite(seconds)
    elif pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_temporal(column.type) or pa.types.is_integer(column.type):
        return to_numpy(column.cast(pa.int64()).fill_null(0)), to_numpy(column.is_valid())
    seconds = _numbers(column)[0]
    return seconds, np.isfinite(seconds)


_BOOLEANS = {"true": 1.0, "false": 0.0}


def _number(word: str) -> float:
    try:
        return float(word) if "_" not in word else np.nan
    except ValueError:
        return np.nan


def _second(word: str) -> float:
    number = _number(word)
    if np.isfinite(number):
        return number
    try:
        time = datetime.fromisoformat(word.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return np.nan
