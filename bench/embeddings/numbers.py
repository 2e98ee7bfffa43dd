"""Numbers that several methods compute: casts, searches, and values as a user types them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def as_typed(value: Any) -> Any:
    """Returns a value as a user types it: 7000 for the float 7000.0, also in a list."""
    if isinstance(value, list):
        return [as_typed(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def int32(values: Any, xp: Any) -> Any:
    """Converts to int32; ``xp`` is ``numpy`` or ``keras.ops``."""
    return np.asarray(values).astype(np.int32, copy=False) if xp is np else xp.cast(values, "int32")


def float32(values: Any, xp: Any) -> Any:
    """Converts to float32; ``xp`` is ``numpy`` or ``keras.ops``."""
    return np.asarray(values).astype(np.float32) if xp is np else xp.cast(values, "float32")


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """Finds the largest integer from ``low`` to ``high`` that fits, by halving the range.

    Args:
        low: the first integer to try.
        high: the last one.
        fits: returns True if an integer fits. If one fits, all smaller ones must fit too.

    Returns:
        The integer; None if ``low`` does not fit.
    """
    if not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def places(ascending: Any, values: Any, xp: Any) -> Any:
    """Counts the entries of a sorted list that are smaller than each value.

    Args:
        ascending: integers, shape (n,).
        values: integers, shape (...).
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        int32 of the values' shape, from 0 to n.
    """
    if xp is np:
        return int32(np.searchsorted(ascending, values), np)
    # Under XLA, Keras's searchsorted compares each value with every entry. Halving takes fewer steps.
    count = int(ascending.shape[0])
    low = xp.zeros_like(values, dtype="int32")
    high = low + count
    for _ in range(count.bit_length()):
        middle = (low + high) // 2
        smaller = xp.logical_and(
            low < high, xp.take(ascending, xp.minimum(middle, max(count - 1, 0)), axis=0) < values
        )
        low, high = xp.where(smaller, middle + 1, low), xp.where(smaller, high, middle)
    return low
