"""The types that data is passed on in. Nothing here assumes two fields, or ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bench.errors import RequestError

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Notes = Mapping[str, Any]  # what a source will want to know of a block, in types that JSON has


@dataclass(frozen=True)
class Values:
    """The ids of a field as they are in the data, by their numbers: all text, or all integers.

    Attributes:
        first: the number of the first of them: 1 if 0 stands for all ids that are not known, else 0.
        integers: the ids, int64 (ids,), or None for text.
        ends: where the bytes of each text end, int64 (ids,), or None for integers.
        text: the bytes of all texts, one after the other, in UTF-8, uint8 (bytes,), or None for integers.
    """

    first: int
    integers: npt.NDArray[np.int64] | None = None
    ends: npt.NDArray[np.int64] | None = None
    text: npt.NDArray[np.uint8] | None = None

    def __getitem__(self, number: int) -> str | int | None:
        """Returns the id of a number; None for the number of all ids that are not known."""
        at = int(number) - self.first
        if at < 0:
            return None
        if self.integers is not None:
            return int(self.integers[at])
        assert self.ends is not None and self.text is not None
        begin = int(self.ends[at - 1]) if at else 0
        return bytes(self.text[begin : int(self.ends[at])]).decode()

    def __len__(self) -> int:
        known = self.integers if self.integers is not None else self.ends
        return 0 if known is None else len(known)


@dataclass(frozen=True)
class Field:
    """A categorical field.

    Attributes:
        name: ``user``, ``item``, or any other.
        size: how many ids there are, an out-of-vocabulary one included; valid ids are 0 to size - 1.
        counts: how often each id occurs in the rows that train, int64 (size,).
        values: the ids as they are in the data, or None if they are not known.
    """

    name: str
    size: int
    counts: Counts = field(repr=False, compare=False)
    values: Values | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Part:
    """The rows of one part of a split, in the order of the source.

    Attributes:
        ids: int32 (rows,) of every field.
        labels: float32 (rows,).
        dense: float32 (rows, k), or None where the data has no dense columns.
    """

    ids: Mapping[str, Ids]
    labels: Floats
    dense: Floats | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, rows: int) -> Self:
        """Gives the first rows, without a copy."""
        dense = None if self.dense is None else self.dense[:rows]
        return replace(
            self,
            ids={name: own[:rows] for name, own in self.ids.items()},
            labels=self.labels[:rows],
            dense=dense,
        )


@dataclass(frozen=True)
class Interactions:
    """A data set, split and numbered: all that training and evaluation see.

    Attributes:
        name: the data set's name in results.
        fields: by name, in the order of the source.
        train: rows that train.
        validation: rows taken from the training rows for early stopping and search; often none.
        evaluation: rows that results are measured on.
        label_range: smallest and largest label of the rows that train.
        item_field: the field by whose popularity errors are reported, or None.
        digest: SHA-256 of all of the above but the name and the fields' ``values``, in hexadecimal.
        user_field: the field whose ids are users, or None.
    """

    name: str
    fields: Mapping[str, Field]
    train: Part
    validation: Part
    evaluation: Part
    label_range: tuple[float, float]
    item_field: str | None
    digest: str
    user_field: str | None = None

    @property
    def dense_dim(self) -> int:
        """The number of dense columns."""
        return 0 if self.train.dense is None else int(self.train.dense.shape[1])

    def training_on(self, rows: int | None) -> Self:
        """Gives the data set with the first training rows alone, or itself for None. Its fields stay as they are.

        Raises:
            RequestError: there are fewer training rows.
        """
        if rows is None:
            return self
        if rows > len(self.train):
            raise RequestError(
                f"training.rows={rows}: {self.name} has {len(self.train)} training rows; give at most as many"
            )
        return replace(self, train=self.train.first(rows))


@dataclass(frozen=True)
class Encoded:
    """Ids of some rows as positions in a list.

    Attributes:
        codes: positions in ``values``, int32 (rows,).
        values: the ids as they are in the data, an Arrow array of text or integers, in the order in which they first
            appear in the rows. An id may occur twice, but none is without a row.
    """

    codes: Ids
    values: Any

    @classmethod
    def of(cls, ids: npt.NDArray[Any]) -> Self:
        """Finds the distinct ids among integers (rows,)."""
        from bench.data.arrow import from_numpy, numbered

        codes, values = numbered(ids)
        return cls(codes, from_numpy(values))


@dataclass(frozen=True)
class Block:
    """Some rows of a source, one after the other.

    Attributes:
        ids: of every field.
        labels: float32 (rows,), finite.
        timestamps: int64 or float64 (rows,), larger is later, or None.
        dense: float32 (rows, k), finite, or None.
        role: the part that all these rows belong to where the source divides them, else None; see ``bench.data.split``.
        notes: what the source will want to know of the block, in types that JSON has.
    """

    ids: Mapping[str, Encoded]
    labels: Floats
    timestamps: npt.NDArray[Any] | None = None
    dense: Floats | None = None
    role: int | None = None
    notes: Notes = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)


Task = Callable[[], Block]
"""Makes a block. Tasks may be called in any order, and in several threads."""


def _nothing(notes: Sequence[Notes]) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Stream:
    """Rows as a source hands them over, block by block, before a split and numbering.

    Attributes:
        origin: what to call them in a message: a file, a setting.
        fields: the names of the categorical fields, in order.
        tasks: yields what makes each block, in order, and the share of the source that is read by then.
        finish: takes the notes of all blocks, in order, once all are read. It refuses rows that cannot be used, and
            gives lines that the user should see whenever these rows are used.
        plan: how the rows are divided into blocks. Blocks of an equal source and plan are equal.
        pairs: the line that says that pairs of ids are repeated, with ``{}`` for their number and for that of rows, or
            None if that is nothing to say.
        user_field: the field of users, or None.
        item_field: the field of items, or None.
        sizes: how many ids a field has, by field, if they are the integers from 0 on and need no numbers.
    """

    origin: str
    fields: Sequence[str]
    tasks: Callable[[], Iterator[tuple[Task, float]]]
    finish: Callable[[Sequence[Notes]], Sequence[str]] = _nothing
    plan: str = ""
    pairs: str | None = None
    user_field: str | None = "user"
    item_field: str | None = "item"
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """All rows of a source that fit into memory, before a split and numbering.

    Attributes:
        origin: what to call them in a message: a file, a setting.
        ids: integers (rows,) by field, equal where the source's ids are equal.
        labels: float32 (rows,), finite.
        timestamps: int64 (rows,), larger is later, or None.
        dense: float32 (rows, k), finite, or None.
        warnings: lines that the user should see whenever these rows are used.
        user_field: the field of users, or None.
        item_field: the field of items, or None.

    Raises:
        RequestError: an array has another type, shape or length, or a number is not finite.
    """

    origin: str
    ids: Mapping[str, npt.NDArray[Any]]
    labels: Floats
    timestamps: npt.NDArray[np.int64] | None = None
    dense: Floats | None = None
    warnings: tuple[str, ...] = ()
    user_field: str | None = "user"
    item_field: str | None = "item"

    def __post_init__(self) -> None:
        """Refuses arrays that are not as described."""
        rows = np.shape(self.labels)[0] if np.ndim(self.labels) else 0
        columns: dict[str, tuple[Any, str, int]] = {"labels": (self.labels, "f4", 1)}
        columns |= {f"ids of {name}": (own, "iu", 1) for name, own in self.ids.items()}
        columns |= {"timestamps": (self.timestamps, "i8", 1)} if self.timestamps is not None else {}
        columns |= {"dense": (self.dense, "f4", 2)} if self.dense is not None else {}
        for name, (array, kind, ndim) in columns.items():
            dtype = np.asarray(array).dtype
            of_kind = dtype.kind in kind if kind == "iu" else dtype.str[1:] == kind
            if not of_kind or np.ndim(array) != ndim or len(array) != rows:
                wanted = {"f4": "float32", "iu": "integers", "i8": "int64"}[kind]
                raise RequestError(
                    f"{self.origin}: {name} are {dtype} of shape {np.shape(array)}; {wanted} of "
                    f"{'one dimension' if ndim == 1 else 'two dimensions'} and {rows} rows are needed"
                )
            if kind == "f4" and not np.isfinite(array).all():
                raise RequestError(f"{self.origin}: {name} hold numbers that are not finite")

    def __len__(self) -> int:
        return len(self.labels)

    def stream(self) -> Stream:
        """Gives the rows as a stream of one block."""

        def block() -> Block:
            ids = {name: Encoded.of(own) for name, own in self.ids.items()}
            return Block(ids, self.labels, self.timestamps, self.dense)

        return Stream(
            self.origin,
            tuple(self.ids),
            lambda: iter([(block, 1.0)]),
            lambda notes: self.warnings,
            user_field=self.user_field,
            item_field=self.item_field,
        )


@dataclass(frozen=True)
class Source:
    """The source of rows.

    Attributes:
        identity: everything that decides the rows, in types that JSON has: equal identities, equal rows.
        read: makes or reads them; called only where no prepared copy exists.
    """

    identity: Mapping[str, Any]
    read: Callable[[], Rows | Stream]
