"""The statistics of a trade-off: means with intervals, paired differences, Holm's correction, the Pareto front.

SciPy is imported where it is first needed, and its ``special`` alone: ``stats`` takes a second and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np

LEVEL = 0.95
"""Of all intervals."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Statistic:
    """A number over the seeds of a group.

    Attributes:
        n: how many runs have it.
        mean: arithmetic mean; None where a run lacks the number or has one that is not finite.
        sd: standard deviation of the runs, divided by n - 1; None with one run.
        ci95: Student's interval of the mean, mean -+ t sd / sqrt(n), with t the 0.975 quantile at n - 1
            degrees of freedom (Student 1908, "The probable error of a mean"); None with one run.
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
        ci95: Student's interval of it.
        p_value: of the two-sided paired t test that the mean is 0, not corrected.
    """

    n: int = 0
    mean: float | None = None
    ci95: Interval | None = None
    p_value: float | None = None


def finite(value: object) -> bool:
    """Whether ``value`` is a number that can be averaged."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def statistic(values: Sequence[float | None]) -> Statistic:
    """Mean, spread and interval of a number over runs; a missing number is not averaged away."""
    numbers = [float(value) for value in values if value is not None and finite(value)]
    if len(numbers) < len(values) or not numbers:
        return Statistic(len(numbers))
    mean = float(np.mean(numbers))
    if len(numbers) == 1:
        return Statistic(1, mean)
    sd = float(np.std(numbers, ddof=1))
    return Statistic(len(numbers), mean, sd, _interval(mean, sd, len(numbers)))


def difference(values: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Values minus those of the baseline, the same seeds in the same order.

    Without any spread the p value is 1 where all differences are 0, else 0.
    """
    if len(values) != len(baseline):
        raise ValueError(f"{len(values)} values and {len(baseline)} of the baseline: give one of each a seed")
    if len(values) < 2:
        return Difference(len(values))
    from scipy.special import stdtr

    pairs = np.subtract(values, baseline)
    n, mean, sd = len(pairs), float(np.mean(pairs)), float(np.std(pairs, ddof=1))
    t = abs(mean) / (sd / sqrt(n)) if sd > 0 else inf if mean else 0.0
    return Difference(n, mean, _interval(mean, sd, n), 2 * float(stdtr(n - 1, -t)))


def _interval(mean: float, sd: float, n: int) -> Interval:
    from scipy.special import stdtrit

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
