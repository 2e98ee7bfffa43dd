"""The form that serves a pruned table: the kept numbers, as CSR or COO, whichever takes fewer bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.embeddings.base import (
    MAX_IDS,
    Array,
    Arrays,
    Kind,
    Lookups,
    Method,
    Vocabulary,
    check_positive,
    int32,
    places,
)
from bench.errors import RunFailed

BLOCK = 1 << 20
"""Number of numbers that are looked at at once, which bounds the memory."""


@dataclass
class SparseSettings:
    """Settings of ``Sparse``."""

    nnz: int | None = None
    """Number of numbers that are kept. None: all."""


class Sparse(Method[SparseSettings]):
    """vector(id)[j] = the number that is kept for row id and column j, and 0 where no number is kept.

    It serves and is never trained. Let n = vocabulary and d = embedding_dim. The numbers are ``values``, float32
    (nnz, 1), sorted by row and column. Their places are stored in one of two ways:

    - CSR: ``offsets``, int32 (n + 1,), where each row begins, and ``columns`` (nnz,) in the smallest unsigned type
      that holds d - 1. That takes 4 nnz + 4 (n + 1) + c nnz bytes, with c = 1, 2 or 4.
    - COO: ``positions`` (nnz,), id * d + j of each number, as int32, or as int64 where n d is above 2^31 - 1. That
      takes 4 nnz + p nnz bytes, with p = 4 or 8.

    The way with fewer bytes is taken; CSR if both take equally many.
    """

    Settings = SparseSettings

    def resolve(self, settings: SparseSettings) -> SparseSettings:
        """Chooses nnz: at most all numbers, and at most 2^31 - 1."""
        most = most_entries(self.vocabulary.size, self.embedding_dim)
        nnz = most if settings.nnz is None else settings.nnz
        check_positive(nnz=nnz)
        return replace(settings, nnz=min(nnz, most))

    @property
    def nnz(self) -> int:
        """Number of numbers that are kept."""
        assert self.settings.nnz is not None
        return self.settings.nnz

    @property
    def by_rows(self) -> bool:
        """True if places are stored as CSR."""
        coo, csr = _bytes(self.vocabulary.size, self.embedding_dim, self.nnz)
        return csr <= coo

    def tables(self) -> tuple[Array, ...]:
        """Describes ``values``, float32 (nnz, 1)."""
        return (Array("values", (self.nnz, 1), trainable=False),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``offsets`` and ``columns``, or ``positions``. Their bytes count as ``other``, not as id maps."""
        if self.by_rows:
            columns = f"uint{8 * _column_bytes(self.embedding_dim)}"
            return (
                Array("offsets", (self.vocabulary.size + 1,), "int32", kind=Kind.OTHER),
                Array("columns", (self.nnz,), columns, kind=Kind.OTHER),
            )
        positions = f"int{8 * _position_bytes(self.vocabulary.size * self.embedding_dim)}"
        return (Array("positions", (self.nnz,), positions, kind=Kind.OTHER),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Finds the place for the number of each column of each id; ``found`` is 1 if a number is there, else 0.

        The numbers are sorted, so that halving finds them: with CSR within the row, in as many steps as d has bits, and
        with COO within all positions. Comparing the numbers of a row with all d columns would take longer.
        """
        d = self.embedding_dim
        ids = int32(ids, xp)
        columns = np.arange(d, dtype=np.int32)
        if not self.by_rows:
            keys = maps["positions"]
            dtype = np.dtype(self.maps()[0].dtype)
            row = (ids.astype(dtype) if xp is np else xp.cast(ids, dtype.name)) * d
            wanted = xp.expand_dims(row, -1) + columns.astype(dtype)
            at = xp.minimum(places(keys, wanted, xp), self.nnz - 1)
            return {"values": at, "found": int32(xp.take(keys, at, axis=0) == wanted, xp)}
        keys = maps["columns"]
        first = xp.expand_dims(xp.take(maps["offsets"], ids, axis=0), -1)
        end = xp.expand_dims(xp.take(maps["offsets"], ids + 1, axis=0), -1)
        at = first - 1 + 0 * columns  # the last number at or before the column, so far
        for bit in reversed(range(d.bit_length())):
            near = at + (1 << bit)
            before = int32(xp.take(keys, xp.minimum(near, self.nnz - 1), axis=0), xp) <= columns
            at = xp.where(xp.logical_and(near < end, before), near, at)
        row = xp.maximum(at, 0)
        there = xp.logical_and(at >= first, int32(xp.take(keys, row, axis=0), xp) == columns)
        return {"values": row, "found": int32(there, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the numbers that were found, and 0 elsewhere."""
        return xp.where(indices["found"] > 0, xp.squeeze(rows["values"], axis=-1), np.float32(0))

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: SparseSettings, budget_bytes: int
    ) -> SparseSettings:
        """Chooses the most numbers within the bytes."""
        if settings.nnz is None:
            settings = replace(settings, nnz=largest_nnz(vocabulary.size, embedding_dim, budget_bytes))
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)

    def stored(self, table: np.ndarray, kept: np.ndarray) -> dict[str, np.ndarray]:
        """Makes the arrays of this form.

        Args:
            table: float32 (n, d).
            kept: the places of the numbers to keep, ascending int64 (nnz,): id * d + column.
        """
        n, d = table.shape
        values = table.reshape(-1)[kept][:, None]
        if not self.by_rows:
            return {"values": values, "positions": kept.astype(self.maps()[0].dtype)}
        offsets = np.searchsorted(kept, np.arange(n + 1, dtype=np.int64) * d).astype(np.int32)
        columns = np.empty(len(kept), self.maps()[1].dtype)
        for begin in range(0, len(kept), BLOCK):
            columns[begin : begin + BLOCK] = kept[begin : begin + BLOCK] % d
        return {"values": values, "offsets": offsets, "columns": columns}


def most_entries(rows: int, width: int) -> int:
    """Returns the most numbers of a table that can be kept: all, but at most 2^31 - 1."""
    return min(rows * width, MAX_IDS)


def largest_nnz(rows: int, width: int, budget_bytes: int) -> int:
    """Returns the most numbers of a table of ``rows`` x ``width`` within the bytes, and at least 1.

    With p bytes a position and c bytes a column, that is the larger of bytes / (4 + p) for COO and
    (bytes - 4 (rows + 1)) / (4 + c) for CSR, rounded down.
    """
    coo = budget_bytes // (4 + _position_bytes(rows * width))
    csr = (budget_bytes - 4 * (rows + 1)) // (4 + _column_bytes(width))
    return max(1, min(max(coo, csr), most_entries(rows, width)))


def largest_entries(
    numbers: np.ndarray,
    count: int,
    field: str,
    magnitude: Callable[[np.ndarray], np.ndarray] = np.array,
) -> np.ndarray:
    """Finds the places of the numbers of the largest magnitudes; among equal magnitudes, the first.

    At most one copy of the numbers is in memory.

    Args:
        numbers: floats of any shape.
        count: number of places, from 1 to the array's size.
        field: name of the field, for the message.
        magnitude: gives the magnitudes of numbers, in a new array of the same shape. By default a number is its own.

    Returns:
        Places in the flat array, ascending, int64 (count,).

    Raises:
        RunFailed: a number is NaN or infinite.
    """
    flat = numbers.reshape(-1)
    blocks = [slice(begin, begin + BLOCK) for begin in range(0, flat.size, BLOCK)]
    wrong = sum(len(flat[block]) - np.count_nonzero(np.isfinite(flat[block])) for block in blocks)
    if wrong:
        raise RunFailed(
            f"field {field}: {wrong} of {flat.size} weights are no finite numbers; a smaller "
            "training.learning_rate is the usual cure"
        )
    ordered = magnitude(flat)
    ordered.partition(flat.size - count)
    smallest = ordered[flat.size - count]
    del ordered
    kept, equal = np.empty(flat.size, bool), []
    for block in blocks:
        own = magnitude(flat[block])
        np.greater(own, smallest, out=kept[block])
        equal.append(np.flatnonzero(own == smallest) + block.start)
    kept[np.concatenate(equal)[: count - np.count_nonzero(kept)]] = True
    return np.flatnonzero(kept)


def _bytes(rows: int, width: int, nnz: int) -> tuple[int, int]:
    """Returns the bytes as COO and as CSR."""
    coo = nnz * (4 + _position_bytes(rows * width))
    return coo, 4 * (rows + 1) + nnz * (4 + _column_bytes(width))


def _column_bytes(width: int) -> int:
    return 1 if width <= 1 << 8 else 2 if width <= 1 << 16 else 4


def _position_bytes(size: int) -> int:
    return 4 if size <= MAX_IDS else 8
