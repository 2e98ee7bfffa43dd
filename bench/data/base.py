"""The settings that every data set has, and those of a split."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from bench.config.typed import Bytes, Count, Rest, Seed, Share, Value
from bench.errors import RequestError

OWN_VALIDATION = ("folds", "seven_parts")
"""Kinds of splits that set rows apart to validate on."""


@dataclass(frozen=True)
class Split:
    """The division of rows; its seed is not the model's.

    Counts are shares of rows rounded to the nearest, halves up.

    - ``random``: as many rows as ``train_fraction`` says train, drawn with ``seed``; the others evaluate. Of
      the training rows, ``validation_fraction`` are drawn to validate.
    - ``last``: the ``last_n`` latest rows of each user evaluate, of equally late ones those further down in
      the source. A user with no more than ``last_n`` rows trains with all of them. Of each user's training
      rows the latest ``validation_fraction`` validate, but never all.
    - ``time``: the earliest ``train_fraction`` of all rows train, of equally early ones those further up in
      the source. The latest ``validation_fraction`` of them validate.
    - ``folds``: ten stratified folds by scikit-learn, shuffled with ``seed``: the first evaluates, the second
      validates, the others train.
    - ``seven_parts``: seven equal parts in the order of the source, the first ones a row longer where rows are left
      over. The first six train; of the last, the first half evaluates and the rest validates. DLRM splits Criteo so.

    Attributes:
        kind: the rule.
        train_fraction: share of all rows that does not evaluate (``random`` and ``time``).
        last_n: rows of each user that evaluate (``last``).
        seed: decides what is drawn (``random`` and ``folds``).
        validation_fraction: share of the training rows that early stopping and search may see instead.
    """

    kind: Literal["random", "last", "time", "folds", "seven_parts"]
    train_fraction: Share
    last_n: Count
    seed: Seed
    validation_fraction: Rest

    def __post_init__(self) -> None:
        """Refuses rows that validate twice."""
        if self.validation_fraction and self.kind in OWN_VALIDATION:
            raise RequestError(
                f"dataset.split.validation_fraction={self.validation_fraction}: dataset.split.kind={self.kind} has "
                "rows that validate; leave it out"
            )

    def identity(self) -> dict[str, Value]:
        """The settings that this kind of split uses."""
        uses = {
            "random": ("train_fraction", "seed"),
            "last": ("last_n",),
            "time": ("train_fraction",),
            "folds": ("seed",),
        }
        names = ("kind", "validation_fraction", *uses.get(self.kind, ()))
        return {name: getattr(self, name) for name in names}

    @property
    def needs_timestamps(self) -> bool:
        """True if the split needs timestamps."""
        return self.kind in ("last", "time")


@dataclass(frozen=True)
class DataSettings:
    """Settings of every data set; each kind adds its own.

    Attributes:
        name: the data set's name in results.
        kind: the module of ``bench.data`` that reads it.
        vocabulary: ``all`` numbers the ids of all rows in order of appearance. ``train`` numbers those of the
            rows that train from 1 on, and id 0 stands for every other.
        min_count: with ``vocabulary=train``, ids that fewer rows train are among all others.
        split: which rows train and which evaluate.
        verify: read every byte of the prepared copy again before it is trusted. It does not decide the result.
        memory_limit: bytes that preparing may take, or None. It does not decide the result.
        task: what a model is to predict: ratings, or clicks, which are labels 0 and 1. A run's own ``task`` goes
            before it.
    """

    name: str
    kind: str
    vocabulary: Literal["all", "train"]
    split: Split
    _: KW_ONLY
    min_count: Count = 1
    verify: bool = False
    memory_limit: Bytes | None = None
    task: Literal["rating", "click"] = "rating"

    def __post_init__(self) -> None:
        """Refuses what the settings alone show to be wrong."""
        if self.min_count > 1 and self.vocabulary != "train":
            raise RequestError(
                f"dataset.min_count={self.min_count}: ids are counted in the rows that train; give "
                "dataset.vocabulary=train too"
            )

    @property
    def validates(self) -> bool:
        """True if rows are set apart for early stopping and search."""
        return bool(self.split.validation_fraction) or self.split.kind in OWN_VALIDATION

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the categorical fields."""
        return ("user", "item")

    @property
    def users(self) -> str | None:
        """The name of the field of users, or None."""
        return "user" if "user" in self.field_names else None

    @property
    def dense_dim(self) -> int:
        """The number of dense columns."""
        return 0
