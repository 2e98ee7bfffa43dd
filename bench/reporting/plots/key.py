"""The legend of charts in files: colour and shape of each method, a column a family. The page has another legend."""

from __future__ import annotations

from collections.abc import Mapping

from bench.reporting.looks import Look
from bench.reporting.plots.style import INK, WIDTH, Spec

LINE = 16
"""Height of a line, in pixels."""

FAMILY_WIDTH, METHOD_WIDTH = 7.0, 6.6
"""Width of a letter of a family's and of a method's name, in pixels."""


def with_key(spec: Spec, looks: Mapping[str, Look]) -> Spec:
    """Gives a chart with the legend of some methods below it."""
    outer: Spec = {name: spec[name] for name in ("config", "usermeta") if name in spec}
    inner = {name: part for name, part in spec.items() if name not in outer}
    return {"vconcat": [inner, _key(looks)], "spacing": 18, **outer}


def _key(looks: Mapping[str, Look]) -> Spec:
    families: dict[str, list[Look]] = {}
    for look in looks.values():
        families.setdefault(look.family, []).append(look)
    marks: list[Spec] = []
    titles: list[Spec] = []
    left, top, height = 0.0, 0, 0
    for family, own in families.items():
        width = max(len(family) * FAMILY_WIDTH, *(len(look.method) * METHOD_WIDTH + 16 for look in own)) + 18
        if left and left + width > WIDTH:
            left, top = 0.0, height + 8
        titles.append({"x": left, "y": top, "text": family})
        for line, look in enumerate(own, 1):
            marks.append({"x": left, "y": top + line * LINE, "text": look.method})
        height = max(height, top + (len(own) + 1) * LINE)
        left += width
    shapes = {"domain": list(looks), "range": [look.shape for look in looks.values()]}
    colours = {"domain": list(looks), "range": [look.colour for look in looks.values()]}
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, WIDTH], "nice": False},
    }
    y: Spec = {"field": "y", "type": "quantitative", "axis": None, "scale": {
        "domain": [0, height], "nice": False, "reverse": True,
    }}  # fmt: skip
    text: Spec = {"type": "text", "align": "left", "baseline": "middle", "fontSize": 11, "color": INK}
    colour: Spec = {"field": "text", "type": "nominal", "scale": colours, "legend": None}
    return {
        "width": WIDTH, "height": height,
        "layer": [
            {"data": {"values": titles}, "mark": {**text, "fontWeight": 600},
             "encoding": {"x": x, "y": y, "text": {"field": "text"}}},
            {"data": {"values": marks}, "mark": {"type": "point", "size": 62, "opacity": 1, "xOffset": 5},
             "encoding": {"x": x, "y": y, "fill": colour, "stroke": colour, "shape": {
                 "field": "text", "type": "nominal", "scale": shapes, "legend": None}}},
            {"data": {"values": marks}, "mark": {**text, "dx": 15},
             "encoding": {"x": x, "y": y, "text": {"field": "text"}}},
        ],
        "resolve": {"scale": {"x": "shared", "y": "shared"}},
    }  # fmt: skip
