"""Errors of predictions, in float64 whatever the arrays' types."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

DECILES = 10


def _checked(labels: FloatArray, predictions: FloatArray) -> FloatArray:
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise ValueError(f"labels {labels.shape} and predictions {predictions.shape}: both must be (rows,)")
    if not len(labels):
        raise ValueError("no rows to measure an error on")
    return predictions.astype(np.float64) - labels.astype(np.float64)


def errors(labels: FloatArray, predictions: FloatArray) -> dict[str, float]:
    """Mean errors over all rows.

    Args:
        labels: (rows,).
        predictions: (rows,), in the labels' units.

    Returns:
        ``mae``, mean of |p - y|; ``mse``, mean of (p - y)²; ``rmse``, its root. NaN with a NaN prediction.

    Raises:
        ValueError: shapes that differ, or no rows.
    """
    difference = _checked(labels, predictions)
    mse = float(np.mean(np.square(difference)))
    return {"mae": float(np.mean(np.abs(difference))), "rmse": mse**0.5, "mse": mse}


def absolute_errors(labels: FloatArray, predictions: FloatArray) -> npt.NDArray[np.float64]:
    """Gives |p - y| of each row, float64 (rows,).

    Raises:
        ValueError: shapes that differ, or no rows.
    """
    return np.abs(_checked(labels, predictions))


def popularity_deciles(counts: IntArray) -> npt.NDArray[np.int8]:
    """Returns the tenth of the ids to which each id belongs, by how often it is trained on.

    Ids sorted by falling count, equal counts by rising id, are cut into ten groups of equally many IDS (sizes
    differ by one at most): the r-th of n ids is in group floor(10 r / n). With fewer than ten ids some groups
    have none.

    Args:
        counts: training frequency of each id, (size,).

    Returns:
        0 (most popular) to 9 for each id, int8 (size,).
    """
    order = np.argsort(-counts.astype(np.int64), kind="stable")
    deciles = np.empty(len(counts), np.int8)
    deciles[order] = np.arange(len(counts)) * DECILES // max(len(counts), 1)
    return deciles


def mae_by_decile(
    labels: FloatArray, predictions: FloatArray, ids: IntArray, counts: IntArray
) -> list[float | None]:
    """Mean absolute error of the rows of each tenth of the ids, from the most to the least popular.

    Args:
        labels: (rows,).
        predictions: (rows,), in the labels' units.
        ids: each row's id in the field whose popularity counts, integers (rows,) below ``len(counts)``.
        counts: training frequency of each id, (size,); ``popularity_deciles`` says how they are grouped.

    Returns:
        Ten numbers; None for a group without rows.

    Raises:
        ValueError: shapes that differ, or no rows.
    """
    absolute = absolute_errors(labels, predictions)
    if ids.shape != labels.shape:
        raise ValueError(f"ids {ids.shape} and labels {labels.shape}: both must be (rows,)")
    group = popularity_deciles(counts)[ids]
    rows = np.bincount(group, minlength=DECILES)
    sums = np.bincount(group, weights=absolute, minlength=DECILES)
    return [float(total / n) if n else None for total, n in zip(sums, rows, strict=True)]
