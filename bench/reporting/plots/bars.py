"""The chart of bytes: the parts of the memory, and beside them the optimizer's state."""

from __future__ import annotations

from bench.reporting import rows
from bench.reporting.contents import Section
from bench.reporting.entries import BYTES
from bench.reporting.plots.style import INK, LABEL, PARTS, Spec, byte_axis, named

_ROW = {"step": 20}
"""Height of a bar with the space to the next, in pixels."""


def parts(section: Section) -> Spec | None:
    """Draws shares of the memory to serve, and beside them that memory and the optimizer's; None for no bytes."""
    kept = rows.ranked(rows.rows(section), rows.ROWS)
    found, sizes = rows.parts(kept), [row["size"] for row in rows.sizes(kept)]
    if not found:
        return None
    used = [part for part in BYTES if any(row["part"] == part for row in found)]
    amounts = [float(size) for size in sizes if isinstance(size, int | float)]
    return {
        "hconcat": [_shares(used), _amounts(amounts)],
        "resolve": {"scale": {"fill": "independent", "shape": "independent"}},
    }


def _names(axis: Spec) -> Spec:
    sort = {"field": "bytes", "op": "max", "order": "descending"}
    return {"field": "name", "type": "nominal", "sort": sort, "title": None, "axis": axis}


def _shares(used: list[str]) -> Spec:
    colours = [PARTS[BYTES.index(part)] for part in used]
    return {
        **named("parts"), "width": 320, "height": _ROW,
        "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.6},
        "encoding": {
            "x": {
                "field": "share", "type": "quantitative", "stack": "zero", "title": "share of the memory to serve",
                "axis": {"format": "%", "tickCount": 5}, "scale": {"domain": [0, 1]},
            },
            "y": _names({"labelLimit": LABEL}),
            "order": {"field": "place", "type": "quantitative"},
            "fill": {
                "field": "part", "type": "nominal", "scale": {"domain": used, "range": colours},
                "legend": {"title": None, "orient": "bottom", "columns": 5},
            },
            "tooltip": [
                {"field": "name", "type": "nominal", "title": "run"}, {"field": "part", "type": "nominal"},
                {"field": "text", "type": "nominal", "title": "bytes"},
                {"field": "share", "type": "quantitative", "format": ".1%"},
            ],
        },
    }  # fmt: skip


def _amounts(sizes: list[float]) -> Spec:
    kinds = ["to serve", "optimizer"]
    legend: Spec = {"title": None, "orient": "bottom"}
    return {
        **named("sizes"), "width": 300, "height": _ROW,
        "mark": {"type": "point", "size": 60, "strokeWidth": 1.6, "color": INK, "opacity": 1},
        "encoding": {
            "x": byte_axis(sizes, "memory", "size", 5),
            "y": _names({"labels": False, "ticks": False, "grid": True}),
            "shape": {
                "field": "what", "type": "nominal", "scale": {"domain": kinds, "range": ["circle", "square"]},
                "legend": legend,
            },
            "fill": {
                "field": "what", "type": "nominal", "scale": {"domain": kinds, "range": [INK, "#ffffff"]},
                "legend": {**legend, "symbolStrokeColor": INK},
            },
            "tooltip": [
                {"field": "name", "type": "nominal", "title": "run"}, {"field": "what", "type": "nominal"},
                {"field": "text", "type": "nominal", "title": "bytes"},
            ],
        },
    }  # fmt: skip
