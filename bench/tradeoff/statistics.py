"""The statistics of a trade-off: means with intervals, paired differences, Holm's correction, the front.

SciPy is imported where it is first needed, and its ``special`` alone unless a bootstrap is asked for: ``stats`` takes
a second and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, log10, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
"""Of all intervals."""

RESAMPLES = 9999
"""Of a bootstrap; its draws are those of seed 0."""

Interval = tuple[float, float]

Kind = Literal["t", "bootstrap"]
"""How an interval of a mean is made: Student's t, or the percentiles of resampled means."""


@dataclass(frozen=True)
class Statistic:
    """A number over the seeds of a group.

    Attributes:
        n: how many runs have it.
        mean: arithmetic mean; None where a run lacks the number or has one that is not finite.
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
        n: how many seeds both have.
        mean: mean of the differences; None with fewer than two seeds, as are the others.
        ci95: interval of it, see ``interval``.
        p_value: of the two-sided paired t test that the mean is 0, not corrected.
    """

    n: int = 0
    mean: float | None = None
    ci95: Interval | None = None
    p_value: float | None = None


def finite(value: object) -> bool:
    """Whether ``value`` is a number that can be averaged."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def statistic(values: Sequence[float | None], ci: Kind = "t") -> Statistic:
    """Mean, spread and interval of a number over runs; a missing number is not averaged away."""
    numbers = [float(value) for value in values if value is not None and finite(value)]
    if len(numbers) < len(values) or not numbers:
        return Statistic(len(numbers))
    mean = float(np.mean(numbers))
    if len(numbers) == 1:
        return Statistic(1, mean)
    return Statistic(len(numbers), mean, float(np.std(numbers, ddof=1)), interval(numbers, ci))


def difference(values: Sequence[float], baseline: Sequence[float], ci: Kind = "t") -> Difference:
    """Values minus those of the baseline, the same seeds in the same order.

    The p value is of the t test, whatever the interval. Without any spread it is 1 where all differences are
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
    """The 95 % interval of the mean of two numbers or more.

    Args:
        values: one a run, finite.
        ci: ``t``: mean -+ t sd / sqrt(n), with t the 0.975 quantile at n - 1 degrees of freedom (Student 1908,
            "The probable error of a mean"). ``bootstrap``: the 2.5 % and 97.5 % percentiles of the means of
            ``RESAMPLES`` draws with replacement (Efron 1979, "Bootstrap methods"). With few runs the latter
            is too narrow: it never leaves the range of the values.
    """
    if ci == "bootstrap":
        from scipy.stats import bootstrap

        found = bootstrap(
            (np.asarray(values, np.float64),), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL,
            method="percentile", rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        return float(found.low), float(found.high)
    from scipy.special import stdtrit

    n, mean, sd = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / sqrt(n)
    return mean - half, mean + half


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values corrected for how many there are; None stays None and does not count.

    The i-th smallest of m is multiplied by m - i + 1, and is never below the one before nor above 1
    (Holm 1979, "A simple sequentially rejective multiple test procedure").
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    before = 0.0
    for place, (p, index) in enumerate(known):
        before = max(before, min(1.0, p * (len(known) - place)))
        corrected[index] = before
    return corrected


def pareto(points: Sequence[tuple[float, float | None]]) -> list[bool]:
    """Which points no other beats: none has both numbers as small or smaller, and one of them smaller.

    Args:
        points: bytes and error. Equal points are on the front together; one whose error is None or not
            finite never is.
    """
    known = sorted(
        (size, error, index) for index, (size, error) in enumerate(points) if error is not None
        and finite(error)
    )  # fmt: skip
    front = [False] * len(points)
    best, size_of_best = inf, inf
    for size, error, index in known:
        if error < best:
            best, size_of_best = error, size
        front[index] = error == best and size == size_of_best
    return front


def hypervolume(points: Sequence[tuple[float, float | None]], reference: tuple[float, float]) -> float:
    """How much of the plane of log10 memory and error some points leave behind them, in decades times error.

    The area that at least one point beats, up to the reference point (Zitzler and Thiele 1998, "Multiobjective
    optimization using evolutionary algorithms"). It compares fronts within one set of runs, for it depends on
    the reference.

    Args:
        points: bytes, above 0, and error; those that are not below the reference in both add nothing.
        reference: bytes and error that count as worst; in reports the bytes of the full tables and the
            largest mean error of the set.
    """
    inside = sorted(
        (log10(size), error)
        for (size, error), front in zip(points, pareto(points), strict=True)
        if front and error is not None and size < reference[0] and error < reference[1]
    )
    area, before = 0.0, reference[1]
    for size, error in inside:  # each error is smaller than the one before
        area += (log10(reference[0]) - size) * (before - error)
        before = error
    return area


def knee(points: Sequence[tuple[float, float | None]]) -> int | None:
    """The index of the front's point beyond which memory costs most: farthest below the line through its ends.

    Both axes, log10 of the bytes and the error, are scaled so that the front's ends lie at 0 and 1 (Das 1999,
    "On characterizing the knee of the Pareto curve"). None where the front has fewer than three points, or
    none below that line.

    Args:
        points: bytes, above 0, and error.
    """
    front = sorted(
        (log10(size), error, index)
        for index, ((size, error), best) in enumerate(zip(points, pareto(points), strict=True))
        if best and error is not None
    )
    if len(front) < 3 or front[0][0] == front[-1][0]:
        return None
    (left, top, _), (right, bottom, _) = front[0], front[-1]
    depths = [
        (1 - (size - left) / (right - left) - (error - bottom) / (top - bottom), -index)
        for size, error, index in front[1:-1]
    ]
    depth, index = max(depths)
    return -index if depth > 1e-12 else None
