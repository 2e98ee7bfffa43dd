"""Which rows train, which validate and which evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt

from bench.data.interactions import Rows
from bench.errors import RequestError
from bench.settings import Range

TRAIN, VALIDATION, EVALUATION = 0, 1, 2
"""Values of ``Split.roles``."""

Roles = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """How rows are divided; its seed is apart from the model's.

    Counts are shares of rows rounded to the nearest, halves up.

    - ``random``: as many rows as ``train_fraction`` says train, drawn with ``seed``; the others evaluate. Of
      the training rows, ``validation_fraction`` are drawn to validate.
    - ``last``: the ``last_n`` latest rows of each user evaluate, of equally late ones those further down in
      the source. A user with no more than ``last_n`` rows trains with all of them. Of each user's training
      rows the latest ``validation_fraction`` validate, but never all.
    - ``time``: the earliest ``train_fraction`` of all rows train, of equally early ones those further up in
      the source. The latest ``validation_fraction`` of them validate.

    Attributes:
        kind: the rule.
        train_fraction: share of all rows that is no evaluation (``random`` and ``time``).
        last_n: rows of each user that evaluate (``last``).
        seed: decides what is drawn (``random``).
        validation_fraction: share of the training rows that early stopping and search may see instead.
    """

    kind: Literal["random", "last", "time"]
    train_fraction: Annotated[float, Range(above=0, below=1)]
    last_n: Annotated[int, Range(low=1)]
    seed: Annotated[int, Range(low=0, high=2**32 - 1)]
    validation_fraction: Annotated[float, Range(low=0, below=1)]

    def identity(self) -> Mapping[str, Any]:
        """The settings that this kind of split uses."""
        uses = {"random": ("train_fraction", "seed"), "last": ("last_n",), "time": ("train_fraction",)}
        names = ("kind", "validation_fraction", *uses[self.kind])
        return {name: getattr(self, name) for name in names}

    @property
    def needs_timestamps(self) -> bool:
        """Whether rows without timestamps cannot be split so."""
        return self.kind != "random"

    def roles(self, rows: Rows) -> Roles:
        """``TRAIN``, ``VALIDATION`` or ``EVALUATION`` for each row, int8 (rows,).

        Raises:
            RequestError: a part would be empty, or the rows lack the timestamps or users that the kind needs.
        """
        if self.needs_timestamps:
            self._check_timestamps(rows)
        roles = {"random": self._random, "last": self._last, "time": self._time}[self.kind](rows)
        sizes = np.bincount(roles, minlength=3).tolist()
        for part, size, name in (
            ("train", sizes[TRAIN], "train_fraction"),
            ("evaluate", sizes[EVALUATION], "train_fraction"),
            ("validate", sizes[VALIDATION], "validation_fraction"),
        ):
            if size or (name == "validation_fraction" and not self.validation_fraction):
                continue
            if self.kind == "last" and name == "train_fraction":
                name = "last_n"
            raise RequestError(
                f"dataset.split.{name}={getattr(self, name)}: of {len(rows)} rows none would {part}; "
                "give another value or more data"
            )
        return roles

    def _random(self, rows: Rows) -> Roles:
        roles = np.full(len(rows), EVALUATION, np.int8)
        training = _smallest(self._random_keys(0, len(rows)), share(self.train_fraction, len(rows)))
        roles[training] = TRAIN
        train_rows = np.flatnonzero(training)
        validating = _smallest(
            self._random_keys(1, len(train_rows)), share(self.validation_fraction, len(train_rows))
        )
        roles[train_rows[validating]] = VALIDATION
        return roles

    def _random_keys(self, purpose: int, n: int) -> npt.NDArray[np.uint64]:
        return np.random.PCG64(np.random.SeedSequence([self.seed, purpose])).random_raw(n)

    def _time(self, rows: Rows) -> Roles:
        assert rows.timestamps is not None
        order = np.argsort(rows.timestamps, kind="stable")
        roles = np.full(len(rows), EVALUATION, np.int8)
        train = order[: share(self.train_fraction, len(rows))]
        roles[train] = TRAIN
        roles[train[len(train) - share(self.validation_fraction, len(train)) :]] = VALIDATION
        return roles

    def _last(self, rows: Rows) -> Roles:
        if "user" not in rows.ids:
            raise RequestError(
                f"dataset.split.kind=last: needs a field user, and there are {', '.join(rows.ids)}; "
                "choose random or time"
            )
        assert rows.timestamps is not None
        by_time = np.argsort(rows.timestamps, kind="stable")
        order = by_time[np.argsort(rows.ids["user"][by_time], kind="stable")]  # by user, then time, then row
        users = rows.ids["user"][order]
        starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
        counts = np.diff(np.append(starts, len(order)))
        evaluating = np.where(counts > self.last_n, self.last_n, 0)
        training = counts - evaluating
        validating = np.minimum(share(self.validation_fraction, training), training - 1)
        rank = np.arange(len(order)) - np.repeat(starts, counts)
        roles = np.full(len(rows), TRAIN, np.int8)
        roles[order[rank >= np.repeat(training - validating, counts)]] = VALIDATION
        roles[order[rank >= np.repeat(training, counts)]] = EVALUATION
        return roles

    def _check_timestamps(self, rows: Rows) -> None:
        what = f"dataset.split.kind={self.kind}"
        if rows.timestamps is None:
            raise RequestError(
                f"{what}: the rows have no timestamps; name their column with dataset.columns.timestamp= "
                "or choose random"
            )
        if len(rows) and (rows.timestamps == rows.timestamps[0]).all():
            raise RequestError(
                f"{what}: all {len(rows)} timestamps are {rows.timestamps[0]}, so that no row is later; "
                "choose random"
            )


def share(fraction: float, count: Any) -> Any:
    """``fraction`` of ``count`` rounded to the nearest integer, halves up, without a float's error.

    0.7 is seven tenths here, not the double beside it.

    Args:
        fraction: 0 to 1.
        count: an integer or an integer array.
    """
    exact = Fraction(repr(float(fraction)))
    if isinstance(count, np.ndarray):
        # through the few distinct counts, since the products may need more than 64 bits
        values, where = np.unique(count, return_inverse=True)
        return np.array([share(fraction, int(value)) for value in values], np.int64)[where]
    return (2 * exact.numerator * int(count) + exact.denominator) // (2 * exact.denominator)


def _smallest(keys: npt.NDArray[np.uint64], count: int) -> Mask:
    """True at the ``count`` smallest keys; of equal ones the earlier."""
    if count >= len(keys):
        return np.ones(len(keys), np.bool_)
    cut = np.partition(keys, count)[count]
    mask: Mask = keys < cut
    mask[np.flatnonzero(keys == cut)[: count - int(mask.sum())]] = True
    return mask
