"""Divides rows into those that train, those that validate and those that evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.data.base import Split
from bench.errors import RequestError

FOLDS = 10

TRAIN, VALIDATION, EVALUATION = 0, 1, 2
"""The numbers that ``roles`` gives to rows."""

PARTS = {"train": TRAIN, "validation": VALIDATION, "evaluation": EVALUATION}

Roles = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


class Splittable(Protocol):
    """What a split looks at. ``Rows`` has it, and says what it means."""

    @property
    def origin(self) -> str:
        """What to call the rows in a message."""

    @property
    def ids(self) -> Mapping[str, npt.NDArray[Any]]:
        """Integers (rows,) by field."""

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Labels (rows,)."""

    @property
    def timestamps(self) -> npt.NDArray[np.int64] | None:
        """Times (rows,), or None."""

    @property
    def user_field(self) -> str | None:
        """The field of users, or None."""

    def __len__(self) -> int:
        """The number of rows."""


def roles(split: Split, rows: Splittable, given: Roles | None = None) -> Roles:
    """``TRAIN``, ``VALIDATION`` or ``EVALUATION`` for each row, int8 (rows,).

    Args:
        split: the rule.
        rows: what is split.
        given: the parts of rows that their source has divided; they stay so. If none of them validate,
            ``validation_fraction`` of those that train are drawn.

    Raises:
        RequestError: a part would be empty, or the rows lack the timestamps or users that the kind needs.
    """
    if given is not None:
        return _fixed(split, given)
    if split.needs_timestamps:
        _check_timestamps(split, rows)
    kinds = {"random": _random, "last": _last, "time": _time, "folds": _folds, "seven_parts": _seven_parts}
    found = kinds[split.kind](split, rows)
    sizes = np.bincount(found, minlength=3).tolist()
    for part, size, name in (
        ("train", sizes[TRAIN], "train_fraction"),
        ("evaluate", sizes[EVALUATION], "train_fraction"),
        ("validate", sizes[VALIDATION], "validation_fraction"),
    ):
        if size or (name == "validation_fraction" and not split.validation_fraction):
            continue
        if split.kind == "last" and name == "train_fraction":
            name = "last_n"
        raise RequestError(
            f"dataset.split.{name}={getattr(split, name)}: of {len(rows)} rows none would {part}; "
            "give another value or more data"
        )
    return found


def _random(split: Split, rows: Splittable) -> Roles:
    roles = np.full(len(rows), EVALUATION, np.int8)
    training = _smallest(_random_keys(split, 0, len(rows)), share(split.train_fraction, len(rows)))
    roles[training] = TRAIN
    return _validating(split, roles)


def _fixed(split: Split, given: Roles) -> Roles:
    for role, part in ((TRAIN, "train"), (EVALUATION, "evaluation")):
        if not (given == role).any():
            raise RequestError(
                f"dataset.{part}_path: holds no row that can be used; give a file that has some"
            )
    if split.validation_fraction and not (given == VALIDATION).any():
        return _validating(split, given.copy())
    return given


def _validating(split: Split, roles: Roles) -> Roles:
    """Draws the rows that validate from those that train."""
    train_rows = np.flatnonzero(roles == TRAIN)
    validating = _smallest(
        _random_keys(split, 1, len(train_rows)), share(split.validation_fraction, len(train_rows))
    )
    roles[train_rows[validating]] = VALIDATION
    return roles


def _random_keys(split: Split, purpose: int, n: int) -> npt.NDArray[np.uint64]:
    return np.random.PCG64(np.random.SeedSequence([split.seed, purpose])).random_raw(n)


def _time(split: Split, rows: Splittable) -> Roles:
    assert rows.timestamps is not None
    order = np.argsort(rows.timestamps, kind="stable")
    roles = np.full(len(rows), EVALUATION, np.int8)
    train = order[: share(split.train_fraction, len(rows))]
    roles[train] = TRAIN
    roles[train[len(train) - share(split.validation_fraction, len(train)) :]] = VALIDATION
    return roles


def _folds(split: Split, rows: Splittable) -> Roles:
    from sklearn.model_selection import StratifiedKFold

    count = len(rows)
    labels, counts = np.unique(rows.labels, return_counts=True)
    if counts.min() < FOLDS:
        raise RequestError(
            f"dataset.split.kind=folds: the label {labels[counts.argmin()]:g} occurs {counts.min()} times, and each of "
            f"{FOLDS} folds needs it; choose random"
        )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=split.seed).split(np.zeros(count), rows.labels)
    roles = np.full(count, TRAIN, np.int8)
    roles[next(folds)[1]] = EVALUATION
    roles[next(folds)[1]] = VALIDATION
    return roles


def _seven_parts(split: Split, rows: Splittable) -> Roles:
    roles = np.full(len(rows), TRAIN, np.int8)
    last = np.array_split(roles, 7)[-1]  # a view
    last[:] = VALIDATION
    last[: len(last) // 2] = EVALUATION
    return roles


def _last(split: Split, rows: Splittable) -> Roles:
    if rows.user_field not in rows.ids:
        raise RequestError(
            f"dataset.split.kind=last: needs the field of users, and there are {', '.join(rows.ids)}; "
            "name it with dataset.user_field=, or choose random or time"
        )
    ids = rows.ids[str(rows.user_field)]
    assert rows.timestamps is not None
    by_time = np.argsort(rows.timestamps, kind="stable")
    order = by_time[np.argsort(ids[by_time], kind="stable")]  # by user, then time, then row
    users = ids[order]
    starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    counts = np.diff(np.append(starts, len(order)))
    evaluating = np.where(counts > split.last_n, split.last_n, 0)
    training = counts - evaluating
    validating = np.minimum(share(split.validation_fraction, training), training - 1)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    roles = np.full(len(rows), TRAIN, np.int8)
    roles[order[rank >= np.repeat(training - validating, counts)]] = VALIDATION
    roles[order[rank >= np.repeat(training, counts)]] = EVALUATION
    return roles


def _check_timestamps(split: Split, rows: Splittable) -> None:
    what = f"dataset.split.kind={split.kind}"
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
