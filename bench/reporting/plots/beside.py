"""Sections side by side: memory against the headline metric, a panel for each, on one scale, with its own baselines."""

from __future__ import annotations

from collections.abc import Iterator

from bench.reporting.across import Across, Part
from bench.reporting.plots.scale import Scale
from bench.reporting.plots.style import CONFIG, GREY, INK, WIDTH, Spec, byte_axis, tooltip
from bench.reporting.rows import rows
from bench.reporting.words import number
from bench.tradeoff.showing import BIASES, CONSTANT

COLUMNS = 3
"""Most panels beside each other."""

PANEL_HEIGHT = 300

DASHES: dict[str, list[int]] = {"full tables": [5, 4], CONSTANT: [1, 0], BIASES: [8, 3, 2, 3]}
"""The dashes of the lines of baselines, by their names."""


def chart(found: Across) -> Spec:
    """Draws sections side by side, with their data."""
    shown = [(part, row) for part in found.parts for row in rows(part.section) if row["drawn"]]
    marks = [(part, row, row["value"]) for part, row in shown if row["value"] is not None]
    levels = [(part, name, value) for part in found.parts for name, value in _levels(part)]
    values = [value for _, _, value in marks] + [value for _, name, value in levels if name != CONSTANT]
    constants = [value for _, name, value in levels if name == CONSTANT]
    values = values or constants or [0.0]
    edge = found.headline.worst([*values, *constants])
    scale = Scale.of(values, edge if edge != found.headline.best(values) else None, found.headline.higher)
    columns = min(COLUMNS, len(found.parts))
    sizes = [row["bytes"] for _, row, _ in marks] or [1.0]
    x = byte_axis(sizes, "memory to serve the embeddings", "bytes", 4 if columns > 1 else 8)
    y = scale.axis("at", f"{found.headline.short} on rows held out")
    by_part = {
        "field": "part",
        "type": "nominal",
        "title": None,
        "sort": [part.label for part in found.parts],
    }
    drawn: list[Spec] = [{**row, "part": part.label, "kind": "group"} for part, row, _ in marks]
    drawn += [
        {"part": part.label, "kind": "level", "name": name, "value": value, "text": f"{name} {number(value)}"}
        for part, name, value in levels
    ]
    return {
        "data": {"values": drawn},
        "facet": {**by_part, "header": {"title": None, "labelLimit": WIDTH // columns}},
        "columns": columns,
        "spec": {
            "width": WIDTH // columns,
            "height": PANEL_HEIGHT,
            "layer": list(_layers(found, scale, x, y)),
        },
        "usermeta": {"columns": columns},
        "config": CONFIG,
    }


def _levels(part: Part) -> Iterator[tuple[str, float]]:
    """Gives names and values of a section's baselines."""
    section = part.section
    known = {
        "full tables": next((entry.value for entry in section.entries if entry.is_baseline), None),
        CONSTANT: section.constant,
        BIASES: section.biases.value if section.biases else None,
    }
    yield from ((name, value) for name, value in known.items() if value is not None)


def _layers(found: Across, scale: Scale, x: Spec, y: Spec) -> Iterator[Spec]:
    at = {"calculate": scale.within("value"), "as": "at"}
    for name, dash in DASHES.items():
        rule = {
            "type": "rule",
            "strokeDash": dash,
            "strokeWidth": 1.2,
            "color": GREY if name == "full tables" else INK,
        }
        own = [{"filter": f"datum.kind == 'level' && datum.name == '{name}'"}, at]
        yield {"transform": own, "mark": rule, "encoding": {"y": y}}
        side = {"align": "right", "dx": -4} if name == BIASES else {"align": "left", "dx": 4}
        place = {**side, "baseline": "bottom", "dy": -3, "fontSize": 10, "color": INK}
        yield {
            "transform": own, "mark": {"type": "text", **place},
            "encoding": {"x": {"value": "width" if name == BIASES else 0}, "y": y,
                         "text": {"field": "text", "type": "nominal"}},
        }  # fmt: skip
    groups = {"filter": "datum.kind == 'group'"}
    colours = {"domain": list(found.looks), "range": [look.colour for look in found.looks.values()]}
    shapes = {"domain": list(found.looks), "range": [look.shape for look in found.looks.values()]}
    colour: Spec = {"field": "method", "type": "nominal", "scale": colours, "legend": None}
    ends = [{"calculate": scale.within(end), "as": name} for end, name in (("lo", "from"), ("hi", "to"))]
    yield {
        "transform": [groups, {"filter": "isValid(datum.lo)"}, *ends], "mark": {"type": "rule", "strokeWidth": 1.2},
        "encoding": {"x": x, "y": {**y, "field": "from"}, "y2": {"field": "to"}, "stroke": colour},
    }  # fmt: skip
    hollow = {"condition": {"test": "datum.n > 1", "value": 1}, "value": 0}
    yield {
        "transform": [groups, at], "mark": {"type": "point", "size": 62, "strokeWidth": 1.4, "opacity": 1},
        "encoding": {
            "x": x, "y": y, "stroke": colour, "fill": colour, "fillOpacity": hollow,
            "shape": {"field": "method", "type": "nominal", "scale": shapes, "legend": None},
            "tooltip": tooltip(
                ("part", "part"), ("name", "run"), ("memory", "memory"), ("smaller", "smaller"),
                ("leading", found.headline.title), ("delta", "to full"), ("seeds", "seeds"), ("command", "repeat"),
            ),
        },
    }  # fmt: skip
    yield {
        "transform": [groups, {"filter": "datum.front"}, at],
        "mark": {"type": "point", "shape": "circle", "size": 190, "strokeWidth": 1.2, "color": INK, "tooltip": None},
        "encoding": {"x": x, "y": y},
    }  # fmt: skip
