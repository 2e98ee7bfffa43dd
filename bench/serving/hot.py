"""The lookup of methods with hot rows in front."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bench.embeddings.base import Method

Arrays = Mapping[str, np.ndarray]
Reader = Callable[[np.ndarray], np.ndarray]


def hot_reader(
    form: Method[Any], arrays: Arrays, reader: Callable[[Method[Any], Arrays], Reader]
) -> Reader | None:
    """Gives a lookup that reads the rows of hot ids, and computes the vectors of the other ids alone.

    Args:
        form: the description that serves.
        arrays: its arrays by name.
        reader: gives the lookup of the method without hot rows.

    Returns:
        The lookup; None for a form without hot rows.
    """
    if not getattr(form.settings, "num_hot", 0):
        return None
    # a process imports the methods that it serves, and no others
    from bench.embeddings.families.hot import HOT, ROWS, HotRows, find_hot

    if not isinstance(form, HotRows):
        return None
    behind = type(form)(form.vocabulary, form.embedding_dim, replace(form.settings, num_hot=0))
    rest, hot, table = reader(behind, arrays), arrays[HOT], arrays[ROWS]

    def read(rows: np.ndarray) -> np.ndarray:
        place, is_hot = find_hot(hot, rows.astype(np.int32, copy=False), np)
        out = np.empty((len(rows), form.embedding_dim), np.float32)
        out[is_hot] = table.take(place[is_hot], axis=0)
        others = ~is_hot
        if others.any():
            out[others] = rest(rows[others])
        return out

    return read
