"""What a compression method is: a description of its arrays, and of how vectors come from them.

Nothing here imports Keras or TensorFlow: a size for ten million rows, a refused setting and serving must not
wait for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from math import prod
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from bench.errors import RequestError
from bench.settings import check_words

S = TypeVar("S")
Arrays = Mapping[str, Any]

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
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    initializer: str | Mapping[str, Any] = "uniform"
    kind: Kind = Kind.TABLES

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes it takes, by formula."""
        return self.size * np.dtype(self.dtype).itemsize


class Method(ABC, Generic[S]):
    """A way to turn integer ids into vectors of ``embedding_dim`` with fewer bytes than a full table.

    A subclass lives in ``bench/embeddings/<name>.py`` with ``conf/embedding/<name>.yaml`` beside it in the
    settings. The settings it is given may leave sizes open; ``self.settings`` has them all.

    Args:
        vocabulary: the field to compress.
        embedding_dim: width of the vectors that the model sees.
        settings: an instance of ``Settings``; None for its defaults.

    Raises:
        RequestError: a setting that cannot work for this vocabulary and width.
    """

    Settings: ClassVar[type[Any]]
    """The settings dataclass: one typed field with a docstring a setting, sizes ``None`` where chosen."""

    needs_dense_updates: ClassVar[bool] = False
    """True where the method's update is not one rule per row, so that the trainer may not defer rows."""

    ignores_budget: ClassVar[bool] = False
    """True for a method of one size, which a budget does not touch where no other method is used."""

    def __init__(self, vocabulary: Vocabulary, embedding_dim: int, settings: S | None = None) -> None:
        if embedding_dim < 1:
            raise RequestError(f"embedding_dim={embedding_dim}: give 1 or more")
        self.vocabulary = vocabulary
        self.embedding_dim = embedding_dim
        settings = self.Settings() if settings is None else settings
        check_words(settings)
        self.settings: S = self.resolve(settings)

    @classmethod
    def name(cls) -> str:
        """The method's name in settings and results: its module's."""
        return cls.__module__.rsplit(".", 1)[-1]

    @abstractmethod
    def resolve(self, settings: S) -> S:
        """``settings`` with every open size chosen; refuses what cannot work with one line that says why."""

    @abstractmethod
    def tables(self) -> tuple[Array, ...]:
        """Trainable arrays that are read by rows, shape (rows, width)."""

    def weights(self) -> tuple[Array, ...]:
        """Trainable arrays that are read whole (projections, networks)."""
        return ()

    def maps(self) -> tuple[Array, ...]:
        """Integer arrays that are fixed while training (id maps, hash coefficients)."""
        return ()

    def build_maps(self) -> dict[str, np.ndarray]:
        """The arrays of ``maps()``, from the vocabulary's training frequencies."""
        return {}

    @abstractmethod
    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """Which rows are read for each id.

        Args:
            ids: integers of any shape (...).
            maps: the arrays of ``maps()`` by name.
            xp: ``numpy`` or ``keras.ops``.

        Returns:
            Row numbers int32 by table name, shape (...) for one row an id or (..., k) for k rows; further
            integer arrays that ``combine`` needs may stand beside them under names that are no table's.
        """

    @abstractmethod
    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The vectors.

        Args:
            rows: what was read of each table, shape (..., width) or (..., k, width).
            indices: what ``lookups`` returned.
            weights: the arrays of ``weights()`` by name.
            xp: ``numpy`` or ``keras.ops``.
            training: True in a training step.

        Returns:
            Vectors of shape (..., embedding_dim).
        """

    def serving_bytes(self) -> dict[Kind, int]:
        """Bytes that must be resident to answer a lookup from integer ids, by kind, by formula."""
        out: dict[Kind, int] = {}
        for array in (*self.tables(), *self.weights(), *self.maps()):
            out[array.kind] = out.get(array.kind, 0) + array.nbytes
        return out

    @classmethod
    @abstractmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: S, budget_bytes: int) -> S:
        """The largest settings whose serving bytes stay within ``budget_bytes``; sizes that were given stay.

        Raises:
            OverBudget: with the bytes of the smallest that works, where that is more.
        """

    @property
    def nbytes(self) -> int:
        """All serving bytes."""
        return sum(self.serving_bytes().values())

    def within(self, budget_bytes: int) -> S:
        """``self.settings``, refused with ``OverBudget`` where serving takes more than ``budget_bytes``."""
        if self.nbytes > budget_bytes:
            raise OverBudget(
                f"field {self.vocabulary.name}: {self.name()} takes {self.nbytes} bytes, more than the "
                f"{budget_bytes} of the budget: give {self.nbytes} or more",
                self.nbytes,
            )
        return self.settings

    def check_ids(self, ids: np.ndarray) -> None:
        """Raises ValueError that names the first id outside the vocabulary, and the range."""
        size = self.vocabulary.size
        if ids.size and (ids.min() < 0 or ids.max() >= size):
            wrong = ids[(ids < 0) | (ids >= size)].flat[0]
            raise ValueError(
                f"field {self.vocabulary.name}: id {wrong} is outside its {size} ids (0 to {size - 1})"
            )

    def __call__(self, ids: Any, arrays: Arrays, xp: Any = np, training: bool = False) -> Any:
        """Vectors for ids from all the method's arrays by name: what serving does, in NumPy by default.

        Raises:
            ValueError: in NumPy, an id outside the vocabulary.
        """
        if xp is np:
            ids = np.asarray(ids)
            self.check_ids(ids)
        indices = self.lookups(ids, arrays, xp)
        rows = {
            table.name: xp.take(arrays[table.name], indices[table.name], axis=0) for table in self.tables()
        }
        return self.combine(rows, indices, arrays, xp, training)


class OverBudget(RequestError):  # noqa: N818 - named as what it says
    """No settings fit the bytes allowed.

    Attributes:
        smallest_bytes: serving bytes of the smallest settings that work.
    """

    def __init__(self, message: str, smallest_bytes: int) -> None:
        super().__init__(message)
        self.smallest_bytes = smallest_bytes


def int32(values: Any, xp: Any) -> Any:
    """``values`` as int32; ``xp`` is ``numpy`` or ``keras.ops``."""
    return np.asarray(values).astype(np.int32, copy=False) if xp is np else xp.cast(values, "int32")


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """The largest integer in [low, high] that fits, if all below one that fits fit too; None if none does."""
    if not fits(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
