"""The ids of a field in the form that they are exported in: ascending keys, and the row of each."""

from __future__ import annotations

import numpy as np

from bench.data.interactions import Values
from bench.serving.keys import LONGEST_INTEGER
from bench.serving.manifest import LONGEST_KEY, Ids


def stored(values: Values | None) -> tuple[Ids, dict[str, np.ndarray]]:
    """Gives the form of ids, and its arrays by the last part of their names.

    Text of which each one is a whole number, written as integers are, is stored as integers.

    Args:
        values: the ids by number, or None if they are not known.
    """
    if values is None:
        return Ids("none"), {}
    if values.integers is not None:
        return _integers(np.asarray(values.integers), values.first)
    assert values.ends is not None
    assert values.text is not None
    ends, text = np.asarray(values.ends), np.asarray(values.text)
    lengths = np.diff(ends, prepend=0)
    longest = int(lengths.max(initial=0))
    if not len(ends) or longest > LONGEST_KEY or not longest or bool((text == 0).any()):
        return _long_text(ends, text, values.first)
    inside = np.arange(longest) < lengths[:, None]
    wide = np.zeros(inside.shape, np.uint8)
    wide[inside] = text
    keys = wide.reshape(-1).view(f"S{longest}")
    whole = _as_integers(keys) if longest <= LONGEST_INTEGER else None
    if whole is not None:
        return _integers(whole, values.first)
    order = np.argsort(keys, kind="stable")
    ids, rows = _with_rows(Ids("text", len(keys), row=values.first, width=longest), order, values.first)
    return ids, {"keys": wide[order], **rows}


def _as_integers(keys: np.ndarray) -> np.ndarray | None:
    """Gives texts as integers, or None if one of them is not written as an integer is."""
    try:
        numbers = keys.astype(np.int64)
    except (ValueError, OverflowError):
        return None
    return numbers if np.array_equal(numbers.astype(f"S{LONGEST_INTEGER + 1}"), keys) else None


def _integers(numbers: np.ndarray, first_row: int) -> tuple[Ids, dict[str, np.ndarray]]:
    order = np.argsort(numbers, kind="stable")
    keys = numbers[order].astype(np.int64)
    ids, rows = _with_rows(Ids("integers", len(keys), row=first_row), order, first_row)
    if len(keys) and int(keys[-1]) - int(keys[0]) == len(keys) - 1 and not rows:
        return Ids("range", len(keys), first=int(keys[0]), row=first_row), {}
    return ids, {"keys": keys, **rows}


def _long_text(ends: np.ndarray, text: np.ndarray, first_row: int) -> tuple[Ids, dict[str, np.ndarray]]:
    begins = np.concatenate([np.zeros(1, np.int64), ends[:-1]]) if len(ends) else ends
    texts = [text[begin:end].tobytes() for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
    ids, rows = _with_rows(Ids("long_text", len(texts), row=first_row, nbytes=len(text)), order, first_row)
    joined = np.frombuffer(b"".join(texts[place] for place in order), np.uint8)
    lengths = np.array([len(texts[place]) for place in order], np.int64)
    return ids, {"ends": np.cumsum(lengths, dtype=np.int64), "text": joined, **rows}


def _with_rows(ids: Ids, order: np.ndarray, first_row: int) -> tuple[Ids, dict[str, np.ndarray]]:
    """Adds the rows, unless they ascend one by one as the ids do."""
    if np.array_equal(order, np.arange(len(order))):
        return ids, {}
    mapped = Ids(ids.kind, ids.count, ids.first, 0, True, ids.width, ids.nbytes)
    return mapped, {"rows": (order + first_row).astype(np.int32)}
