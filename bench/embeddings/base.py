"""``Method``, the description of a compression method: its arrays, and how vectors come from them.

Nothing here imports Keras or TensorFlow. So three things do not wait for that import: the size of a table of ten
million rows, a refused setting, and serving.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

from bench.config.typed import check_words
from bench.embeddings.description import (
    MAX_IDS,
    Array,
    Arrays,
    Change,
    Clipped,
    Initializer,
    Kind,
    Lookups,
    Pairs,
    Progress,
    Rows,
    Vocabulary,
)  # fmt: skip
from bench.embeddings.numbers import as_typed, float32, int32, largest, places
from bench.errors import RequestError

__all__ = [
    "MAX_IDS", "Array", "Arrays", "Change", "Clipped", "Initializer", "Kind", "Lookups", "Method", "OverBudget",
    "Pairs", "Progress", "Rows", "Vocabulary", "as_typed", "check_positive", "float32", "int32", "largest", "places",
]  # fmt: skip

S = TypeVar("S")


class Method(ABC, Generic[S]):
    """A way to turn integer ids into vectors with fewer bytes than a full table.

    A method has two forms. The trained form has ``tables``, ``weights`` and ``maps``: ``lookups`` says which rows are
    read for an id, and ``combine`` makes a vector of them. The form that serves is ``served()``. It is the method
    itself, unless serving needs less than training (codes, quantized rows, sparse rows). Then it is another
    description, and ``serve`` makes its arrays from the trained ones. Sizes, budgets and the reported error are those
    of the form that serves.

    A method is the file ``bench/embeddings/methods/NAME.py``, and its settings the file ``conf/embedding/NAME.yaml``.
    The settings that are given may leave sizes open. ``self.settings`` has all sizes.

    Args:
        vocabulary: the field to compress.
        embedding_dim: width of the vectors.
        settings: an instance of ``Settings``; None for the defaults.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import find
        >>> from bench.embeddings.base import Vocabulary
        >>> QR = find("qr")
        >>> method = QR(Vocabulary("user", 6040), 64, QR.Settings(num_buckets=120))
        >>> method.nbytes
        61440
        >>> arrays = {table.name: np.ones(table.shape, table.dtype) for table in method.tables()}
        >>> method(np.array([0, 6039]), arrays).shape
        (2, 64)

    Raises:
        RequestError: a setting does not work for this vocabulary and width.
    """

    Settings: ClassVar[type[Any]]
    """The settings dataclass. Each setting is a typed field with a docstring; a size that may be chosen is None."""

    family: ClassVar[str] = "other"
    """The family of the method, as in the table of ``docs/methods.md``. Reports colour methods by family."""

    needs_dense_updates: ClassVar[bool] = False
    """True if one row's update depends on other rows. Then the trainer may not defer the updates of rows."""

    ignores_budget: ClassVar[bool] = False
    """True for a method of one size. A budget has no effect if all fields have such methods."""

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
        """Returns the method's name in settings and results: the name of its module."""
        return cls.__module__.rsplit(".", 1)[-1]

    @abstractmethod
    def resolve(self, settings: S) -> S:
        """Chooses every open size.

        It must accept its own result. A size above the largest useful one becomes the largest useful one.

        Raises:
            RequestError: a setting cannot work; the message names the setting, its value, and what would work.
        """

    def clipped(self, given: S) -> list[Clipped]:
        """Lists the values in ``given`` that are too large for this field.

        Args:
            given: the settings before ``resolve``. Defaults are not judged.

        Returns:
            Each whole number that ``resolve`` has made smaller.
        """
        found = []
        for field in dataclasses.fields(cast(Any, given)):
            value, used = getattr(given, field.name), getattr(self.settings, field.name)
            if type(value) is type(used) is int and used < value != field.default:
                found.append(Clipped(field.name, value, f"at most {used}"))
        return found

    @abstractmethod
    def tables(self) -> tuple[Array, ...]:
        """Describes the arrays that are read by rows; each has the shape (rows, width)."""

    def weights(self) -> tuple[Array, ...]:
        """Describes the trainable arrays that are read whole (projections, networks)."""
        return ()

    def maps(self) -> tuple[Array, ...]:
        """Describes the integer arrays that ``lookups`` or ``combine`` reads (id maps, hashes)."""
        return ()

    def build_maps(self) -> dict[str, np.ndarray]:
        """Makes the arrays of ``maps()`` for the start of training: zeros, unless a method overrides this."""
        return {array.name: np.zeros(array.shape, array.dtype) for array in self.maps()}

    @abstractmethod
    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Says which rows are read for each id.

        Args:
            ids: integers of any shape (...).
            maps: the arrays of ``maps()`` by name.
            xp: ``numpy`` or ``keras.ops``.

        Returns:
            Row numbers by table name, int32: of shape (...) for one row an id, or (..., k) for k rows an id. The result
            may also have other integer arrays that ``combine`` needs, under names that no table has.
        """

    @abstractmethod
    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Makes the vectors.

        Args:
            rows: the rows that were read of each table, shape (..., width) or (..., k, width).
            indices: the result of ``lookups``.
            weights: the arrays of ``weights()`` and ``maps()`` by name.
            xp: ``numpy`` or ``keras.ops``.
            training: True in a training step. With False, the vectors are those of the form that serves.

        Returns:
            Vectors, float of shape (..., embedding_dim).
        """

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """Computes the term that a training step adds to the loss, from the arguments of ``combine``.

        A mean over the ids is taken for each field: if fields share the method, it counts
        ``len(self.vocabulary.members)`` times.

        Returns:
            A scalar; None adds nothing.
        """
        return None

    def counter(self) -> str | None:
        """Names the array of ``weights()`` that counts how much each id matters; None for a method without one.

        It is float32 (rows, 1) and not trained, and ``lookups`` has row numbers under its name, of the ids' shape. Each
        training step adds to these rows the norm of the loss's gradient at the id's vector, divided by the mean norm
        over the batch, or 0 if all are 0.
        """
        return None

    def rounded(self) -> tuple[str, ...]:
        """Names the trainable tables whose rows ``after_update`` changes."""
        return ()

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """Changes rows that the optimizer has just updated.

        Momentum may also move rows that a batch does not read. This method is not called for them. So ``combine`` must
        accept rows that this method has not changed.

        Args:
            table: name of the table, one of ``rounded()``.
            rows: the updated rows, float32 of shape (rows, width).
            noise: independent draws from U[0, 1), of the same shape.
            xp: ``keras.ops`` or ``numpy``.

        Returns:
            The rows to keep, of the same shape and type.
        """
        return rows

    def is_due(self, progress: Progress) -> bool:
        """Returns True if ``change`` is to be called now. Called at the end of every chunk of steps and every epoch."""
        return False

    @classmethod
    def changes(cls) -> bool:
        """Returns True if the method has a ``change``, which reads whole arrays while they are trained."""
        return cls.is_due is not Method.is_due

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Makes new values for some arrays between two steps: for pruning, for clustering, for another stage.

        Args:
            progress: the progress of training.
            arrays: the current values of all arrays of ``tables()``, ``weights()`` and ``maps()``. To read a trained
                one takes a pass over all tables; a change that gives ``Change.rows`` alone does without.
            rng: a generator that depends on the run's seed, the field and the step.
        """
        raise NotImplementedError(f"{self.name()}: is_due without change")

    def parent(self) -> Method[Any] | None:
        """Returns the method that another run trains first; None for a method that is trained itself.

        A post-training method trains nothing, unless ``is_trained`` says so. It has the arrays of its parent, and
        ``serve`` compresses them. Equal parents are trained once.
        """
        return None

    def is_trained(self) -> bool:
        """Returns True if a run trains the method. With a parent, it then begins with the arrays of ``start``."""
        return self.parent() is None

    def start(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Makes all arrays that training begins with from those of the trained parent. ``rng`` is as in ``serve``."""
        raise NotImplementedError(f"{self.name()}: is_trained with a parent, without start")

    def served(self) -> Method[Any]:
        """Returns the description of the form that serves."""
        return self

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Makes the arrays of ``served()`` from the trained ones, with the names and types that ``served()`` describes.

        Args:
            arrays: all arrays of ``tables()``, ``weights()`` and ``maps()``.
            rng: a generator that depends on the run's seed and the field.
        """
        return dict(arrays)

    def arrays(self) -> tuple[Array, ...]:
        """Describes all arrays of this form."""
        return (*self.tables(), *self.weights(), *self.maps())

    def serving_bytes(self) -> dict[Kind, int]:
        """Counts the bytes that must be in memory to answer a lookup from integer ids, by kind.

        They are computed from shapes. No array is made.
        """
        out: dict[Kind, int] = {}
        for array in self.served().arrays():
            out[array.kind] = out.get(array.kind, 0) + array.nbytes
        return out

    @classmethod
    @abstractmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: S, budget_bytes: int) -> S:
        """Chooses the largest sizes whose serving bytes stay within ``budget_bytes``. Sizes that were given stay.

        Raises:
            OverBudget: even the smallest sizes take more; the error has their bytes.
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
        """Does all of ``fit`` for a method with one size to choose. A larger size must never take fewer bytes.

        Args:
            vocabulary: the field to compress.
            embedding_dim: width of the vectors.
            settings: the settings that were given.
            budget_bytes: the most bytes that serving may take.
            size: name of the setting; a value that was given stays.
            low: smallest value of the setting.
            high: largest value of the setting.

        Raises:
            OverBudget: even the smallest size takes more; the error has its bytes.
        """

        def sized(value: int) -> Method[S]:
            return cls(vocabulary, embedding_dim, dataclasses.replace(cast(Any, settings), **{size: value}))

        if getattr(settings, size) is not None:
            return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
        best = largest(low, high, lambda value: sized(value).nbytes <= budget_bytes)
        return sized(best or low).within(budget_bytes)

    @property
    def nbytes(self) -> int:
        """Number of bytes that serving takes, of all kinds."""
        return sum(self.serving_bytes().values())

    def within(self, budget_bytes: int) -> S:
        """Returns ``self.settings`` if serving takes no more than ``budget_bytes``.

        Raises:
            OverBudget: serving takes more.
        """
        if self.nbytes > budget_bytes:
            raise OverBudget(
                f"field {self.vocabulary.name}: {self.name()} takes {self.nbytes} bytes, more than the "
                f"{budget_bytes} of the budget: give {self.nbytes} or more",
                self.nbytes,
            )
        return self.settings

    def check_ids(self, ids: np.ndarray) -> None:
        """Refuses ids outside the vocabulary, see ``Vocabulary.check_ids``."""
        self.vocabulary.check_ids(ids)

    def __call__(self, ids: Any, arrays: Arrays, xp: Any = np, training: bool = False) -> Any:
        """Computes the vectors of ids, as serving does; in NumPy unless ``xp`` says otherwise.

        Args:
            ids: integers of any shape (...).
            arrays: all arrays of the method by name.
            xp: ``numpy`` or ``keras.ops``.
            training: as in ``combine``.

        Returns:
            Vectors of shape (..., embedding_dim).

        Raises:
            ValueError: in NumPy, an id is outside the vocabulary.
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
    """The error of settings that take more than the bytes allowed, even at their smallest sizes.

    Attributes:
        smallest_bytes: serving bytes of the smallest settings that work.
    """

    def __init__(self, message: str, smallest_bytes: int) -> None:
        super().__init__(message)
        self.smallest_bytes = smallest_bytes


def check_positive(**sizes: int | None) -> None:
    """Refuses sizes below 1. None passes: such a size is left open.

    Raises:
        RequestError: names the first such size and its value.
    """
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise RequestError(f"{name}={value}: give 1 or more")
