"""The order in which an epoch reads the rows that train: ``training.shuffle``."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bench.data.interactions import Part
from bench.errors import RequestError
from bench.measure.units import short_size

Positions = npt.NDArray[np.int64]

BLOCK_ROWS = 1 << 14
"""Rows that lie one after the other and are read together under ``blocks``."""

WINDOW_BLOCKS = 64
"""Blocks that are in memory at once; their rows are mixed."""


class Order(Protocol):
    """The order of one epoch."""

    def __call__(self, start: int, stop: int) -> Positions:
        """Gives the positions of the rows that the epoch reads from its ``start``-th to before its ``stop``-th."""


def order(shuffle: str, rows: int, seed: int, epoch: int) -> Order:
    """Gives the order of an epoch, which depends on the arguments alone.

    Args:
        shuffle: ``full`` draws one order of all rows. ``blocks`` draws an order of blocks, each of rows that lie one
            after the other, and mixes the rows of ``WINDOW_BLOCKS`` blocks at a time.
        rows: the number of rows.
        seed: of the run.
        epoch: its number.
    """
    if shuffle == "full":
        found = _generator(seed, epoch).permutation(rows)
        return lambda start, stop: found[start:stop]
    return _Blocks(rows, seed, epoch)


class _Blocks:
    """Blocks in a random order, whose rows are mixed window by window.

    Args:
        rows: the number of rows.
        seed: of the run.
        epoch: its number.
    """

    def __init__(self, rows: int, seed: int, epoch: int) -> None:
        self._rows, self._seed, self._epoch = rows, seed, epoch
        self._blocks = _generator(seed, epoch).permutation(-(-rows // BLOCK_ROWS))
        lengths = np.minimum(rows - self._blocks * BLOCK_ROWS, BLOCK_ROWS)
        self._ends = np.cumsum(lengths)[
            np.r_[WINDOW_BLOCKS - 1 : len(lengths) : WINDOW_BLOCKS, len(lengths) - 1]
        ]
        self._kept: tuple[int, Positions] = -1, np.zeros(0, np.int64)

    def __call__(self, start: int, stop: int) -> Positions:
        first, last = np.searchsorted(self._ends, [start, stop - 1], side="right").tolist()
        pieces = []
        for window in range(first, last + 1):
            begin = int(self._ends[window - 1]) if window else 0
            pieces.append(self._window(window)[max(0, start - begin) : max(0, stop - begin)])
        return np.concatenate(pieces)

    def _window(self, number: int) -> Positions:
        if self._kept[0] != number:
            blocks = self._blocks[number * WINDOW_BLOCKS : (number + 1) * WINDOW_BLOCKS]
            places = [
                np.arange(b * BLOCK_ROWS, min((b + 1) * BLOCK_ROWS, self._rows)) for b in blocks.tolist()
            ]
            # from 1 on: NumPy takes seeds that end in a zero for those without it
            generator = _generator(self._seed, self._epoch, number + 1)
            self._kept = number, generator.permutation(np.concatenate(places))
        return self._kept[1]


def check_memory(shuffle: str, part: Part, free: int) -> None:
    """Refuses to read rows in any order that do not fit into memory.

    Args:
        shuffle: ``full`` or ``blocks``.
        part: the rows that train.
        free: bytes of memory that are free.

    Raises:
        RequestError: it names ``blocks``.
    """
    columns = [*part.ids.values(), part.labels, *([] if part.dense is None else [part.dense])]
    need = sum(column.nbytes for column in columns) + len(part) * np.dtype(np.int64).itemsize
    if shuffle == "full" and need > free:
        raise RequestError(
            f"training.shuffle=full: {len(part):,} rows in any order take {short_size(need)} of memory, and "
            f"{short_size(free)} are free; give training.shuffle=blocks"
        )


def _generator(*seeds: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(list(seeds)))
