"""The types that data is passed on in. Nothing here assumes two fields, or ratings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Field:
    """A categorical field.

    Attributes:
        name: ``user``, ``item``, or any other.
        size: how many ids there are, an out-of-vocabulary one included; valid ids are 0 to size - 1.
        counts: how often each id occurs in the rows that train, int64 (size,).
    """

    name: str
    size: int
    counts: Counts = field(repr=False, compare=False)


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
        digest: SHA-256 of all of the above but the name, in hexadecimal.
    """

    name: str
    fields: Mapping[str, Field]
    train: Part
    validation: Part
    evaluation: Part
    label_range: tuple[float, float]
    item_field: str | None
    digest: str

    @property
    def dense_dim(self) -> int:
        """How many dense columns there are."""
        return 0 if self.train.dense is None else int(self.train.dense.shape[1])


@dataclass(frozen=True)
class Rows:
    """Rows as a source hands them over, before a split and numbering.

    Attributes:
        origin: what to call them in a message: a file, a setting.
        ids: integers (rows,) by field, equal where the source's ids are equal.
        labels: float32 (rows,), finite.
        timestamps: int64 (rows,), larger is later, or None.
        dense: float32 (rows, k), finite, or None.
        warnings: lines that the user should see whenever these rows are used.
    """

    origin: str
    ids: Mapping[str, npt.NDArray[Any]]
    labels: Floats
    timestamps: npt.NDArray[np.int64] | None = None
    dense: Floats | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Source:
    """Where rows come from.

    Attributes:
        identity: everything that decides the rows, in types that JSON has: equal identities, equal rows.
        read: makes or reads them; called only where no prepared copy exists.
    """

    identity: Mapping[str, Any]
    read: Callable[[], Rows]
