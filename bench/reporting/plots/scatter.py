"""Charts with a mark for each group: memory or step time against the headline metric, parameters against memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from bench.reporting.contents import Section
from bench.reporting.looks import Look
from bench.reporting.plots.dodge import moves
from bench.reporting.plots.scale import Scale
from bench.reporting.plots.style import (
    FONT,
    FRONT,
    GREY,
    HEIGHT,
    INK,
    MANY,
    WIDTH,
    Spec,
    byte_axis,
    named,
    powers,
    tooltip,
)
from bench.reporting.rows import Row, rows
from bench.reporting.words import number
from bench.tradeoff.showing import BIASES, CONSTANT

_STEP = "ms a training step"

LABEL_SIZE = 11


def memory(section: Section) -> Spec | None:
    """Draws memory against the headline metric; None without a mark."""
    shown = [row for row in rows(section) if row["value"] is not None and row["drawn"]]
    if not shown:
        return None
    # the front begins at the left, and the name of its first mark needs room
    x = byte_axis([row["bytes"] for row in shown], "memory to serve the embeddings", "bytes", room=1.6)
    return _against(section, x, "bytes")


def _moved(section: Section, scale: Scale, x: Spec) -> list[Spec]:
    """Gives the transforms that put marks side by side, by a factor on their bytes. Marks on the front stay."""
    low, high = x["scale"]["domain"]
    octaves = math.log2(high / low)
    shown = [row for row in rows(section) if row["value"] is not None and row["drawn"]]
    shown.sort(key=lambda row: (not row["front"], row["rank"]))
    marks = [
        (WIDTH * math.log2(row["bytes"] / low) / octaves, HEIGHT * scale.height(row["value"] or 0.0))
        for row in shown
    ]
    far = moves(marks, math.sqrt(_size(section)) + 1)
    factors = [
        {"id": row["id"], "moved": 2 ** (move * octaves / WIDTH)}
        for row, move in zip(shown, far, strict=True)
        if move
    ]
    return [
        {"lookup": "id", "from": {"data": {"values": factors}, "key": "id", "fields": ["moved"]}, "default": 1},
        {"calculate": "datum.bytes * datum.moved", "as": "beside"},
    ] if factors else [{"calculate": "datum.bytes", "as": "beside"}]  # fmt: skip


def time(section: Section) -> Spec | None:
    """Draws the time of a training step against the headline metric; None without a mark."""
    every = [row for row in rows(section) if row["value"] is not None and row["drawn"]]
    shown = [row["step"] for row in every if row["step"] is not None]
    if not shown:
        return None
    low, high = min(shown), max(shown)
    if high / low > 8:
        scale: Spec = {"type": "log", "domain": [low / 1.15, high * 1.15], "nice": False}
        every_tick = [m * 10.0**e for e in range(-4, 6) for m in (1, 2, 5)]
        ticks = [tick for tick in every_tick if low / 1.15 <= tick <= high * 1.15]
        axis: Spec = {"values": ticks, "title": _STEP, "format": "~r"}
    else:
        scale = {"domain": [0, high * 1.08], "nice": False}
        axis = {"title": _STEP, "tickCount": 6}
    return _against(section, {"field": "step", "type": "quantitative", "scale": scale, "axis": axis}, "step")


def _against(section: Section, x: Spec, field: str) -> Spec:
    """Draws a field of the rows against the headline metric."""
    every = [row for row in rows(section) if row["value"] is not None and row["drawn"]]
    shown = [row for row in every if row[field] is not None or row["base"]]  # type: ignore[literal-required]
    values = [value for row in shown if (value := row["value"]) is not None]
    values += [better] if (better := _best_of_all(section, values)) is not None else []
    scale = Scale.of(values, section.edge, section.headline.higher)
    y = scale.axis("at", f"{section.headline.short} on rows held out")
    drawn = [{"filter": f"isValid(datum.value) && datum.drawn && isValid(datum.{field})"}]
    beside = x
    if field == "bytes":
        drawn, beside = [*drawn, *_moved(section, scale, x)], {**x, "field": "beside"}
    layers = [
        *_level(section.constant, CONSTANT, scale, y),
        *_level(section.biases.value if section.biases else None, BIASES, scale, y),
        _baseline(scale, y),
        *([_front_line(scale, x, y)] if field == "bytes" else []),
        _bars(section, scale, beside, drawn),
        *([_across(section, scale, (x, y), drawn)] if field == "step" else []),
        {
            **named("groups"), "name": "points",
            "transform": [*drawn, _distance(scale, "value", "at")],
            "mark": {"type": "point", "size": _size(section), "strokeWidth": 1.4, "opacity": 1},
            "encoding": {"x": beside, "y": y, **_look(section), "tooltip": _tooltip(section)},
        },
        {
            **named("front"), "name": "front",
            "transform": [*drawn, _distance(scale, "value", "at")],
            "mark": {"type": "point", "shape": "circle", "size": 3.2 * _size(section), "strokeWidth": 1.2,
                     "color": INK, "opacity": 1, "tooltip": None, "aria": False},
            "encoding": {"x": x, "y": y},
        },
    ]  # fmt: skip
    spec: Spec = {"width": WIDTH, "height": HEIGHT, "layer": layers}
    # in other charts, marks also lie below those of the front, and names would hide them
    return {**spec, "usermeta": {"labels": _labels(section)}} if field == "bytes" else spec


def _labels(section: Section) -> Spec:
    """Gives the names of the front's marks as a part for Vega, which finds a place for each that no other name has.

    Vega-Lite has no such layout. So ``render`` and ``page.js`` add this part to the Vega specification of the chart.
    Nothing lies below and to the left of the front, or above it if higher is better. Names stand there and hide no
    mark. They do not avoid other marks, because Vega needs a browser's canvas for that.
    """
    good, bad = ("top", "bottom") if section.headline.higher else ("bottom", "top")
    near = [f"{good}-left", good, f"{good}-right"]
    anchors = [*near, *near[:2], *near[:2], f"{bad}-right", bad]
    return {
        "type": "text", "name": "labels", "from": {"data": "front_marks"}, "interactive": False,
        "encode": {"enter": {
            "text": {"field": "datum.label"}, "fontSize": {"value": LABEL_SIZE}, "fill": {"value": INK},
            "font": {"value": FONT},
        }},
        "transform": [{
            "type": "label", "anchor": anchors, "offset": [6, 6, 6, 19, 19, 32, 32, 6, 6], "avoidBaseMark": False,
            "size": {"signal": "[width, height]"},
        }],
    }  # fmt: skip


def _distance(scale: Scale, field: str, name: str) -> Spec:
    return {"calculate": scale.distance(field), "as": name}


def _best_of_all(section: Section, values: Sequence[float]) -> float | None:
    """Gives the value of biases alone if it is better than all values, so that the axis reaches it."""
    value = section.biases.value if section.biases else None
    return (
        value if value is not None and all(section.headline.worse(other, value) for other in values) else None
    )


def _level(value: float | None, name: str, scale: Scale, y: Spec) -> list[Spec]:
    """Draws the line of a baseline that has no mark, with its name, if it lies on the axis."""
    if value is None or not -1e-9 <= scale.height(value) <= 1 + 1e-9:
        return []
    at = {"values": [{"at": abs(value - scale.best)}]}
    constant = name == CONSTANT  # the names of the front's marks stand at the left, below the constant
    dash = {} if constant else {"strokeDash": [8, 3, 2, 3]}
    place = {"align": "left", "dx": 4} if constant else {"align": "right", "dx": -4}
    return [
        {"data": at, "mark": {"type": "rule", "color": INK, "strokeWidth": 1.2, **dash}, "encoding": {"y": y}},
        {
            "data": at,
            "mark": {"type": "text", **place, "baseline": "bottom", "dy": -4, "fontSize": LABEL_SIZE, "color": INK},
            "encoding": {"x": {"value": 0 if constant else "width"}, "y": y,
                         "text": {"value": f"{name} {number(value)}"}},
        },
    ]  # fmt: skip


def _baseline(scale: Scale, y: Spec) -> Spec:
    drawn = {"filter": "isValid(datum.value) && datum.drawn"}
    return {
        **named("base"), "transform": [drawn, _distance(scale, "value", "at")],
        "mark": {"type": "rule", "strokeDash": [5, 4], "color": GREY}, "encoding": {"y": y},
    }  # fmt: skip


def _front_line(scale: Scale, x: Spec, y: Spec) -> Spec:
    return {
        **named("front"), "transform": [{"filter": "datum.drawn"}, _distance(scale, "value", "at")],
        "mark": {"type": "line", "interpolate": "step-after", "color": FRONT, "strokeWidth": 1.2},
        "encoding": {"x": x, "y": y},
    }  # fmt: skip


def _bars(section: Section, scale: Scale, x: Spec, drawn: list[Spec]) -> Spec:
    ends = [{"calculate": scale.within(end), "as": name} for end, name in (("lo", "from"), ("hi", "to"))]
    y = scale.axis("from", f"{section.headline.short} on rows held out")
    return {
        **named("groups"), "transform": [{"filter": "isValid(datum.lo)"}, *drawn, *ends],
        "mark": {"type": "rule", "strokeWidth": 1.2},
        "encoding": {"x": x, "y": y, "y2": {"field": "to"}, "stroke": _colour(section)},
    }  # fmt: skip


def _across(section: Section, scale: Scale, axes: tuple[Spec, Spec], drawn: list[Spec]) -> Spec:
    """Draws the intervals of times."""
    x, y = axes
    low, high = x["scale"]["domain"]
    transform = [
        {"filter": "isValid(datum.fast)"}, *drawn, _distance(scale, "value", "at"),
        {"calculate": f"clamp(datum.fast, {low}, {high})", "as": "left"},
        {"calculate": f"clamp(datum.slow, {low}, {high})", "as": "right"},
    ]  # fmt: skip
    return {
        **named("groups"), "transform": transform, "mark": {"type": "rule", "strokeWidth": 1.2},
        "encoding": {"x": {**x, "field": "left"}, "x2": {"field": "right"}, "y": y, "stroke": _colour(section)},
    }  # fmt: skip


def _size(section: Section) -> int:
    return 90 if len(section.entries) <= MANY else 62


def _by_method(looks: Mapping[str, Look], values: Sequence[str]) -> Spec:
    scale = {"domain": list(looks), "range": list(values)}
    return {"field": "method", "type": "nominal", "scale": scale, "legend": None}


def _colour(section: Section) -> Spec:
    return _by_method(section.looks, [look.colour for look in section.looks.values()])


def _look(section: Section) -> Spec:
    """Gives colour and shape by method; a group of one seed is hollow."""
    hollow = {"condition": {"test": "datum.n > 1", "value": 1}, "value": 0}
    return {
        "stroke": _colour(section), "fill": _colour(section), "fillOpacity": hollow,
        "shape": _by_method(section.looks, [look.shape for look in section.looks.values()]),
    }  # fmt: skip


def _tooltip(section: Section) -> list[Spec]:
    return tooltip(
        ("method", "method"), ("settings", "settings"), ("memory", "memory"), ("smaller", "smaller"),
        ("leading", section.headline.title), ("delta", "to full"), ("also", "also"), ("seeds", "seeds"),
        ("command", "repeat"),
    )  # fmt: skip


def parameters(section: Section) -> Spec | None:
    """Draws trainable numbers against bytes, with the line of four bytes a number; None without a mark."""
    shown: list[Row] = [row for row in rows(section) if row["params"]]
    if not shown:
        return None
    params, sizes = [row["params"] or 0.0 for row in shown], [row["bytes"] for row in shown]
    low, high = min(params) / 1.2, max(params) * 1.2
    axis = {
        "values": powers(low, high, 8, 1000),
        "title": "trainable numbers of the embeddings",
        "format": ".3~s",
    }
    scale = {"type": "log", "base": 2, "domain": [low, high], "nice": False}
    x: Spec = {"field": "params", "type": "quantitative", "axis": axis, "scale": scale}
    y = byte_axis(sizes, "memory to serve them", "bytes", 7)
    bottom, top = min(sizes) / 1.15, max(sizes) * 1.15
    ends = (max(low, bottom / 4), min(high, top / 4))
    marks: Spec = {
        **named("groups"), "name": "points", "transform": [{"filter": "isValid(datum.params)"}],
        "mark": {"type": "point", "size": _size(section), "strokeWidth": 1.4, "opacity": 1},
        "encoding": {"x": x, "y": y, **_look(section), "tooltip": _tooltip(section)},
    }  # fmt: skip
    line = _four_bytes(ends, params, x, y) if ends[0] < ends[1] else []
    return {"width": WIDTH, "height": HEIGHT, "layer": [*line, marks]}


def _four_bytes(ends: tuple[float, float], params: Sequence[float], x: Spec, y: Spec) -> list[Spec]:
    """Draws the line of four bytes a number, and its name in the widest gap between marks."""
    at = _widest_gap(ends, params)
    low, high = x["scale"]["domain"]
    # beside the line, towards the middle of the plot
    place: Spec = {"align": "left", "baseline": "top", "dx": 8, "dy": 4}
    if at >= math.sqrt(low * high):
        place = {"align": "right", "baseline": "bottom", "dx": -8, "dy": -4}
    return [
        {
            "data": {"values": [{"params": end, "bytes": 4 * end} for end in ends]},
            "mark": {"type": "line", "strokeDash": [5, 4], "color": GREY, "strokeWidth": 1.2},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": {"values": [{"params": at, "bytes": 4 * at}]},
            "mark": {"type": "text", "fontSize": LABEL_SIZE, "color": GREY, **place},
            "encoding": {"x": x, "y": y, "text": {"value": "4 bytes a number"}},
        },
    ]


def _widest_gap(ends: tuple[float, float], values: Sequence[float]) -> float:
    """Gives the middle, on a log axis, of the widest gap that some values leave between two ends."""
    inside = sorted([*ends, *(value for value in values if ends[0] < value < ends[1])])
    left, right = max(pairwise(inside), key=lambda pair: pair[1] / pair[0])
    return math.sqrt(left * right)
