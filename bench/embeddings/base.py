"""What a compression method is: a description of its arrays, and of how vectors come from them.

Nothing here imports Keras or TensorFlow: a size for ten million rows, a refused setting and serving must not
wait for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

from bench.embeddings.description import MAX_IDS, Array, Change, Kind, Progress, Vocabulary
from bench.errors import RequestError
from bench.settings import check_words

__all__ = [
    "MAX_IDS", "Array", "Arrays", "Change", "Kind", "Method", "OverBudget", "Progress", "Vocabulary",
    "check_positive", "float32", "int32", "largest", "places",
]  # fmt: skip

S = TypeVar("S")
Arrays = Mapping[str, Any]


class Method(ABC, Generic[S]):
    """A way to turn integer ids into vectors of ``embedding_dim`` with fewer bytes than a full table.

    It has two forms. What is trained are ``tables``, ``weights`` and ``maps``, read by ``lookups`` and combined by
    ``combine``. What serves is ``served()``: the method itself, unless what is kept for serving is smaller than what
    is trained (codes, quantized rows, sparse rows): then another description, whose arrays ``serve`` makes of the
    trained ones. Sizes, budgets and the reported error are those of the served form.

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
        """Arrays that are read by rows, shape (rows, width)."""

    def weights(self) -> tuple[Array, ...]:
        """Trainable arrays that are read whole (projections, networks)."""
        return ()

    def maps(self) -> tuple[Array, ...]:
        """Integer arrays that ``lookups`` or ``combine`` reads (id maps, hashes); fixed within an epoch."""
        return ()

    def build_maps(self) -> dict[str, np.ndarray]:
        """The arrays of ``maps()`` to begin with, from the vocabulary's training frequencies; zeros if not said."""
        return {array.name: np.zeros(array.shape, array.dtype) for array in self.maps()}

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
            weights: the arrays of ``weights()`` and ``maps()`` by name.
            xp: ``numpy`` or ``keras.ops``.
            training: True in a training step. Without it the vectors are those that the served form gives.

        Returns:
            Vectors of shape (..., embedding_dim).
        """

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """What a training step adds to the loss, a scalar; None for nothing. Arguments as ``combine``'s."""
        return None

    def rounded(self) -> tuple[str, ...]:
        """The trainable tables whose rows ``after_update`` changes."""
        return ()

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """What becomes of rows of a table of ``rounded()`` that the optimizer has just updated.

        Rows that a batch does not read may drift by their momentum: ``combine`` must take values that this has not
        been called on.

        Args:
            table: its name.
            rows: new weights, float32 (rows, width).
            noise: independent draws from U[0, 1), of the same shape.
            xp: ``keras.ops`` or ``numpy``.
        """
        return rows

    def is_due(self, progress: Progress) -> bool:
        """Whether ``change`` is to be called now; asked at the end of every chunk of steps and of every epoch."""
        return False

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """New values for some arrays between two steps: pruning, clustering, another stage.

        Args:
            progress: how far training is.
            arrays: all arrays of ``tables()``, ``weights()`` and ``maps()``, as they are now.
            rng: depends on the run's seed, the field and the step.
        """
        raise NotImplementedError(f"{self.name()}: is_due without change")

    def parent(self) -> Method[Any] | None:
        """What is trained in a run of its own before; None for a method that is trained itself.

        The parent's arrays are this method's: post-training methods train nothing, they ``serve`` what their parent
        has learned. Equal parents are trained once.
        """
        return None

    def served(self) -> Method[Any]:
        """The description of what serves."""
        return self

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The arrays of ``served()`` from the trained ones, by name, in the dtypes it says.

        Args:
            arrays: all arrays of ``tables()``, ``weights()`` and ``maps()``.
            rng: depends on the run's seed and the field.
        """
        return dict(arrays)

    def arrays(self) -> tuple[Array, ...]:
        """All arrays of this form."""
        return (*self.tables(), *self.weights(), *self.maps())

    def serving_bytes(self) -> dict[Kind, int]:
        """Bytes that must be resident to answer a lookup from integer ids, by kind, by formula."""
        out: dict[Kind, int] = {}
        for array in self.served().arrays():
            out[array.kind] = out.get(array.kind, 0) + array.nbytes
        return out

    @classmethod
    @abstractmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: S, budget_bytes: int) -> S:
        """The largest settings whose serving bytes stay within ``budget_bytes``; sizes that were given stay.

        Raises:
            OverBudget: with the bytes of the smallest that works, where that is more.
        """

    @classmethod
    def fit_size(
        cls,
        vocabulary: Vocabulary,
        embedding_dim: int,
        settings: S,
        budget_bytes: int,
        size: str,
        low: int,
        high: int,
    ) -> S:
        """``fit`` of a method that has one size to choose, more of which never takes fewer bytes.

        Args:
            vocabulary: the field to compress.
            embedding_dim: width of the vectors.
            settings: those that were given.
            budget_bytes: what serving may take.
            size: the setting's name; a value that was given stays.
            low: its smallest value.
            high: its largest value.

        Raises:
            OverBudget: with the bytes of the smallest that works, where that is more.
        """

        def sized(value: int) -> Method[S]:
            return cls(vocabulary, embedding_dim, replace(cast(Any, settings), **{size: value}))

        if getattr(settings, size) is not None:
            return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
        best = largest(low, high, lambda value: sized(value).nbytes <= budget_bytes)
        return sized(best or low).within(budget_bytes)

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


def check_positive(**sizes: int | None) -> None:
    """Refuses sizes below 1; None is left open and passes.

    Raises:
        RequestError: names the first such size and its value.
    """
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise RequestError(f"{name}={value}: give 1 or more")


def int32(values: Any, xp: Any) -> Any:
    """``values`` as int32; ``xp`` is ``numpy`` or ``keras.ops``."""
    return np.asarray(values).astype(np.int32, copy=False) if xp is np else xp.cast(values, "int32")


def float32(values: Any, xp: Any) -> Any:
    """``values`` as float32; ``xp`` is ``numpy`` or ``keras.ops``."""
    return np.asarray(values).astype(np.float32) if xp is np else xp.cast(values, "float32")


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


def places(ascending: Any, values: Any, xp: Any) -> Any:
    """How many entries of a sorted list are smaller than each value.

    Args:
        ascending: integers, shape (n,).
        values: integers, shape (...).
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        int32 of the values' shape, from 0 to n.
    """
    if xp is np:
        return int32(np.searchsorted(ascending, values), np)
    # Keras's searchsorted compares each value with every entry under XLA; this halves.
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
