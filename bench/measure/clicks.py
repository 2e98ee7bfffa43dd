"""How well predicted probabilities tell clicks from other rows, in float64 whatever the arrays' types."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.measure.metrics import DECILES, FloatArray, IntArray, popularity_deciles

Float64 = npt.NDArray[np.float64]

BINS = 15
"""Bins of the calibration error."""


def _checked(labels: FloatArray, predictions: FloatArray) -> npt.NDArray[np.bool_]:
    """Returns True for each click."""
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise ValueError(f"labels {labels.shape} and predictions {predictions.shape}: both must be (rows,)")
    if not len(labels):
        raise ValueError("no rows to measure on")
    clicks: npt.NDArray[np.bool_] = labels == 1
    if not np.all(clicks | (labels == 0)):
        raise ValueError("labels other than 0 and 1")
    return clicks


def probabilities(logits: FloatArray) -> Float64:
    """Returns the sigmoid of logits (rows,), float64, without an overflow."""
    x = logits.astype(np.float64)
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, small) / (1.0 + small))


def loglosses(labels: FloatArray, logits: FloatArray) -> Float64:
    """Returns -ln p of each click and -ln(1 - p) of each other row, in nats, float64 (rows,).

    It is max(x, 0) - x y + ln(1 + exp(-|x|)) of the logit x, which is exact where p rounds to 0 or 1.

    Args:
        labels: 0 or 1, (rows,).
        logits: (rows,).

    Raises:
        ValueError: shapes that differ, no rows, or other labels.
    """
    clicks, x = _checked(labels, logits), logits.astype(np.float64)
    return np.asarray(np.maximum(x, 0) - x * clicks + np.log1p(np.exp(-np.abs(x))))


def logloss(labels: FloatArray, logits: FloatArray) -> float:
    """Returns the mean of ``loglosses``, in nats."""
    return float(np.mean(loglosses(labels, logits)))


def logloss_of_constant(share: float, labels: FloatArray) -> float:
    """Returns the log loss of one probability for all rows; infinite where it excludes what is there.

    Args:
        share: the probability.
        labels: 0 or 1, (rows,).
    """
    clicks = float(np.mean(labels == 1))
    parts = ((clicks, share), (1 - clicks, 1 - share))
    with np.errstate(divide="ignore"):
        return float(-sum(weight * np.log(p) for weight, p in parts if weight))


def auc_by_group(
    labels: FloatArray, predictions: FloatArray, groups: IntArray, count: int
) -> tuple[Float64, npt.NDArray[np.int64]]:
    """Areas under the ROC curves of groups of rows, exact: ties count half.

    An area is the share of pairs of a click and another row of one group that the predictions order rightly
    (Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982).

    Args:
        labels: 0 or 1, (rows,).
        predictions: (rows,); any rising function of the probability gives the same.
        groups: each row's group, integers (rows,) from 0.
        count: how many groups there are.

    Returns:
        Areas, float64 (count,), NaN for a group without a click or without another row; rows, int64 (count,).

    Raises:
        ValueError: shapes that differ, no rows, or other labels.
    """
    clicks = _checked(labels, predictions)
    if groups.shape != labels.shape:
        raise ValueError(f"groups {groups.shape} and labels {labels.shape}: both must be (rows,)")
    order = np.argsort(predictions, kind="stable")
    if count > 1:
        order = order[np.argsort(groups[order], kind="stable")]
    group, score, clicked = groups[order].astype(np.int64), predictions[order], clicks[order]
    first = np.ones(len(order), bool)
    first[1:] = (group[1:] != group[:-1]) | (score[1:] != score[:-1])
    starts = np.flatnonzero(first)  # of rows of one group and one prediction
    rows = np.diff(np.append(starts, len(order)))
    positive = np.add.reduceat(clicked.astype(np.int64), starts)
    negative, own = rows - positive, group[starts]
    negatives = np.bincount(own, weights=negative, minlength=count).astype(np.int64)
    positives = np.bincount(own, weights=positive, minlength=count).astype(np.int64)
    before = np.cumsum(negative) - negative - (np.cumsum(negatives) - negatives)[own]
    # twice the number of pairs in the right order: integers, summed exactly in float64 below 2^53
    twice = np.bincount(own, weights=positive * (2 * before + negative), minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        areas = twice / (2.0 * positives * negatives)
    return areas, positives + negatives


def auc(labels: FloatArray, predictions: FloatArray) -> float:
    """Returns the area under the ROC curve, see ``auc_by_group``; NaN if all rows have one label."""
    return float(auc_by_group(labels, predictions, np.zeros(len(labels), np.int32), 1)[0][0])


def gauc(labels: FloatArray, predictions: FloatArray, users: IntArray) -> float | None:
    """Returns the mean of the users' areas under their own ROC curves, weighted by their rows.

    Users with one label alone are left out (Zhou et al., "Deep interest network", 2018).

    Args:
        labels: 0 or 1, (rows,).
        predictions: (rows,).
        users: each row's user, integers (rows,) from 0.

    Returns:
        None if every user has one label alone.
    """
    areas, rows = auc_by_group(labels, predictions, users, int(users.max()) + 1 if len(users) else 1)
    known = ~np.isnan(areas)
    return float(np.average(areas[known], weights=rows[known])) if known.any() else None


def auc_by_decile(
    labels: FloatArray, predictions: FloatArray, ids: IntArray, counts: IntArray
) -> list[float | None]:
    """Areas under the ROC curves of the rows of each tenth of the ids, from the most to the least popular.

    Args:
        labels: 0 or 1, (rows,).
        predictions: (rows,).
        ids: each row's id in the field whose popularity counts, integers (rows,) below ``len(counts)``.
        counts: training frequency of each id, (size,); ``popularity_deciles`` says how they are grouped.

    Returns:
        Ten numbers; None for a group without rows or with one label alone.
    """
    areas, _ = auc_by_group(labels, predictions, popularity_deciles(counts)[ids], DECILES)
    return [None if np.isnan(area) else float(area) for area in areas]


def ece(labels: FloatArray, predictions: FloatArray, bins: int = BINS) -> float:
    """Returns the expected calibration error, with bins of equally many rows.

    The i-th of n rows in the order of their probabilities is in bin floor(bins i / n). The error is the mean over
    the rows of their bin's |mean probability - share of clicks| (Naeini et al., "Obtaining well calibrated
    probabilities using Bayesian binning", 2015; Nguyen and O'Connor, "Posterior calibration", 2015). Rows of equal
    probability count with the share of clicks among them, so that their order does not matter.

    Args:
        labels: 0 or 1, (rows,).
        predictions: probabilities, (rows,).
        bins: how many.

    Raises:
        ValueError: shapes that differ, no rows, or other labels.
    """
    clicks = _checked(labels, predictions).astype(np.float64)
    values, inverse, rows = np.unique(predictions.astype(np.float64), return_inverse=True, return_counts=True)
    shares = np.bincount(inverse, weights=clicks) / rows
    n = len(clicks)
    bin_of = np.arange(n) * bins // n
    gaps = np.repeat(values - shares, rows)
    return float(np.abs(np.bincount(bin_of, weights=gaps)).sum() / n)
