"""The common parts of charts: fonts, colours, sizes, and axes of bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]
"""A part of a Vega-Lite specification, as JSON has it."""

GREY, FRONT, INK = "#6b6b6b", "#444444", "#222222"
CURVE = "#0072B2"
PARTS = ("#0b3c5d", "#b85c00", "#6aa9cf", "#cfc3ec", "#ebebeb")
"""Colours of the parts of the bytes, from dark to light, so that neighbours differ in grayscale too."""

WIDTH, HEIGHT = 700, 420
PANEL_WIDTH, PANEL_HEIGHT = 170, 120

LABEL = 320
"""Longest name beside a bar, in pixels."""

MANY = 40
"""Number of groups above which marks are smaller."""

FONT = "system-ui, 'DejaVu Sans', 'Liberation Sans', Arial, sans-serif"

CONFIG: Spec = {
    "font": FONT,
    "background": "white",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK,
        "gridColor": "#e6e6e6", "domainColor": "#888888", "tickColor": "#888888", "titlePadding": 8,
        "labelOverlap": True, "labelFlush": False,
    },
    "axisX": {"labelSeparation": 8},
    "legend": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK,
        "labelLimit": 220, "symbolLimit": 60,
    },
    "header": {"labelFontSize": 11, "labelColor": INK, "labelLimit": PANEL_WIDTH + 20, "title": None},
    "title": {"fontSize": 13, "fontWeight": "normal", "color": INK, "anchor": "start"},
}  # fmt: skip

_BYTES_LABEL = (
    "datum.value >= 1073741824 ? format(datum.value / 1073741824, '.3~r') + ' GiB' : "
    "datum.value >= 1048576 ? format(datum.value / 1048576, '.3~r') + ' MiB' : "
    "datum.value >= 1024 ? format(datum.value / 1024, '.3~r') + ' KiB' : format(datum.value, '.3~r') + ' B'"
)


def byte_axis(values: Sequence[float], title: str, field: str, most: int = 8, room: float = 1.15) -> Spec:
    """Gives an axis of bytes on a log scale, for ``encoding``.

    Args:
        values: the values on the axis.
        title: the title of the axis.
        field: the field of the rows that holds the bytes.
        most: largest number of labels.
        room: the smallest value divided by the value at which the axis begins.
    """
    low, high = min(values) / room, max(values) * 1.15
    return {
        "field": field, "type": "quantitative",
        "axis": {"values": powers(low, high, most), "labelExpr": _BYTES_LABEL, "title": title},
        "scale": {"type": "log", "base": 2, "domain": [low, high], "nice": False},
    }  # fmt: skip


def powers(low: float, high: float, most: int, unit: float = 1.0) -> list[float]:
    """Gives places for labels on a log axis: powers of two, with quarters between them if powers are too few."""
    first, last = math.floor(math.log2(low / unit)), math.ceil(math.log2(high / unit))

    def within(step: int, parts: Sequence[float]) -> list[float]:
        every = [
            unit * part * 2.0**power
            for power in range(first, last + 1)
            if power % step == 0
            for part in parts
        ]
        return [value for value in every if low <= value <= high]

    finer = [
        ticks
        for parts in ((1,), (1, 1.5), (1, 1.25, 1.5, 1.75))
        if 3 <= len(ticks := within(1, parts)) <= most
    ]
    coarser = [ticks for step in range(2, 60) if 2 <= len(ticks := within(step, (1,))) <= most]
    eighths = [1 + i / 8 for i in range(8)]
    return next(iter([*finer, *coarser]), within(1, eighths)) or [math.sqrt(low * high)]


def named(data: str) -> Spec:
    """Gives the part of a layer that names the rows that it draws."""
    return {"data": {"name": data}}


def tooltip(*fields: tuple[str, str]) -> list[Spec]:
    """Gives a tooltip of texts: pairs of a field and its title."""
    return [{"field": field, "title": title, "type": "nominal"} for field, title in fields]
