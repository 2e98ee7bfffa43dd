"""Numbers the ids of a field, whose rows lie in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.data.arrow import from_numpy, numbered, to_numpy

Numbers = npt.NDArray[np.int32]
Picks = npt.NDArray[np.int64]


class Positions(Protocol):
    """Gives the positions of ids in the values of a block, int32 (rows,)."""

    def __call__(self, block: int, /) -> Numbers:
        """Reads those of a block."""


@dataclass(frozen=True)
class Vocabulary:
    """The numbers of a field's ids.

    Attributes:
        tables: of each block, the number of each of its values, int32 (values,).
        counts: how many rows of each number train, int64 (numbers,).
        known: the id of each number, but that of all others, an Arrow array.
    """

    tables: Sequence[Numbers]
    counts: npt.NDArray[np.int64]
    known: Any


def unified(values: Sequence[Any]) -> tuple[list[Numbers], Any]:
    """Numbers the values of all blocks in the order in which they first appear.

    Args:
        values: Arrow arrays of text or integers.

    Returns:
        The number of each value, int32 arrays of the same lengths, and the value of each number, an Arrow array. Where
        some blocks hold text and others integers, all are text.
    """
    import pyarrow as pa

    filled = [own for own in values if len(own)]
    if not filled:
        return [np.zeros(0, np.int32) for _ in values], pa.array([], pa.large_string())
    if len({own.type for own in filled}) > 1:
        filled = [own.cast(pa.large_string()) for own in filled]
    chunks = iter(pa.chunked_array(filled).dictionary_encode().chunks)
    found = [next(chunks) if len(own) else None for own in values]
    numbers = [np.zeros(0, np.int32) if one is None else to_numpy(one.indices) for one in found]
    return numbers, next(one for one in reversed(found) if one is not None).dictionary


def number(
    values: Sequence[Any],
    positions: Positions,
    trains: Sequence[Picks],
    only_train: bool = False,
    min_count: int = 1,
    declared: int | None = None,
) -> Vocabulary:
    """Numbers ids in order of appearance.

    Args:
        values: of each block, Arrow arrays.
        positions: reads the positions of a block's ids in its values.
        trains: of each block, the positions of its rows that train, int64 (rows of them,).
        only_train: ids are numbered from 1 on in the order in which they appear in rows that train, and 0 stands for
            all others. Else from 0 on, over all rows.
        min_count: with ``only_train``, ids that fewer rows train are among all others.
        declared: how many ids there are, if they are integers from 0 on; then each is its own number.
    """
    if declared is not None and not only_train:
        tables = [to_numpy(own).astype(np.int32, copy=False) for own in values]
        known: Any = from_numpy(np.arange(declared))
    else:
        tables, known = unified(values)
    counts = np.zeros(len(known), np.int64)
    order = np.full(len(known), -1, np.int32)  # of first appearance in rows that train
    seen = 0
    for block, (table, train) in enumerate(zip(tables, trains, strict=True)):
        codes = positions(block).take(train)
        np.add.at(counts, table, np.bincount(codes, minlength=len(table)))
        if only_train:
            appearing = numbered(table[numbered(codes)[1]])[1]
            new = appearing[order[appearing] < 0]
            order[new] = np.arange(seen, seen + len(new), dtype=np.int32)
            seen += len(new)
    if not only_train:
        return Vocabulary(tables, counts, known)
    often = counts >= max(1, min_count)
    in_order = np.argsort(np.where(often, order, np.iinfo(np.int32).max), kind="stable")[: int(often.sum())]
    numbers = np.zeros(len(known), np.int32)
    numbers[in_order] = np.arange(1, len(in_order) + 1, dtype=np.int32)
    rest = np.array([counts[~often].sum()], np.int64)
    return Vocabulary(
        [numbers[table] for table in tables],
        np.concatenate([rest, counts[in_order]]),
        known.take(from_numpy(in_order)),
    )
