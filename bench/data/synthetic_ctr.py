"""Clicks in the shape of Criteo's from a planted model: any number of rows, in a stream, the same bytes everywhere.

A row has an id of each field, drawn from a Zipf distribution, and dense numbers, which are normal. It is clicked with
probability sigmoid(z), where

    z = bias + linear_sd / sqrt(F)      * sum over fields f of w_f(id)
             + interaction_sd / sqrt(P) * sum over planted pairs of fields (f, g) of u(id_f) . v(id_g) / 2
             + dense_sd / sqrt(D)       * sum over dense columns j of +-x_j

``w`` is a normal number and ``u``, ``v`` are four uniform numbers of variance 1, each a hash of the id, so that no
table is needed. The bias is such that the share of clicks is ``base_rate``. The best attainable AUC is that of z.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from bench.data.interactions import Block, Encoded, Notes, Source, Stream, Task
from bench.data.portable import Floats, Ints, exp2, hashed, lanes, log2, normal, sigmoid
from bench.data.portable import Stream as Draws
from bench.data.settings import SyntheticCtrSettings

VERSION = 1  # of the bytes made: a change of any of them needs a new number

BLOCK_ROWS = 1 << 17
"""Rows that are drawn at once."""

CHUNK = 1 << 14
"""Rows that are computed at once, so that temporaries stay in the processor's cache."""

SAMPLE = 1 << 18
"""Rows that the bias and the best attainable AUC are found on."""

IDS, DENSE, CLICK, PLAN = range(1, 5)
"""Purposes of random numbers."""

FIXED = 2.0**40
"""Probabilities are added up as multiples of 1 / FIXED: sums of integers do not depend on their order."""


def source(settings: SyntheticCtrSettings, data_dir: Path) -> Source:
    """The generator, which needs no file.

    Args:
        settings: what to generate.
        data_dir: not used.
    """
    identity = {"kind": "synthetic_ctr", "version": VERSION, "rows": settings.num_rows, **settings.planted}
    return Source(identity, lambda: Clicks(settings).stream())


@dataclass(frozen=True)
class Drawn:
    """Some rows before they are clicked.

    Attributes:
        ids: of each field, int64 (rows,).
        dense: of each column, float64 (rows,).
    """

    ids: Sequence[Ints]
    dense: Sequence[Floats]


class Clicks:
    """The planted model.

    Args:
        settings: its sizes and effects.
    """

    def __init__(self, settings: SyntheticCtrSettings) -> None:
        self._settings = settings
        self._sizes, self._exponents = settings.field_sizes, settings.field_exponents
        keys = iter(
            Draws([settings.seed, PLAN]).raw(3 * len(self._sizes) + 2 * settings.num_interactions).tolist()
        )
        self._weights = [next(keys) for _ in self._sizes]
        self._steps = [_step(size, next(keys)) for size in self._sizes]
        self._shifts = [next(keys) % size for size in self._sizes]
        self._pairs = [
            (*pair, next(keys), next(keys))
            for pair in _pairs(len(self._sizes), settings.num_interactions, settings.seed)
        ]

    def stream(self) -> Stream:
        """Gives all rows, block by block."""
        names = self._settings.field_names
        return Stream(
            "dataset=synthetic_ctr",
            names,
            self._tasks,
            self._finish,
            user_field=None,
            item_field=None,
            sizes=dict(zip(names, self._sizes, strict=True)),
        )

    def _tasks(self) -> Iterator[tuple[Task, float]]:
        rows, _ = self._settings.num_rows, self.bias  # the bias is found once, before threads ask for it
        for block, begin in enumerate(range(0, rows, BLOCK_ROWS)):
            end = min(begin + BLOCK_ROWS, rows)
            yield partial(self.block, block, begin, end - begin), end / rows

    def block(self, number: int, begin: int, rows: int) -> Block:
        """Makes a block of rows.

        Args:
            number: of the block, which decides what is drawn.
            begin: the place of its first row, which is its timestamp.
            rows: how many.
        """
        drawn = self._drawn(number + 1, rows)
        clicked = Draws([self._settings.seed, CLICK, number + 1]).uniform(rows) < sigmoid(
            self._scores(drawn) + self.bias
        )
        ids = {name: Encoded.of(own) for name, own in zip(self._settings.field_names, drawn.ids, strict=True)}
        dense = np.stack(drawn.dense, axis=1).astype(np.float32) if drawn.dense else None
        return Block(ids, clicked.astype(np.float32), np.arange(begin, begin + rows), dense)

    def _finish(self, notes: Sequence[Notes]) -> Sequence[str]:
        return (
            f"dataset=synthetic_ctr: {self._settings.num_rows:,} rows of {len(self._sizes)} fields with "
            f"{sum(self._sizes):,} ids; the best attainable AUC is {self.best_auc:.4f}",
        )

    def _drawn(self, number: int, rows: int) -> Drawn:
        seed = self._settings.seed
        ids, dense = Draws([seed, IDS, number]), Draws([seed, DENSE, number])
        found = []
        for size, exponent, step, shift in zip(
            self._sizes, self._exponents, self._steps, self._shifts, strict=True
        ):
            ranks = _in_chunks(partial(zipf, size, exponent), ids.uniform(rows)).astype(np.int64)
            found.append((ranks * step + shift) % size)  # popular ids lie anywhere among the others
        return Drawn(found, [dense.normal(rows) for _ in range(self._settings.num_dense)])

    def _scores(self, drawn: Drawn) -> Floats:
        """The planted z without its bias, float64 (rows,)."""
        rows = len(drawn.ids[0])
        return np.concatenate([
            self._chunk_scores([ids[at : at + CHUNK] for ids in drawn.ids], [x[at : at + CHUNK] for x in drawn.dense])
            for at in range(0, rows, CHUNK)
        ])  # fmt: skip

    def _chunk_scores(self, ids: Sequence[Ints], dense: Sequence[Floats]) -> Floats:
        own = self._settings
        linear, pairs, numbers = (np.zeros(len(ids[0])) for _ in range(3))
        for field, key in zip(ids, self._weights, strict=True):
            linear += normal(hashed(field, key))
        for one, other, first, second in self._pairs:
            left, right = lanes(hashed(ids[one], first)), lanes(hashed(ids[other], second))
            for u, v in zip(left, right, strict=True):
                pairs += u * v
        for column, x in enumerate(dense):
            numbers += -x if column % 2 else x
        found = own.linear_sd / math.sqrt(len(ids)) * linear
        found += own.interaction_sd / math.sqrt(4 * max(len(self._pairs), 1)) * pairs
        found += own.dense_sd / math.sqrt(max(len(dense), 1)) * numbers
        return found

    @cached_property
    def _sample(self) -> Floats:
        return self._scores(self._drawn(0, SAMPLE))

    @cached_property
    def bias(self) -> float:
        """What makes the share of clicks the base rate, found by bisection on a sample."""
        wanted, low, high = int(self._settings.base_rate * SAMPLE * FIXED), -64.0, 64.0
        for _ in range(60):
            middle = (low + high) / 2
            total = int((sigmoid(self._sample + middle) * FIXED).astype(np.int64).sum())
            low, high = (low, middle) if total > wanted else (middle, high)
        return low

    @cached_property
    def best_auc(self) -> float:
        """The AUC that the planted probabilities themselves are expected to have: no model can do better.

        Over pairs of rows i, j of a sample it is the sum of p_i (1 - p_j) where p_i > p_j, over that of all pairs.
        """
        p = np.sort(sigmoid(self._sample + self.bias))
        below = np.concatenate([[0.0], np.cumsum(1 - p)[:-1]])
        return float((p * (below + (1 - p) / 2)).sum() / (p.sum() * (1 - p).sum()))


def zipf(size: int, exponent: float, uniform: Floats) -> Floats:
    """Ranks from 0 to ``size`` - 1 whose frequency falls as (rank + 1) ** -exponent, as whole float64 numbers (rows,).

    The inverse of a continuous distribution with that density from 1 to size + 1 is rounded down.

    Args:
        size: the number of ids.
        exponent: 0 for equal frequencies.
        uniform: uniform numbers on (0, 1).
    """
    logs = log2(np.array([size + 1.0]))[0]
    if abs(1 - exponent) < 1e-9:
        x = exp2(uniform * logs)
    else:
        most = exp2(np.array([logs * (1 - exponent)]))[0]
        x = exp2(log2(1 + uniform * (most - 1)) / (1 - exponent))
    return np.minimum(np.floor(x), size) - 1


def _in_chunks(function: partial[Floats], values: Floats) -> Floats:
    return np.concatenate([function(values[at : at + CHUNK]) for at in range(0, len(values), CHUNK)])


def _step(size: int, key: int) -> int:
    """A step that meets all ids of a size: about the golden section of it, moved by a key, without a common divisor."""
    step = max(1, int(size * 0.618) + key % max(size // 8, 1)) % size or 1
    while math.gcd(step, size) > 1:
        step += 1
    return step


def _pairs(fields: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Different pairs of fields in a random order; as many as asked for, or all."""
    every = [(one, other) for one in range(fields) for other in range(one + 1, fields)]
    order = Draws([seed, PLAN, 1]).permutation(len(every))
    return [every[place] for place in order[:count].tolist()]
