"""Charts with a panel for each group: the headline metric by epoch, and by popularity of a field's ids."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.reporting.contents import Section
from bench.reporting.plots.scale import Scale
from bench.reporting.plots.style import CURVE, GREY, INK, PANEL_HEIGHT, PANEL_WIDTH, Spec, named
from bench.reporting.rows import CURVES, ranked, rows
from bench.reporting.series import Place

APART = 0.2
"""Least distance of two labels of the error, as a share of a panel's height."""

_TWO_LINES = (
    "indexof(datum.label, ' ') < 0 ? datum.label : [slice(datum.label, 0, indexof(datum.label, ' ')), "
    "slice(datum.label, indexof(datum.label, ' ') + 1)]"
)


def curves(section: Section) -> Spec | None:
    """Draws the headline metric after each epoch; None if no group was trained for two epochs."""
    last = max((place["at"] for place in section.curves), default=0)
    if last < 2:  # one epoch is no curve
        return None
    axis = {"values": [*range(1, last + 1, max(1, math.ceil(last / 6)))], "format": "d"}
    x: Spec = {"title": "epoch", "axis": axis, "scale": {"domain": [1, last]}}
    return _panels(section, section.curves, "curves", x)


def popularity(section: Section) -> Spec | None:
    """Draws the headline metric by tenths of the first field's ids, to the scale of all fields; None if not known."""
    every = [place for places in section.tenths.values() for place in places]
    if not every:
        return None
    axis = {"values": [1, 4, 7, 10], "format": "d"}
    x: Spec = {"title": "tenth by popularity", "axis": axis, "scale": {"domain": [1, 10]}}
    return _panels(section, every, "tenths", x)


def _panels(section: Section, places: Sequence[Place], source: str, x: Spec) -> Spec:
    """Draws a panel for each group: its mean and band, and the baselines.

    Full tables are dashed, the best constant is dotted, biases alone are dashed and dotted.
    """
    kept = {row["id"] for row in ranked(rows(section), CURVES)}
    means = [place["mean"] for place in places if place["id"] in kept]
    biases = section.biases.value if section.biases else None
    levels = [
        (value, dash)
        for value, dash in ((section.constant, [1, 3]), (biases, [6, 2, 1, 2]))
        if value is not None
    ]
    every = [*means, *(value for value, _ in levels)]
    best, worst = section.headline.best(every), section.headline.worst(every)
    scale = Scale.of([*means, best], worst if worst != best else None, section.headline.higher)
    title = section.headline.title
    x = {"field": "at", "type": "quantitative", **x}

    def y(field: str) -> Spec:
        return scale.axis(field, title, APART)

    def layer(field: str, mark: Spec, more: Spec | None = None) -> Spec:
        return {
            "transform": [
                {"filter": f"isValid(datum.{field})"},
                {"calculate": scale.within(field), "as": f"{field}_at"},
            ],
            "mark": mark,
            "encoding": {"x": x, "y": y(f"{field}_at"), **(more or {})},
        }

    band = layer("lo", {"type": "area", "opacity": 0.25, "color": CURVE}, {"y2": {"field": "hi_at"}})
    band["transform"].append({"calculate": scale.within("hi"), "as": "hi_at"})
    layers = [
        band,
        layer("base", {"type": "line", "strokeDash": [4, 3], "color": GREY, "strokeWidth": 1.2}),
        layer(
            "mean",
            {"type": "line", "color": CURVE, "strokeWidth": 1.8, "point": {"size": 22, "color": CURVE}},
            {"tooltip": _tooltip(x["title"], title)},
        ),
    ]
    for value, dash in levels:
        if 0 <= scale.height(value) <= 1 + 1e-9:
            rule = {"type": "rule", "strokeDash": dash, "color": INK, "strokeWidth": 1.2}
            layers.insert(0, {"mark": rule, "encoding": {"y": {"datum": abs(value - scale.best)}}})
    header = {"labelExpr": _TWO_LINES, "title": None}
    sort = {"field": "rank", "op": "min", "order": "ascending"}
    return {
        **named(source),
        "facet": {"field": "name", "type": "nominal", "sort": sort, "title": None, "header": header},
        "columns": 4,
        "spec": {"width": PANEL_WIDTH, "height": PANEL_HEIGHT, "layer": layers},
    }


def _tooltip(place: str, title: str) -> list[Spec]:
    numbers = (("mean", title), ("lo", "from"), ("hi", "to"), ("base", "full"))
    return [
        {"field": "name", "type": "nominal", "title": "run"},
        {"field": "at", "type": "quantitative", "title": place},
        *(
            {"field": field, "type": "quantitative", "title": name, "format": ".4f"}
            for field, name in numbers
        ),
    ]
