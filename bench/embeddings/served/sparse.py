"""The form that serves a pruned table: the kept numbers, and their places in the layout with the fewest bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

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
    largest,
    places,
)
from bench.embeddings.served.bits import packed_width
from bench.errors import RunFailed

BLOCK = 1 << 20
"""Number of numbers that are looked at at once, which bounds the memory."""

Layout = Literal["csr", "coo", "bitmap"]

POWERS = (1 << np.arange(8)).astype(np.int32)
"""The value of each bit of a byte, the lowest first."""


@dataclass
class SparseSettings:
    """Settings of ``Sparse``."""

    nnz: int | None = None
    """Number of numbers that are kept. None: all."""


class Sparse(Method[SparseSettings]):
    """vector(id)[j] = the number that is kept for row id and column j, and 0 where no number is kept.

    It serves and is never trained. Let n = vocabulary and d = embedding_dim. The numbers are ``values``, float32
    (nnz, 1), sorted by row and column. Their places are stored in one of three layouts:

    - CSR: ``offsets``, int32 (n + 1,), where each row begins, and ``columns`` (nnz,) in the smallest unsigned type
      that holds d - 1. That takes 4 nnz + 4 (n + 1) + c nnz bytes, with c = 1, 2 or 4.
    - COO: ``positions`` (nnz,), id * d + j of each number, as int32, or as int64 where n d is above 2^31 - 1. That
      takes 4 nnz + p nnz bytes, with p = 4 or 8.
    - A bitmap: ``offsets``, int32 (n,), and ``bits``, uint8 (ceil(n d / 8),). Bit i mod 8 of byte i // 8, counted from
      the lowest, is 1 if a number is kept at position i = id * d + j. That takes 4 nnz + 4 n + ceil(n d / 8) bytes. It
      is smaller than CSR where more than 1 / (8 c) of the numbers are kept.

    The layout with the fewest bytes is taken; of equal ones the first in this order.
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
    def layout(self) -> Layout:
        """The layout of the places: ``csr``, ``coo`` or ``bitmap``."""
        sizes = _bytes(self.vocabulary.size, self.embedding_dim, self.nnz)
        return min(sizes, key=lambda layout: sizes[layout])

    def tables(self) -> tuple[Array, ...]:
        """Describes ``values``, float32 (nnz, 1)."""
        return (Array("values", (self.nnz, 1), trainable=False),)

    def maps(self) -> tuple[Array, ...]:
        """Describes the places: ``offsets`` and ``columns``, ``positions``, or ``offsets`` and ``bits``.

        Their bytes count as ``other``, not as id maps.
        """
        n, d = self.vocabulary.size, self.embedding_dim
        if self.layout == "coo":
            positions = f"int{8 * _position_bytes(n * d)}"
            return (Array("positions", (self.nnz,), positions, kind=Kind.OTHER),)
        if self.layout == "bitmap":
            return (
                Array("offsets", (n,), "int32", kind=Kind.OTHER),
                Array("bits", (packed_width(n * d, 1),), "uint8", kind=Kind.OTHER),
            )
        return (
            Array("offsets", (n + 1,), "int32", kind=Kind.OTHER),
            Array("columns", (self.nnz,), f"uint{8 * _column_bytes(d)}", kind=Kind.OTHER),
        )

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Finds the place for the number of each column of each id; ``found`` is 1 if a number is there, else 0.

        The numbers are sorted, so that halving finds them: with CSR within the row, in as many steps as d has bits, and
        with COO within all positions. Comparing the numbers of a row with all d columns would take longer. With a
        bitmap, the numbers before a column are the bits before it.
        """
        d, layout = self.embedding_dim, self.layout
        ids = int32(ids, xp)
        columns = np.arange(d, dtype=np.int32)
        if layout == "bitmap":
            return self._by_bits(ids, columns, maps, xp)
        if layout == "coo":
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

    def _by_bits(self, ids: Any, columns: np.ndarray, maps: Arrays, xp: Any) -> Lookups:
        # Eight rows begin at a whole byte. Counted from there, positions are small, and those of all rows stay int32.
        eighth = xp.right_shift(ids, 3)
        position = xp.expand_dims((ids - eighth * 8) * self.embedding_dim, -1) + columns
        byte = xp.right_shift(position, 3)
        power = xp.take(POWERS, position - byte * 8, axis=0)
        own = xp.take(maps["bits"], xp.expand_dims(eighth * self.embedding_dim, -1) + byte, axis=0)
        there = xp.bitwise_and(int32(own, xp) // power, np.int32(1))
        before = int32(xp.cumsum(there, axis=-1), xp) - there
        first = xp.expand_dims(xp.take(maps["offsets"], ids, axis=0), -1)
        return {"values": xp.minimum(first + before, self.nnz - 1), "found": there}

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
        if self.layout == "coo":
            return {"values": values, "positions": kept.astype(self.maps()[0].dtype)}
        offsets = np.searchsorted(kept, np.arange(n + 1, dtype=np.int64) * d).astype(np.int32)
        if self.layout == "bitmap":
            there = np.zeros(n * d, bool)
            there[kept] = True
            return {"values": values, "offsets": offsets[:-1], "bits": np.packbits(there, bitorder="little")}
        columns = np.empty(len(kept), self.maps()[1].dtype)
        for begin in range(0, len(kept), BLOCK):
            columns[begin : begin + BLOCK] = kept[begin : begin + BLOCK] % d
        return {"values": values, "offsets": offsets, "columns": columns}


def most_entries(rows: int, width: int) -> int:
    """Returns the most numbers of a table that can be kept: all, but at most 2^31 - 1."""
    return min(rows * width, MAX_IDS)


def largest_nnz(rows: int, width: int, budget_bytes: int) -> int:
    """Returns the most numbers of a table of ``rows`` x ``width`` within the bytes, and at least 1."""

    def fits(nnz: int) -> bool:
        return min(_bytes(rows, width, nnz).values()) <= budget_bytes

    return largest(1, most_entries(rows, width), fits) or 1


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


def _bytes(rows: int, width: int, nnz: int) -> dict[Layout, int]:
    """Returns the bytes of each layout that can be, in the order in which they are preferred."""
    bits = packed_width(rows * width, 1)
    sizes: dict[Layout, int] = {
        "csr": 4 * (rows + 1) + nnz * (4 + _column_bytes(width)),
        "coo": nnz * (4 + _position_bytes(rows * width)),
    }
    if bits <= MAX_IDS:  # the numbers of bytes are int32
        sizes["bitmap"] = 4 * rows + bits + nnz * 4
    return sizes


def _column_bytes(width: int) -> int:
    return 1 if width <= 1 << 8 else 2 if width <= 1 << 16 else 4


def _position_bytes(size: int) -> int:
    return 4 if size <= MAX_IDS else 8
