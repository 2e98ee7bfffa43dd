"""The axis of the headline metric: from the best value to that of the best constant, stretched towards the best.

Most of what a report shows lies close together, near full tables, and far from the constant. On a linear axis those
marks hide each other. So a mark's height is a power of its distance from the best value. The exponent puts the median
mark at ``MIDDLE`` of the height. It is 1, which gives a linear axis, if the marks are spread already.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.reporting.plots.style import Spec

MIDDLE = 0.45
"""Height of the median mark, as a share."""

LEAST = 0.3
"""The smallest exponent."""

FOOT = 0.1
"""Height of the best mark, as a share. The room below is for its bar and its name."""

FINEST = 60
"""Labels are multiples of a step, which is at least the span divided by this number."""

APART = 0.075
"""Least distance of two labels, as a share of the height."""


@dataclass(frozen=True)
class Scale:
    """An axis of the headline metric.

    Attributes:
        best: the value at the good end.
        span: distance of the values at both ends, above 0.
        exponent: exponent of the distance.
        higher: True if higher is better; the good end is then at the top.
    """

    best: float
    span: float
    exponent: float
    higher: bool

    @classmethod
    def of(cls, values: Sequence[float], edge: float | None, higher: bool) -> Scale:
        """Chooses an axis.

        Args:
            values: the values on the axis; at least one.
            edge: the value at the bad end; None for an end beyond the worst value.
            higher: True if higher is better.
        """
        best, worst = (max(values), min(values)) if higher else (min(values), max(values))
        spread = abs(worst - best) or 0.02 * abs(best) or 1.0
        end = abs(edge - best) if edge is not None else 1.06 * spread
        end = end or spread
        middle = median(abs(value - best) for value in values) / end
        exponent = min(1.0, max(LEAST, math.log(MIDDLE) / math.log(middle))) if 0 < middle < 1 else 1.0
        foot = end * FOOT ** (1 / exponent)
        return cls(best + foot if higher else best - foot, end + foot, exponent, higher)

    def distance(self, field: str) -> str:
        """Gives a Vega expression for a field's distance from the good end."""
        return f"{self.best} - datum.{field}" if self.higher else f"datum.{field} - {self.best}"

    def within(self, field: str) -> str:
        """Gives the expression of ``distance``, cut at the ends of the axis: bars may be longer than the axis."""
        return f"clamp({self.distance(field)}, 0, {self.span})"

    def height(self, value: float) -> float:
        """Gives the height of a value above the good end, as a share of the axis."""
        gap = self.best - value if self.higher else value - self.best
        return math.copysign(abs(gap / self.span) ** self.exponent, gap)

    def ticks(self, apart: float = APART) -> tuple[float, ...]:
        """Gives the values that get a label: round ones, no two closer than a share of the height."""
        return _ticks(self, apart)

    def axis(self, field: str, title: str, apart: float = APART) -> Spec:
        """Gives the channel for ``encoding``.

        Args:
            field: the field that holds distances from the good end.
            title: the title of the axis.
            apart: least distance of two labels, as a share of the height.
        """
        values = self.ticks(apart)
        sign = "-" if self.higher else "+"
        shown: Spec = {
            "values": [abs(value - self.best) for value in values],
            "labelExpr": f"format({self.best} {sign} datum.value, '.4~f')",
            "labelOverlap": False,
            "tickCount": len(values),  # Vega drops values beyond it
            "grid": True,
        }
        scale: Spec = {"type": "pow", "exponent": self.exponent, "domain": [0, self.span], "nice": False}
        return {
            "field": field, "type": "quantitative", "title": title, "axis": shown,
            "scale": {**scale, "zero": False, "reverse": self.higher},
        }  # fmt: skip


@functools.cache
def _ticks(scale: Scale, apart: float) -> tuple[float, ...]:
    ends = sorted((scale.best, scale.best - scale.span if scale.higher else scale.best + scale.span))
    chosen: dict[float, float] = {}  # heights by value
    power = math.floor(math.log10(scale.span)) + 1
    steps = [part * 10.0**exponent for exponent in range(power, power - 4, -1) for part in (1, 0.5, 0.2)]
    for step in (step for step in steps if step >= scale.span / FINEST):
        for number in range(math.ceil(ends[0] / step), math.floor(ends[1] / step) + 1):
            value = round(number * step, 10)
            height = scale.height(value)
            if all(abs(height - other) >= apart for other in chosen.values()):
                chosen[value] = height
    return tuple(sorted(chosen))
