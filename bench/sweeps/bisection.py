"""The bisection of a method's sizes: finds the smallest that keeps a promise, with few sizes tried."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from bench.embeddings.numbers import largest as last

TOLERANCE = 1.25
"""The quotient of two sizes, one that keeps the promise and one that does not, at which a search ends."""


class Bisection:
    """A search for the smallest size that keeps a promise. A size is a number of bytes.

    It halves the logarithm of the bytes. It assumes that a larger size keeps what a smaller one keeps. It ends when the
    bytes are known up to ``TOLERANCE``, or when no size lies between the largest that breaks the promise and the
    smallest that keeps it.

    Args:
        smallest: the smallest size that there is.
        largest: the largest one that counts, at least ``smallest``.
        fits: gives the largest size of at most so many bytes. The bytes are between ``smallest`` and ``largest``.

    Attributes:
        kept: the smallest size known to keep the promise. None if there is none so far.
        broken: the largest size known to break it, below ``kept``. None if there is none so far.
        tried: the sizes that have been tried, in their order.
    """

    def __init__(self, smallest: int, largest: int, fits: Callable[[int], int]) -> None:
        self._smallest, self._largest, self._fits = smallest, largest, fits
        self.kept: int | None = None
        self.broken: int | None = None
        self.tried: list[int] = []

    def tell(self, size: int, keeps: bool) -> None:
        """Takes the news that a size keeps the promise or breaks it."""
        self.tried.append(size)
        if keeps:
            self.kept = size
        else:
            self.broken = size

    def next(self) -> int | None:
        """Gives the size to try next, or None if the search has ended."""
        low = self._smallest if self.broken is None else self.broken
        high = self._largest if self.kept is None else self.kept
        if high > low * TOLERANCE:
            middle = self._fits(isqrt(low * high))
            if middle <= low:  # no size in the lower half: the smallest above it
                middle = self._above(low, high)
            if middle < high:
                return middle
        if self.kept is None:
            return high if self.broken != high else None
        # the smallest size of all, where the next one is much larger
        return low if self.broken is None and low < high and high > low * TOLERANCE else None

    def _above(self, low: int, high: int) -> int:
        """Gives the smallest size above ``low``."""
        nothing_new = last(low, high, lambda size: self._fits(size) <= low)
        return self._fits((low if nothing_new is None else nothing_new) + 1)
