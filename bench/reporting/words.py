"""Numbers of a trade-off as text, for the report's sentences and tables."""

from __future__ import annotations

from bench.tradeoff.groups import Group
from bench.tradeoff.showing import single_difference
from bench.tradeoff.statistics import Statistic


def number(value: float) -> str:
    """Gives an error to four decimals: ``0.0471``. An error that is too small for them is given to two digits."""
    return f"{value:.4f}" if abs(value) >= 0.00005 or value == 0 else f"{value:.1e}"


def leading(found: Statistic) -> str:
    """Gives a mean and half its interval: ``0.7221 ± 0.0009``; a dash if the mean is not known."""
    if found.mean is None:
        return "-"
    if found.ci95 is None:
        return number(found.mean)
    return f"{number(found.mean)} ± {number((found.ci95[1] - found.ci95[0]) / 2)}"


def smaller(ratio: float) -> str:
    """Gives a ratio of memory in words: ``5.1 times less memory``."""
    if ratio < 1:
        return f"{1 / ratio:.3g} times more memory"
    return f"{ratio:.1f} times less memory" if ratio < 99.95 else f"{ratio:,.0f} times less memory"


def apart(group: Group, baseline: Group | None) -> tuple[float, float | None] | None:
    """Gives a group's headline metric minus the baseline's, and half the interval of that.

    The half interval is None with one seed in common. The whole result is None without a difference.
    """
    if baseline is None or group is baseline:
        return None
    if group.delta.mean is not None and group.delta.ci95 is not None:
        return group.delta.mean, (group.delta.ci95[1] - group.delta.ci95[0]) / 2
    single = single_difference(group, baseline)
    return None if single is None else (single, None)


def difference(group: Group, baseline: Group | None) -> str:
    """Gives the difference to the baseline: ``+0.0471 ± 0.0021``, ``baseline``, or a dash."""
    if group is baseline:
        return "baseline"
    found = apart(group, baseline)
    if found is None:
        return "-"
    size, half = found
    return f"{size:+.4f}" + ("" if half is None else f" ± {number(half)}")


def digits(value: float | None) -> str:
    """Gives three digits of a number; a dash if it is not known."""
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
