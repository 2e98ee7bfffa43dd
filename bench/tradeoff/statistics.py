"""The statistics of a trade-off: means with intervals, paired differences, Holm's correction, the front.

SciPy is imported at its first use. Only a bootstrap imports ``scipy.stats``, which takes a second and more. All else
needs ``scipy.special`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, log10, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
"""Confidence level of all intervals."""

RESAMPLES = 9999
"""Number of resamples of a bootstrap. They are drawn with seed 0."""

Interval = tuple[float, float]
"""Lower and upper end of an interval."""

Point = tuple[float, float | None]
"""Bytes and a cost, such as an error. A lower cost is better. None is an unknown cost."""

Kind = Literal["t", "bootstrap"]
"""The kind of an interval of a mean: Student's t, or the percentiles of resampled means."""


@dataclass(frozen=True)
class Statistic:
    """A number over the seeds of a group.

    Attributes:
        n: number of runs that have it.
        mean: arithmetic mean; None if a run lacks the number or has one that is not finite.
        sd: standard deviation of the runs, divided by n - 1; None with one run.
        ci95: interval of the mean, see ``interval``; None with one run.
    """

    n: int
    mean: float | None = None
    sd: float | None = None
    ci95: Interval | None = None


@dataclass(frozen=True)
class Difference:
    """A group's number minus the baseline's, paired by seed.

    Attributes:
        n: number of seeds that both have.
        mean: mean of the differences. With fewer than two seeds, it is None, and so are the next two.
        ci95: interval of the mean, see ``interval``.
        p_value: of the two-sided paired t test that the mean is 0, not corrected.
    """

    n: int = 0
    mean: float | None = None
    ci95: Interval | None = None
    p_value: float | None = None


def finite(value: object) -> bool:
    """Returns True if a value is a number that can be averaged."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def statistic(values: Sequence[float | None], ci: Kind = "t") -> Statistic:
    """Gives mean, spread and interval of a number over runs. If a number is missing, there is no mean."""
    numbers = [float(value) for value in values if value is not None and finite(value)]
    if len(numbers) < len(values) or not numbers:
        return Statistic(len(numbers))
    mean = float(np.mean(numbers))
    if len(numbers) == 1:
        return Statistic(1, mean)
    return Statistic(len(numbers), mean, float(np.std(numbers, ddof=1)), interval(numbers, ci))


def difference(values: Sequence[float], baseline: Sequence[float], ci: Kind = "t") -> Difference:
    """Gives the mean of the values minus those of the baseline. Both have the same seeds in the same order.

    The p value is that of the t test for both kinds of intervals. Without any spread it is 1 if all differences are
    0, else 0.
    """
    if len(values) != len(baseline):
        raise ValueError(f"{len(values)} values and {len(baseline)} of the baseline: give one of each a seed")
    if len(values) < 2:
        return Difference(len(values))
    from scipy.special import stdtr

    pairs = np.subtract(values, baseline)
    n, mean, sd = len(pairs), float(np.mean(pairs)), float(np.std(pairs, ddof=1))
    t = abs(mean) / (sd / sqrt(n)) if sd > 0 else inf if mean else 0.0
    return Difference(n, mean, interval(pairs, ci), 2 * float(stdtr(n - 1, -t)))


def interval(values: Sequence[float] | npt.NDArray[np.float64], ci: Kind = "t") -> Interval:
    """Gives the 95 % interval of the mean of two numbers or more.

    Args:
        values: one a run, finite.
        ci: ``t``: mean -+ t sd / sqrt(n), with t the 0.975 quantile at n - 1 degrees of freedom (Student 1908,
            "The probable error of a mean"). ``bootstrap``: the 2.5 % and 97.5 % percentiles of the means of
            ``RESAMPLES`` draws with replacement (Efron 1979, "Bootstrap methods"). With few runs the bootstrap
            interval is too narrow: it never leaves the range of the values.
    """
    return intervals([values], ci)[0]


def intervals(lists: Sequence[Sequence[float] | npt.NDArray[np.float64]], ci: Kind = "t") -> list[Interval]:
    """Gives the interval of the mean of each of several equally long lists, see ``interval``, in one calculation."""
    if not lists:
        return []
    rows = np.asarray(lists, np.float64)
    if ci == "bootstrap":
        from scipy.stats import bootstrap

        found = bootstrap(
            (rows,), np.mean, axis=1, n_resamples=RESAMPLES, confidence_level=LEVEL, method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        return list(zip(found.low.tolist(), found.high.tolist(), strict=True))
    from scipy.special import stdtrit

    n = rows.shape[1]
    means, sds = np.mean(rows, axis=1), np.std(rows, axis=1, ddof=1)
    halves = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sds / sqrt(n)
    return list(zip((means - halves).tolist(), (means + halves).tolist(), strict=True))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrects p values for their number. None stays None and does not count.

    The i-th smallest of m is multiplied by m - i + 1. The result is at least the result before it and at most 1
    (Holm 1979, "A simple sequentially rejective multiple test procedure").
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    before = 0.0
    for place, (p, index) in enumerate(known):
        before = max(before, min(1.0, p * (len(known) - place)))
        corrected[index] = before
    return corrected


def pareto(points: Sequence[Point]) -> list[bool]:
    """Returns True for each point on the front: no other has both numbers as small or smaller, and one smaller.

    Args:
        points: bytes and cost. Equal points are on the front together. A point whose cost is None or not finite is
            never on it.
    """
    known = sorted(
        (size, cost, index) for index, (size, cost) in enumerate(points) if cost is not None and finite(cost)
    )
    front = [False] * len(points)
    best, size_of_best = inf, inf
    for size, cost, index in known:
        if cost < best:
            best, size_of_best = cost, size
        front[index] = cost == best and size == size_of_best
    return front


def hypervolume(points: Sequence[Point], reference: tuple[float, float]) -> float:
    """Gives the area that some points dominate in the plane of log10 memory and cost.

    A point dominates every place in the plane with more memory and more cost. The area ends at the reference point
    (Zitzler and Thiele 1998, "Multiobjective optimization using evolutionary algorithms"); its unit is decades times
    cost. It depends on the reference, so it compares fronts within one set of runs only.

    Args:
        points: bytes, above 0, and cost. Points that are not below the reference in both add nothing.
        reference: bytes and cost that count as worst; in reports the bytes of the full tables and the largest mean cost
            of the set.
    """
    inside = sorted(
        (log10(size), cost)
        for (size, cost), front in zip(points, pareto(points), strict=True)
        if front and cost is not None and size < reference[0] and cost < reference[1]
    )
    area, before = 0.0, reference[1]
    for size, cost in inside:  # each cost is smaller than the one before
        area += (log10(reference[0]) - size) * (before - cost)
        before = cost
    return area


def knee(points: Sequence[Point]) -> int | None:
    """Gives the index of the front's knee: the point that lies farthest below the line through the front's ends.

    Both axes, log10 of the bytes and the cost, are scaled so that the front's ends lie at 0 and 1 (Das 1999, "On
    characterizing the knee of the Pareto curve"). None if the front has fewer than three points, or if none of them
    lies below that line.

    Args:
        points: bytes, above 0, and cost.
    """
    front = sorted(
        (log10(size), cost, index)
        for index, ((size, cost), best) in enumerate(zip(points, pareto(points), strict=True))
        if best and cost is not None
    )
    if len(front) < 3 or front[0][0] == front[-1][0]:
        return None
    (left, top, _), (right, bottom, _) = front[0], front[-1]
    depths = [
        (1 - (size - left) / (right - left) - (cost - bottom) / (top - bottom), -index)
        for size, cost, index in front[1:-1]
    ]
    depth, index = max(depths)
    return -index if depth > 1e-12 else None
