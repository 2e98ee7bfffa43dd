"""Who is served how well: errors by the popularity of each field's ids, and the ids that are served worst."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from bench.measure.metrics import FloatArray, IntArray

LISTED = 10
"""Most ids of a field that ``worst`` gives."""

LEAST_ROWS = 20
"""Evaluation rows that an id must have. The mean error of fewer rows says little of the id."""

ByDecile = Callable[[FloatArray, FloatArray, IntArray, IntArray], list[float | None]]
"""Gives ten numbers from labels, predictions, ids and training counts, as ``metrics.mae_by_decile`` does."""


class Served(NamedTuple):
    """An id, and how well it is served.

    Attributes:
        number: the id's row number.
        error: mean over its evaluation rows.
        rows: its evaluation rows.
        training_rows: its rows that train.
    """

    number: int
    error: float
    rows: int
    training_rows: int


def by_field(
    measure: ByDecile,
    labels: FloatArray,
    predictions: FloatArray,
    ids: Mapping[str, IntArray],
    counts: Mapping[str, IntArray],
) -> dict[str, list[float | None]]:
    """Measures the tenths of each field's ids, from the most to the least popular.

    Args:
        measure: gives the ten numbers of a field.
        labels: (rows,).
        predictions: (rows,), in the labels' units.
        ids: each row's id in each field, integers (rows,).
        counts: training frequency of each id of each field, (size,).

    Returns:
        Ten numbers by field; None for a tenth without rows.
    """
    return {name: measure(labels, predictions, own, counts[name]) for name, own in ids.items()}


def worst(errors: FloatArray, ids: IntArray, counts: IntArray) -> list[Served]:
    """Gives the ``LISTED`` ids with the largest mean error, among those with ``LEAST_ROWS`` rows or more.

    Args:
        errors: one a row, finite, (rows,).
        ids: each row's id, integers (rows,) below ``len(counts)``.
        counts: training frequency of each id, (size,).

    Returns:
        The largest mean first, equal means by rising row number. Fewer ids, or none, if few have enough rows.

    Raises:
        ValueError: errors and ids differ in shape.
    """
    if errors.shape != ids.shape:
        raise ValueError(f"errors {errors.shape} and ids {ids.shape}: both must be (rows,)")
    rows = np.bincount(ids, minlength=len(counts))
    often = np.flatnonzero(rows >= LEAST_ROWS)
    means = np.bincount(ids, weights=errors, minlength=len(counts))[often] / rows[often]
    first = np.argsort(-means, kind="stable")[:LISTED]
    return [
        Served(int(number), float(mean), int(rows[number]), int(counts[number]))
        for number, mean in zip(often[first], means[first], strict=True)
    ]
