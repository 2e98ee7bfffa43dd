"""The words in which methods are described: vocabularies, arrays, and how far training is.

Nothing here imports Keras or TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from bench.errors import RequestError

MAX_IDS = 2**31 - 1
"""Ids and row numbers are int32."""


class Kind(StrEnum):
    """What an array's bytes are counted as in ``result.json``."""

    TABLES = "tables"
    NETWORKS = "networks"
    MAPS = "maps"
    CODES = "codes"
    OTHER = "other"


@dataclass(frozen=True)
class Vocabulary:
    """The categorical field that a method compresses.

    Attributes:
        name: the field's name (``user``, ``item``).
        size: how many ids there are; valid ids are 0 to size - 1.
        counts: training frequency of each id, int64 of shape (size,), or None where it is not known: the ids
            then count as sorted by falling frequency.

    Raises:
        RequestError: a size or a shape of counts that cannot be.
    """

    name: str
    size: int
    counts: np.ndarray | None = field(default=None, repr=False, compare=False)
    _sums: dict[tuple[int, ...], list[int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_IDS:
            raise RequestError(f"field {self.name}: {self.size} ids; from 1 to {MAX_IDS} can be embedded")
        if self.counts is not None and self.counts.shape != (self.size,):
            raise RequestError(
                f"field {self.name}: counts of shape {self.counts.shape} for {self.size} ids; give one an id"
            )

    def by_frequency(self) -> np.ndarray:
        """All ids, the most frequent first and equally frequent ones by id; int64 of shape (size,)."""
        if self.counts is None:
            return np.arange(self.size)
        return np.argsort(-self.counts, kind="stable")

    def training_rows(self, edges: Sequence[int]) -> list[int] | None:
        """How many training rows read each block of ids by falling frequency; None where it is not known.

        Args:
            edges: ascending from 0 to size; block b is from edges[b] up to edges[b + 1].
        """
        if self.counts is None:
            return None
        key = tuple(edges)
        if key not in self._sums:  # a search over sizes asks for the same ones again and again
            falling = np.sort(self.counts)[::-1]
            self._sums[key] = [int(falling[a:b].sum()) for a, b in pairwise(key)]
        return self._sums[key]


@dataclass(frozen=True)
class Array:
    """One array of a method.

    Attributes:
        name: unique within the method.
        shape: tables are (rows, width).
        dtype: NumPy's name for it.
        initializer: a Keras initializer's name or its serialized form; ``uniform`` is Keras's default for
            embeddings, U(-0.05, 0.05). Maps have none.
        kind: what its bytes are counted as.
        trainable: False for what no gradient reaches (codes, scales and masks that ``change`` or ``serve`` sets);
            integers never are.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    initializer: str | Mapping[str, Any] = "uniform"
    kind: Kind = Kind.TABLES
    trainable: bool = True

    def __post_init__(self) -> None:
        if np.dtype(self.dtype).kind in "iub":
            object.__setattr__(self, "trainable", False)

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes it takes, by formula."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Progress:
    """How far training is, at the end of a chunk of steps.

    Attributes:
        step: steps done.
        steps: steps of the whole run.
        epoch: epochs that have ended.
        epochs: epochs of the whole run.
        epoch_ended: whether an epoch has just ended.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    epoch_ended: bool

    @property
    def share(self) -> float:
        """Of the run's steps, those done."""
        return self.step / self.steps


@dataclass(frozen=True)
class Change:
    """New values between two steps.

    Attributes:
        arrays: by name; those that stay may be missing. Maps change at the end of an epoch only.
        reset_moments: the optimizer's moments of the changed arrays start anew; otherwise they stay.
    """

    arrays: Mapping[str, np.ndarray]
    reset_moments: bool = False
