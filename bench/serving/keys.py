"""Finds the rows of ids. Each id is compared with the key that is found, so an unknown id is known for certain."""

from __future__ import annotations

import contextlib
import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from bench.serving.errors import ServingError
from bench.serving.manifest import Entry, Ids

BLOCK = 1 << 18
"""Number of keys that are checked at once, which bounds the memory."""

IN_ORDER = 32
"""Number of ids from which sorting them first saves more than it takes: near keys lie near in memory."""

WIDEST = 256
"""Length of a text beyond which texts are looked at one by one."""

LONGEST_INTEGER = 20
"""Letters of the longest integer of 64 bits, with its sign."""

EXACT = 1 << 53
"""Whole numbers beyond this one have no float of their own."""

_WHOLE = re.compile(r"-?[1-9][0-9]{0,18}|0", re.ASCII)
_INT64 = np.iinfo(np.int64)


class Keys(ABC):
    """The ids of a field.

    Args:
        ids: how they are stored.
        arrays: their arrays, by the last part of the name.
        size: number of rows of the field.
        where: the field, for messages.

    Raises:
        ServingError: the keys do not ascend, or a row is outside the field.
    """

    def __init__(self, ids: Ids, arrays: Mapping[str, np.ndarray], size: int, where: str) -> None:
        self.count, self.row = ids.count, ids.row
        self.of_rows = arrays.get("rows")
        rows = self.of_rows
        if rows is not None and ids.count and (int(rows.min()) < 0 or int(rows.max()) >= size):
            raise ServingError(f"{where}: a row of an id is outside the {size} rows")

    def find(self, values: Any) -> np.ndarray:
        """Finds the row of each id, int32; -1 for an id that is not known.

        Args:
            values: ids of any shape: integers, text, or whole floats; also a list of them. None is never known.

        Raises:
            ServingError: a value is of a type that ids never have.
        """
        array = values if isinstance(values, np.ndarray) else _array(values)
        flat = array.reshape(-1)
        if self.count and flat.size:
            return self.found(flat).reshape(array.shape)
        if array.dtype.kind == "O":
            for value in flat.tolist():
                plain(value)  # refuses what ids never are
        return np.full(array.shape, -1, np.int32)

    @abstractmethod
    def first(self, count: int) -> list[int] | list[str]:
        """Gives the smallest ids, up to ``count`` of them."""

    @abstractmethod
    def found(self, array: np.ndarray) -> np.ndarray:
        """Does ``find`` for an array of one dimension that is not empty, where there are ids."""

    def rows_at(self, places: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Gives the rows of keys, int32; -1 where ``there`` is False."""
        out: np.ndarray
        if self.of_rows is not None:
            out = self.of_rows.take(places)
        else:
            out = np.add(places, self.row, dtype=np.int32, casting="unsafe")
        if not there.all():
            out[~there] = -1
        return out


class NoKeys(Keys):
    """The ids of a field whose ids were not kept."""

    def find(self, values: Any) -> np.ndarray:
        """Refuses: nothing is known of the ids."""
        raise ServingError("the ids of this field were not kept; look up rows by vectors()")

    def first(self, count: int) -> list[int] | list[str]:
        """Gives none."""
        return []

    def found(self, array: np.ndarray) -> np.ndarray:
        """Is never called."""
        raise NotImplementedError


class Integers(Keys):
    """Integers, in an ascending array or as a range. Text that is a whole number is taken for one."""

    def __init__(self, ids: Ids, arrays: Mapping[str, np.ndarray], size: int, where: str) -> None:
        super().__init__(ids, arrays, size, where)
        self.begin, self.keys = ids.first, arrays.get("keys")
        if self.keys is not None:
            _check_ascending(self.keys, where)

    def first(self, count: int) -> list[int] | list[str]:
        """Gives the smallest ids."""
        if self.keys is not None:
            return [int(key) for key in self.keys[:count]]
        return list(range(self.begin, self.begin + min(count, self.count)))

    def found(self, array: np.ndarray) -> np.ndarray:
        """Searches by halving, and compares."""
        if array.dtype.kind == "i":
            return self._rows(array.astype(np.int64, copy=False), None)
        return self._rows(*_integers(array))

    def _rows(self, numbers: np.ndarray, are: np.ndarray | None) -> np.ndarray:
        if self.keys is None:
            there = (numbers >= self.begin) & (numbers <= self.begin + self.count - 1)
            there = there if are is None else there & are
            return self.rows_at(np.where(there, numbers, self.begin) - self.begin, there)
        places = _places(self.keys, numbers)
        there = self.keys.take(places) == numbers
        return self.rows_at(places, there if are is None else there & are)


class Texts(Keys):
    """Text of up to 64 bytes, as rows of bytes, ascending. Integers are equal to the text that they are written as."""

    def __init__(self, ids: Ids, arrays: Mapping[str, np.ndarray], size: int, where: str) -> None:
        super().__init__(ids, arrays, size, where)
        self.width = ids.width
        self.keys = arrays["keys"].reshape(-1).view(f"S{ids.width}") if ids.count else np.zeros(0, "S1")
        _check_ascending(self.keys, where)

    def first(self, count: int) -> list[int] | list[str]:
        """Gives the first ids by their bytes."""
        return [_text(bytes(key)) for key in self.keys[:count]]

    def found(self, array: np.ndarray) -> np.ndarray:
        """Searches by halving, and compares."""
        texts, there = _texts(array, self.width)
        if texts.dtype.itemsize > self.width:  # longer than every key: found nowhere
            there = there & (np.char.str_len(texts) <= self.width)
        texts = texts.astype(self.keys.dtype, copy=False)
        places = _places(self.keys, texts)
        return self.rows_at(places, (self.keys.take(places) == texts) & there)


class LongTexts(Keys):
    """Text of any length, one after the other, ascending by its bytes."""

    def __init__(self, ids: Ids, arrays: Mapping[str, np.ndarray], size: int, where: str) -> None:
        super().__init__(ids, arrays, size, where)
        self.texts = _Joined(arrays["ends"], arrays["text"])
        ends = arrays["ends"]
        if ids.count and (
            int(ends[0]) < 0 or int(ends[-1]) != ids.nbytes or not _ascends(ends, strictly=False)
        ):
            raise ServingError(f"{where}: the ends of its ids do not ascend")
        before = None
        for text in self.texts if ids.count else ():
            if before is not None and text <= before:
                raise ServingError(f"{where}: its ids do not ascend")
            before = text

    def first(self, count: int) -> list[int] | list[str]:
        """Gives the first ids by their bytes."""
        return [_text(self.texts[place]) for place in range(min(count, self.count))]

    def found(self, array: np.ndarray) -> np.ndarray:
        """Searches each id by halving, and compares."""
        flat = [plain(value) for value in array.tolist()]
        texts = [b"" if value is None else str(value).encode("utf-8", "surrogatepass") for value in flat]
        places = np.array([min(bisect_left(self.texts, text), self.count - 1) for text in texts])
        pairs = zip(flat, texts, places.tolist(), strict=True)
        there = np.array([value is not None and self.texts[place] == text for value, text, place in pairs])
        return self.rows_at(places, there)


class _Joined(Sequence[bytes]):
    """Texts that lie one after the other."""

    def __init__(self, ends: np.ndarray, text: np.ndarray) -> None:
        self._ends, self._text = ends, text

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self._ends):
            raise IndexError(number)
        begin = int(self._ends[number - 1]) if number else 0
        return self._text[begin : int(self._ends[number])].tobytes()


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")


def keys_of(entry: Entry, arrays: Mapping[str, np.ndarray]) -> Keys:
    """Makes the search for a field's ids.

    Args:
        entry: the field.
        arrays: the arrays of its ids, by the last part of the name.

    Raises:
        ServingError: the keys do not ascend, or a row is outside the field.
    """
    kinds: dict[str, type[Any]] = {
        "none": NoKeys,
        "range": Integers,
        "integers": Integers,
        "text": Texts,
        "long_text": LongTexts,
    }
    made: Keys = kinds[entry.ids.kind](entry.ids, arrays, entry.size, f"field {entry.name!r}")
    return made


def plain(value: Any) -> str | int | None:
    """Gives an id as text or an integer, as preparing the data does; None for a missing value and for a fraction.

    Raises:
        ServingError: ids never have this type.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else None
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    if type(value).__name__ in ("UUID", "NAType", "NaTType"):
        return str(value) if type(value).__name__ == "UUID" else None
    raise ServingError(f"{str(value)[:40]!r}: an id of type {type(value).__name__}; ids are text or integers")


def is_missing(value: Any) -> bool:
    """Returns True for None, NaN, and text that is empty or blank."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def _array(values: Any) -> np.ndarray:
    """Makes an array of ids without changing what they are: numbers beside text stay numbers."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        return np.array(values, object)
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
        return values if isinstance(values, np.ndarray) else np.asarray(values)
    kinds = set(map(type, values))
    if kinds == {int}:
        with contextlib.suppress(OverflowError):
            return np.array(values, np.int64)
    if kinds == {str}:
        # NumPy drops zeros at the end of a text, which would make another id of it. And it makes all texts as wide as
        # the longest.
        joined = "".join(values)
        if "\0" in joined or max(map(len, values)) > WIDEST:
            return np.array(values, object)
        return np.array(values, np.bytes_ if joined.isascii() else np.str_)
    try:
        made = np.array(values) if len(kinds) == 1 else np.array(values, object)
    except (ValueError, OverflowError):
        made = np.array(values, object)
    return np.array(values, object) if made.dtype.kind in "SU" and made.ndim == 1 else made


def _integers(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gives ids as integers, int64, and where they are such."""
    if array.dtype.kind == "u":
        there = array <= _INT64.max
        return np.where(there, array, 0).astype(np.int64), there
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            there = (np.abs(array) <= EXACT) & (array == np.floor(array))
        return np.where(there, array, 0).astype(np.int64), there
    if array.dtype.kind == "S" and array.dtype.itemsize <= LONGEST_INTEGER:
        with contextlib.suppress(ValueError, OverflowError):  # one by one below
            numbers = array.astype(np.int64)
            return numbers, numbers.astype("S21") == array
    flat = [_integer(plain(value)) for value in array.tolist()]
    there = np.array([value is not None for value in flat], bool)
    return np.array([value or 0 for value in flat], np.int64), there


def _integer(value: str | int | None) -> int | None:
    if isinstance(value, str):
        value = int(value) if _WHOLE.fullmatch(value) else None
    return value if value is not None and _INT64.min <= value <= _INT64.max else None


def _texts(array: np.ndarray, width: int) -> tuple[np.ndarray, Any]:
    """Gives ids as bytes of a fixed width, and where they are ids. Those of more than ``width`` bytes are none."""
    if array.dtype.kind == "S":
        return array, True
    if array.dtype.kind == "U":
        try:
            return array.astype(np.bytes_), True
        except UnicodeEncodeError:
            array = array.astype(object)
    if array.dtype.kind in "iu":
        return array.astype("S21"), True
    flat = [plain(value) for value in array.tolist()]
    texts = [None if value is None else str(value) for value in flat]
    encoded = [b"\0" if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
    there = np.array([len(text) <= width and not text.endswith(b"\0") for text in encoded], bool)
    kept = [text[:width] for text in encoded]
    return np.array(kept, np.bytes_), there


def _places(keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Finds for each value the first key that is not smaller, or the last key. Many values are searched in order."""
    if len(values) < IN_ORDER:
        places = keys.searchsorted(values)
    else:
        order = values.argsort()
        places = np.empty(len(values), np.intp)
        places[order] = keys.searchsorted(values[order])
    np.minimum(places, len(keys) - 1, out=places)
    return places


def _ascends(values: np.ndarray, strictly: bool = True) -> bool:
    for begin in range(0, len(values), BLOCK):
        block = values[begin : begin + BLOCK + 1]
        right = block[1:] > block[:-1] if strictly else block[1:] >= block[:-1]
        if not right.all():
            return False
    return True


def _check_ascending(keys: np.ndarray, where: str) -> None:
    if not _ascends(keys):
        raise ServingError(f"{where}: its ids do not ascend")
