"""The types that describe a method: vocabularies, arrays, and the progress of training.

Nothing here imports Keras or TensorFlow.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import accumulate, pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np

from bench.errors import RequestError

MAX_IDS = 2**31 - 1
"""The largest vocabulary: ids and row numbers are int32."""

Arrays = Mapping[str, Any]
"""Arrays by name: NumPy arrays if ``xp`` is ``numpy``, Keras tensors if it is ``keras.ops``."""

Lookups = dict[str, Any]
"""The result of ``Method.lookups``: row numbers by table name, as NumPy arrays or Keras tensors."""

Initializer = str | Mapping[str, Any]
"""A Keras initializer: its name, or ``{"class_name": ..., "config": {...}}``."""


class Kind(StrEnum):
    """The name under which ``result.json`` counts the bytes of an array."""

    TABLES = "tables"
    NETWORKS = "networks"
    MAPS = "maps"
    CODES = "codes"
    OTHER = "other"


class Pairs(NamedTuple):
    """The training rows' ids of a field, beside those of another field in the same rows.

    Attributes:
        ids: ids of the field, integers (rows,).
        others: ids of the other field, integers (rows,).
        size: number of ids of the other field.
    """

    ids: np.ndarray
    others: np.ndarray
    size: int


@dataclass(frozen=True)
class Member:
    """The part of a vocabulary that is one field: its id x is id offset + x of the vocabulary.

    Attributes:
        name: name of the field.
        size: number of its ids.
        offset: number of ids before them.
    """

    name: str
    size: int
    offset: int = 0


@dataclass(frozen=True)
class Vocabulary:
    """The ids of one categorical field, or of several that share a method: those of one after those of the other.

    Attributes:
        name: name of the field (``user``, ``item``), or of the group (``user-item``).
        size: number of ids; valid ids are 0 to size - 1.
        counts: training frequency of each id, int64 of shape (size,). With None, ids count as sorted by falling
            frequency.
        members: the fields, in order. Without any, the vocabulary is that of the field ``name``.
        pairs: gives the training rows, once for each other field. None if they are not known. Nothing is read until
            it is called; it is not saved.

    Raises:
        RequestError: the size is below 1 or above ``MAX_IDS``, or counts has another shape.
    """

    name: str
    size: int
    counts: np.ndarray | None = field(default=None, repr=False, compare=False)
    members: tuple[Member, ...] = ()
    pairs: Callable[[], Sequence[Pairs]] | None = field(default=None, repr=False, compare=False)
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
        if not self.members:
            object.__setattr__(self, "members", (Member(self.name, self.size),))

    @classmethod
    def joined(cls, fields: Sequence[Vocabulary]) -> Vocabulary:
        """Joins the vocabularies of several fields. That of one field stays as it is.

        The name has the fields' names with ``-`` between them; of more than three, the first and the last.
        """
        if len(fields) == 1:
            return fields[0]
        names = [one.name for one in fields]
        ends = accumulate(one.size for one in fields)
        members = [Member(one.name, one.size, end - one.size) for one, end in zip(fields, ends, strict=True)]
        counts = [one.counts for one in fields if one.counts is not None]
        return cls(
            "-".join(names if len(names) <= 3 else [names[0], "...", names[-1]]),
            sum(one.size for one in fields),
            np.concatenate(counts) if len(counts) == len(fields) else None,
            tuple(members),
        )

    @property
    def is_shared(self) -> bool:
        """True if the ids are those of several fields."""
        return len(self.members) > 1

    def member(self, field: str) -> Member:
        """Gives the part of a field."""
        return next(one for one in self.members if one.name == field)

    def alone(self, field: str) -> Vocabulary:
        """Gives the vocabulary of a field without the others."""
        if not self.is_shared:
            return self
        one = self.member(field)
        counts = None if self.counts is None else self.counts[one.offset : one.offset + one.size]
        return Vocabulary(one.name, one.size, counts)

    def ids_of(self, ids: Arrays, xp: Any) -> Any:
        """Gives the ids of this vocabulary from those of its fields.

        Args:
            ids: integers (...) by field.
            xp: ``numpy`` or ``keras.ops``.

        Returns:
            The ids of the one field as they are; of several fields, int32 (..., number of fields).
        """
        if not self.is_shared:
            return ids[self.members[0].name]
        offsets = np.array([one.offset for one in self.members], np.int32)
        return xp.stack([ids[one.name] for one in self.members], axis=-1) + offsets

    def config(self) -> dict[str, object]:
        """Gives name, size and fields in the types that JSON has, without counts."""
        own: dict[str, object] = {"name": self.name, "size": self.size}
        return {**own, "members": [asdict(one) for one in self.members]} if self.is_shared else own

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Vocabulary:
        """Makes the vocabulary of a ``config``."""
        members = tuple(Member(**one) for one in config.get("members", ()))
        return cls(config["name"], config["size"], members=members)

    def check_ids(self, ids: np.ndarray) -> None:
        """Refuses ids outside the vocabulary.

        Raises:
            ValueError: names the first such id and the range.
        """
        if ids.size and (ids.min() < 0 or ids.max() >= self.size):
            wrong = ids[(ids < 0) | (ids >= self.size)].flat[0]
            raise ValueError(
                f"field {self.name}: id {wrong} is outside its {self.size} ids (0 to {self.size - 1})"
            )

    def generator(self, seed: int) -> np.random.Generator:
        """Makes a generator of random draws that depends on a seed and the vocabulary's name alone."""
        return np.random.default_rng([seed, zlib.crc32(self.name.encode())])

    def by_frequency(self) -> np.ndarray:
        """Returns all ids, the most frequent first, int64 of shape (size,). Equally frequent ids ascend."""
        if self.counts is None:
            return np.arange(self.size)
        return np.argsort(-self.counts, kind="stable")

    def training_rows(self, edges: Sequence[int]) -> list[int] | None:
        """Counts the training rows that read each block of ids.

        Args:
            edges: ranks by falling frequency, ascending from 0 to size. Block b has the ranks from edges[b] up to,
                but without, edges[b + 1].

        Returns:
            The number of training rows of each block; None if the frequencies are unknown.
        """
        if self.counts is None:
            return None
        key = tuple(edges)
        if key not in self._sums:  # kept, because a search over sizes asks for the same blocks many times
            falling = np.sort(self.counts)[::-1]
            self._sums[key] = [int(falling[a:b].sum()) for a, b in pairwise(key)]
        return self._sums[key]


@dataclass(frozen=True)
class Array:
    """The description of one array of a method.

    Attributes:
        name: unique within the method.
        shape: for a table (rows, width).
        dtype: NumPy's name of the type.
        initializer: initial values; ``uniform`` is Keras's default for embeddings, U(-0.05, 0.05). Maps do not
            use it.
        kind: name under which ``result.json`` counts the bytes.
        trainable: False for arrays without a gradient (codes, scales, masks): ``change`` or ``serve`` sets them.
            Integer arrays are never trainable.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    initializer: Initializer = "uniform"
    kind: Kind = Kind.TABLES
    trainable: bool = True

    def __post_init__(self) -> None:
        if np.dtype(self.dtype).kind in "iub":
            object.__setattr__(self, "trainable", False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes, computed from shape and type."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Progress:
    """The progress of training at the end of a chunk of steps.

    Attributes:
        step: number of steps done.
        steps: number of steps of the whole run.
        epoch: number of epochs that have ended.
        epochs: number of epochs of the whole run.
        epoch_ended: True if an epoch has just ended.
        previous: number of steps that were done when methods were asked before, 0 at first.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    epoch_ended: bool
    previous: int = 0

    @property
    def share(self) -> float:
        """Share of the run's steps that are done, from 0 to 1."""
        return self.step / self.steps

    def passed(self, parts: int) -> bool:
        """Returns True if the run has reached a further multiple of 1/parts of its steps since ``previous``."""
        return self.step * parts // self.steps > self.previous * parts // self.steps


@dataclass(frozen=True)
class Rows:
    """New values of some rows of an array.

    Attributes:
        numbers: the rows, integers (k,), each once.
        values: their new values, (k, ...) in the type of the array. None: ``copied`` says them.
        copied: the rows of the same array that they become copies of, integers (k,), none of them in ``numbers``.
    """

    numbers: np.ndarray
    values: np.ndarray | None = None
    copied: np.ndarray | None = None

    def write(self, array: np.ndarray) -> np.ndarray:
        """Writes the new rows into the array, and returns it."""
        array[self.numbers] = array[self.copied] if self.values is None else self.values
        return array


@dataclass(frozen=True)
class Change:
    """New values for some arrays, set between two steps.

    Attributes:
        arrays: new values by name. Arrays that keep their values may be missing.
        reset_moments: True makes the optimizer's moments of these arrays start anew; False keeps them.
        rows: new values of some rows, by the names of further arrays. Where an array is trained, the optimizer's
            moments of these rows start anew, and a table that is updated by rows is touched nowhere else.
    """

    arrays: Mapping[str, np.ndarray]
    reset_moments: bool = False
    rows: Mapping[str, Rows] = field(default_factory=dict)

    def applied(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns all arrays that change, whole.

        Args:
            arrays: the values before, by name; those in ``rows`` are copied.
        """
        return {**self.arrays, **{name: rows.write(arrays[name].copy()) for name, rows in self.rows.items()}}


@dataclass(frozen=True)
class Clipped:
    """A value of a setting that does not work for a field, because the field has too few ids.

    Attributes:
        setting: name of the setting.
        value: the value that was given; of a list, the entry that does not work.
        limit: the values that work, such as ``at most 3706``.
        why: the reason, as words that go before the name of the field.
        instead: the field's choice in place of such a value, in words.
    """

    setting: str
    value: float
    limit: str
    why: str = "too large for"
    instead: str = "the largest is taken there"
