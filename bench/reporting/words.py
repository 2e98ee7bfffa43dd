"""Numbers of a trade-off as the report's texts and tables have them."""

from __future__ import annotations

from typing import Any

from bench.tradeoff.grouping import Group
from bench.tradeoff.statistics import Statistic, finite


def number(value: float) -> str:
    """An error to four decimals, of one too small for them two digits: ``0.0471``."""
    return f"{value:.4f}" if abs(value) >= 0.00005 or value == 0 else f"{value:.1e}"


def error(found: Statistic) -> str:
    """``0.7221 ± 0.0009``; a dash where there is none."""
    if found.mean is None:
        return "-"
    if found.ci95 is None:
        return number(found.mean)
    return f"{number(found.mean)} ± {number((found.ci95[1] - found.ci95[0]) / 2)}"


def smaller(ratio: float) -> str:
    """``5.1 times less memory``."""
    if ratio < 1:
        return f"{1 / ratio:.3g} times more memory"
    return f"{ratio:.1f} times less memory" if ratio < 99.95 else f"{ratio:,.0f} times less memory"


def apart(group: Group, baseline: Group | None) -> tuple[float, float | None] | None:
    """A group's val_mae minus the baseline's and half its interval, None for the latter with one seed in common."""
    if baseline is None or group is baseline:
        return None
    if group.delta.mean is not None and group.delta.ci95 is not None:
        return group.delta.mean, (group.delta.ci95[1] - group.delta.ci95[0]) / 2
    theirs = {run["seed"]: run.get("val_mae") for run in baseline.runs}
    pairs: list[tuple[Any, Any]] = [
        (run.get("val_mae"), theirs[run["seed"]]) for run in group.runs if run["seed"] in theirs
    ]
    if len(pairs) != 1 or not all(map(finite, pairs[0])):
        return None
    return pairs[0][0] - pairs[0][1], None


def difference(group: Group, baseline: Group | None) -> str:
    """``+0.0471 ± 0.0021``, ``baseline``, or a dash."""
    if group is baseline:
        return "baseline"
    found = apart(group, baseline)
    if found is None:
        return "-"
    size, half = found
    return f"{size:+.4f}" + ("" if half is None else f" ± {number(half)}")


def milliseconds(value: float | None) -> str:
    """Three digits, a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
