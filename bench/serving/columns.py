"""Raw columns of the user's data, made into rows and numbers as preparing the data has done."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from bench.serving.errors import ServingError, UnknownId
from bench.serving.keys import Keys, is_missing
from bench.serving.manifest import Dense, Entry

Unknown = Literal["error", "oov", "nan"]
"""What an unknown id gets: an error, the row of all unknown ids, or NaN."""

_BOOLEANS = {"true": 1.0, "false": 0.0}


class Finder:
    """Finds the rows of a field by the ids of the user's data.

    Args:
        entry: the field.
        keys: the search for its ids.
    """

    def __init__(self, entry: Entry, keys: Keys) -> None:
        self._entry, self.keys = entry, keys
        self._transform = _transform(entry)
        self._empty = int(keys.find([""])[0]) if entry.keeps_missing and entry.ids.kind != "none" else -1

    def find(self, values: Any) -> np.ndarray:
        """Finds the rows of ids, int32; -1 for an id that is not known.

        Args:
            values: values of the field's column, of any shape.

        Raises:
            ServingError: the ids were not kept, or a value is of a type that ids never have.
        """
        if self._transform is not None:
            values = self._transformed(values)
        try:
            rows = self.keys.find(values)
        except ServingError as error:
            raise ServingError(f"field {self._entry.name!r}: {error}") from None
        if self._empty >= 0 and (rows < 0).any():
            flat = objects(values).reshape(-1)
            for place in np.flatnonzero(rows.reshape(-1) < 0):
                if is_missing(flat[place]):
                    rows.reshape(-1)[place] = self._empty
        return rows

    def rows(self, values: Any, unknown: Unknown = "error") -> np.ndarray:
        """Finds the rows of ids, int32; -1 for an unknown id under ``unknown="nan"``.

        Raises:
            UnknownId: an id is not known, and ``unknown`` is ``error``.
            ServingError: ``unknown`` is ``oov`` and the field has no such row; or as ``find`` raises.
        """
        if unknown not in ("error", "oov", "nan"):
            raise ServingError(f"unknown={unknown!r}: give 'error', 'oov' or 'nan'")
        if unknown == "oov" and self._entry.unknown_row is None:
            raise ServingError(
                f"unknown='oov': field {self._entry.name!r} has no row for unknown ids; train with "
                "dataset.vocabulary=train, or give unknown='nan'"
            )
        rows = self.find(values)
        if unknown == "nan" or not rows.size or int(rows.min()) >= 0:
            return rows
        if unknown == "oov":
            return np.where(rows < 0, np.int32(self._entry.unknown_row or 0), rows)
        wrong = np.flatnonzero(rows.reshape(-1) < 0)
        first = objects(values).reshape(-1)[wrong[0]]
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UnknownId(f"field {self._entry.name}: no id {str(first)[:80]!r}{more}; see known()")

    def _transformed(self, values: Any) -> np.ndarray:
        given = objects(values)
        out = np.empty(given.shape, object)
        flat = out.reshape(-1)
        assert self._transform is not None
        for place, value in enumerate(given.reshape(-1).tolist()):
            if self._entry.from_text and not isinstance(value, str) and is_missing(value):
                value = ""
            flat[place] = None if value is None else self._transform(value)
        return out


def _transform(entry: Entry) -> Callable[[Any], int | None] | None:
    if entry.transform == "none":
        return None
    from bench.data.transforms import of_ids

    return of_ids(entry.transform, entry.part)


def objects(values: Any) -> np.ndarray:
    """Gives values as an array of Python's own objects."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if isinstance(values, np.ndarray):
        return values.astype(object)
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        return np.array(values, object)
    out = np.empty(len(values), object)
    out[:] = [value.item() if isinstance(value, np.generic) else value for value in values]
    return out


def numbers(column: Dense, values: Any) -> np.ndarray:
    """Gives a numeric column as the model takes it, float32 (rows,).

    Args:
        column: the column.
        values: numbers, or text that holds numbers or true and false.

    Raises:
        ServingError: a value is missing where the data had none, or is no finite number.
    """
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = values if isinstance(values, np.ndarray) else objects(values)
    if array.dtype.kind not in "biuf":
        flat = [_number(value) for value in array.reshape(-1).tolist()]
        array = np.array(flat, np.float64).reshape(array.shape)
    found = array.astype(np.float64)
    if column.keeps_missing:
        found = np.where(np.isnan(found), 0.0, found)
    with np.errstate(over="ignore", invalid="ignore"):
        bad = ~np.isfinite(found.astype(np.float32))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ServingError(f"column {column.column!r}: row {row} is missing or no finite number")
    if column.is_log:
        found = np.log1p(np.maximum(found, 0))
    return found.astype(np.float32)


def _number(value: Any) -> float:
    if isinstance(value, str):
        word = value.strip()
        if word.lower() in _BOOLEANS:
            return _BOOLEANS[word.lower()]
        try:
            return math.nan if not word else float(word) if "_" not in word else math.inf
        except ValueError:
            return math.inf
    if is_missing(value):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.inf


def column_of(columns: Mapping[str, Any], name: str, field: str) -> Any:
    """Gives a field's raw column, by the column's name or else the field's.

    Raises:
        ServingError: there is neither.
    """
    if name in columns:
        return columns[name]
    if field in columns:
        return columns[field]
    also = "" if name == field else f" (or {field!r})"
    raise ServingError(
        f"no column {name!r}{also}; the columns given are {', '.join(map(str, columns))[:200]}"
    )
