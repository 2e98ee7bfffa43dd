"""The plots of a section: one Vega-Lite specification each, for the page and for files.

A specification names its data (``groups``, ``front``, ``curves``, ...), which ``rows.data`` gives: the page can then
show part of it. Shapes and colours belong to methods; colours are Okabe and Ito's (2008), which the colour-blind can
tell apart, and shapes tell methods apart without any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from bench.reporting.contents import BYTES, CURVES, Section
from bench.reporting.rows import ROWS, data

Chart = Any  # Altair's kinds of charts, which its own annotations mix up

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
PARTS = ("#0b3c5d", "#b85c00", "#6aa9cf", "#cfc3ec", "#ebebeb")
"""Of ``BYTES``, from dark to light, so that neighbours differ in grayscale too."""

LABEL = 320
"""Longest name beside a bar, in pixels."""

MANY = 80
"""Groups beyond which marks are smaller."""

GREY, FRONT = "#6b6b6b", "#444444"
WIDTH, HEIGHT = 560, 340
PANEL_WIDTH, PANEL_HEIGHT = 170, 120
CONFIG: dict[str, Any] = {
    "font": "system-ui, 'DejaVu Sans', 'Liberation Sans', Arial, sans-serif",
    "background": "white",
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": "#222222",
        "titleColor": "#222222", "gridColor": "#e6e6e6", "domainColor": "#888888", "tickColor": "#888888",
        "titlePadding": 8, "labelOverlap": True, "labelFlush": False,
    },
    "legend": {
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": "#222222",
        "titleColor": "#222222", "labelLimit": 220, "symbolLimit": 60,
    },
    "header": {"labelFontSize": 11, "labelColor": "#222222", "labelLimit": PANEL_WIDTH + 20, "title": None},
    "title": {"fontSize": 13, "fontWeight": "normal", "color": "#222222", "anchor": "start"},
}  # fmt: skip

PLOTS: dict[str, str] = {
    "memory-error": "Memory against error",
    "time-error": "Step time against error",
    "parameters-memory": "Parameters against memory",
    "learning-curves": "Learning curves",
    "popularity": "Error by popularity of the item",
    "bytes": "Where the bytes are",
}
"""Names of files, and headings."""

NOTES: dict[str, str] = {
    "memory-error": "Lower left is better. Bars: 95 % intervals. Line: Pareto front. Hollow: one seed.",
    "time-error": "Training steps of one machine, thread count and load. Bars: 95 % intervals.",
    "parameters-memory": (
        "On the line, every byte is a trained float32; above it, id maps cost memory; below it, codes save some."
    ),
    "learning-curves": (
        "Mean and 95 % band; dashed: full tables. The baseline, the front and each method's best, "
        f"{CURVES} at most."
    ),
    "popularity": (
        "Items by training popularity, 1 the most popular tenth. Mean and 95 % band; dashed: full tables."
    ),
    "bytes": (
        f"Left: shares of the memory to serve. Right: that memory, and optimizer state while training. {ROWS} at most."
    ),
}

_BYTES_LABEL = (
    "datum.value >= 1073741824 ? format(datum.value / 1073741824, '.3~r') + ' GiB' : "
    "datum.value >= 1048576 ? format(datum.value / 1048576, '.3~r') + ' MiB' : "
    "datum.value >= 1024 ? format(datum.value / 1024, '.3~r') + ' KiB' : format(datum.value, '.3~r') + ' B'"
)

_TWO_LINES = (
    "indexof(datum.label, ' ') < 0 ? datum.label : [slice(datum.label, 0, indexof(datum.label, ' ')), "
    "slice(datum.label, indexof(datum.label, ' ') + 1)]"
)


def specifications(section: Section) -> dict[str, dict[str, Any]]:
    """The plots of a section by name, without their data; those that would be empty are left out."""
    rows = data(section)
    makers: dict[str, Callable[[dict[str, list[dict[str, Any]]]], Chart | None]] = {
        "memory-error": _memory_error,
        "time-error": _time_error,
        "parameters-memory": _parameters_memory,
        "learning-curves": _curves,
        "popularity": _popularity,
        "bytes": _bytes,
    }
    out = {}
    for name, make in makers.items():
        chart = make(rows)
        if chart is not None:
            spec: dict[str, Any] = chart.to_dict(validate=False)
            spec.pop("$schema", None)  # an address, which a page without a network has no use for
            out[name] = {**spec, "config": CONFIG}
    return out


def _methods(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Colour and shape by method, the same in every plot of a report."""
    places = {row["method"]: row["place"] for row in rows}
    names = sorted(places, key=lambda name: places[name])
    colours = [COLOURS[places[name] % len(COLOURS)] for name in names]
    shapes = [SHAPES[places[name] % len(SHAPES)] for name in names]
    legend = alt.Legend(title=None, orient="bottom", columns=4, symbolSize=90, symbolStrokeWidth=1.8)
    scale = alt.Scale(domain=names, range=colours)
    return {
        "stroke": alt.Stroke("method:N", scale=scale, legend=legend),
        "fill": alt.Fill("method:N", scale=scale, legend=legend),
        "shape": alt.Shape("method:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
        "fillOpacity": alt.condition("datum.n > 1", alt.value(1), alt.value(0)),
    }


_TOOLTIP = [
    alt.Tooltip("method:N", title="method"),
    alt.Tooltip("settings:N", title="settings"),
    alt.Tooltip("memory:N", title="memory"),
    alt.Tooltip("smaller:N", title="smaller"),
    alt.Tooltip("error:N", title="val MAE"),
    alt.Tooltip("delta:N", title="to full"),
    alt.Tooltip("time:N", title="step, ms"),
    alt.Tooltip("seeds:N", title="seeds"),
    alt.Tooltip("command:N", title="repeat"),
]


_STEP = "training step, ms (median of a run, mean over seeds)"
_ERROR = "MAE on rows held out"


def _error_axis(rows: Sequence[Mapping[str, Any]]) -> alt.Y:
    means = [row["mae"] for row in rows if row["mae"] is not None]
    low, high = min(means), max(means)
    spread = (high - low) or 0.02 * abs(high) or 1.0
    # bars of two seeds may be wider than all else: those are cut at the frame
    bars = [value for row in rows for value in (row["lo"], row["hi"]) if value is not None]
    low = max(min([low, *bars]), low - 0.6 * spread) - 0.06 * spread
    high = min(max([high, *bars]), high + 0.6 * spread) + 0.06 * spread
    return alt.Y("mae:Q", title=_ERROR, scale=alt.Scale(domain=[low, high], nice=False, zero=False))


def _powers(low: float, high: float, most: int, unit: float = 1.0) -> list[float]:
    """Places for labels on a log axis: powers of two, quarters between them where these are too few."""
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


def _byte_axis(values: Sequence[float], title: str, channel: Any, field: str, most: int = 8) -> Any:
    low, high = min(values) / 1.15, max(values) * 1.15
    axis = alt.Axis(values=_powers(low, high, most), labelExpr=_BYTES_LABEL, title=title)
    return channel(
        f"{field}:Q", axis=axis, scale=alt.Scale(type="log", base=2, domain=[low, high], nice=False)
    )


def _mark_size(rows: Sequence[Any]) -> int:
    return 85 if len(rows) <= MANY else 36


def _named(name: str) -> alt.NamedData:
    return alt.NamedData(name=name)


def _against_error(rows: dict[str, list[dict[str, Any]]], x: Any, field: str) -> Chart:
    shown = [row for row in rows["groups"] if row["mae"] is not None and row[field] is not None]
    y = _error_axis([*shown, *(row for row in rows["base"] if row["mae"] is not None)])
    present = f"isValid(datum.mae) && isValid(datum.{field})"
    stroke = _methods(rows["groups"])["stroke"]
    bars = (
        alt.Chart(_named("groups")).mark_rule(strokeWidth=1.4, clip=True)
        .encode(x, alt.Y("lo:Q", title=_ERROR), alt.Y2("hi:Q", title=_ERROR), stroke=stroke)
        .transform_filter(f"isValid(datum.lo) && {present}")
    )  # fmt: skip
    marks = (
        alt.Chart(_named("groups")).mark_point(size=_mark_size(rows["groups"]), strokeWidth=1.8, opacity=1, clip=False)
        .encode(x, y, tooltip=_TOOLTIP, **_methods(rows["groups"]))
        .transform_filter(present)
    )  # fmt: skip
    rule = (
        alt.Chart(_named("base")).mark_rule(strokeDash=[5, 4], color=GREY, clip=True)
        .encode(y).transform_filter("isValid(datum.mae)")
    )  # fmt: skip
    label = (
        alt.Chart(_named("base"))
        .mark_text(align="left", baseline="top", dx=4, dy=5, fontSize=11, color=GREY)
        .encode(y, x=alt.value(0), text=alt.value("full tables")).transform_filter("isValid(datum.mae)")
    )  # fmt: skip
    layers: list[Any] = [rule, label, bars, marks]
    if field == "step":
        across = (
            alt.Chart(_named("groups")).mark_rule(strokeWidth=1.4, clip=True)
            .encode(alt.X("fast:Q", title=_STEP), y, alt.X2("slow:Q", title=_STEP), stroke=stroke)
            .transform_filter(f"isValid(datum.fast) && {present}")
        )  # fmt: skip
        layers.insert(3, across)
    if field == "bytes":
        front = (
            alt.Chart(_named("front")).mark_line(interpolate="step-after", color=FRONT, strokeWidth=1.2)
            .encode(x, y)
        )  # fmt: skip
        layers.insert(1, front)
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _memory_error(rows: dict[str, list[dict[str, Any]]]) -> Chart | None:
    shown = [row["bytes"] for row in rows["groups"] if row["mae"] is not None]
    if not shown:
        return None
    return _against_error(rows, _byte_axis(shown, "memory to serve the embeddings", alt.X, "bytes"), "bytes")


def _time_error(rows: dict[str, list[dict[str, Any]]]) -> Chart | None:
    shown = [row["step"] for row in rows["groups"] if row["mae"] is not None and row["step"] is not None]
    if not shown:
        return None
    low, high = min(shown), max(shown)
    if high / low > 8:
        scale = alt.Scale(type="log", domain=[low / 1.15, high * 1.15], nice=False)
        ticks = [
            m * 10.0**e for e in range(-4, 6) for m in (1, 2, 5) if low / 1.15 <= m * 10.0**e <= high * 1.15
        ]
        axis = alt.Axis(values=ticks, title=_STEP, format="~r")
    else:
        scale, axis = alt.Scale(domain=[0, high * 1.08], nice=False), alt.Axis(title=_STEP, tickCount=6)
    return _against_error(rows, alt.X("step:Q", scale=scale, axis=axis), "step")


def _parameters_memory(rows: dict[str, list[dict[str, Any]]]) -> Chart | None:
    shown = [row for row in rows["groups"] if row["params"]]
    if not shown:
        return None
    params, sizes = [row["params"] for row in shown], [row["bytes"] for row in shown]
    low, high = min(params) / 1.2, max(params) * 1.2
    ticks = _powers(low, high, 8, 1000)
    x_scale = alt.Scale(type="log", base=2, domain=[low, high], nice=False)
    axis = alt.Axis(values=ticks, title="trainable numbers of the embeddings", format=".3~s")
    x = alt.X("params:Q", scale=x_scale, axis=axis)
    y = _byte_axis([*sizes], "memory to serve them", alt.Y, "bytes", 7)
    bottom, top = min(sizes) / 1.15, max(sizes) * 1.15
    ends = [max(low, bottom / 4), min(high, top / 4)]
    layers: list[Any] = [
        alt.Chart(_named("groups")).mark_point(size=_mark_size(rows["groups"]), strokeWidth=1.8, opacity=1)
        .encode(x, y, tooltip=_TOOLTIP, **_methods(rows["groups"])).transform_filter("isValid(datum.params)"),
    ]  # fmt: skip
    if ends[0] < ends[1]:
        line = alt.InlineData(values=[{"params": at, "bytes": 4 * at} for at in ends])
        layers.insert(
            0, alt.Chart(line).mark_line(strokeDash=[5, 4], color=GREY, strokeWidth=1.2).encode(x, y)
        )
        at = _widest_gap(ends, params)
        note = alt.InlineData(values=[{"params": at, "bytes": 4 * at}])
        # beside the line, towards the middle of the plot
        left = at < math.sqrt(low * high)
        place: dict[str, Any] = {"align": "left", "baseline": "top", "dx": 8, "dy": 4} if left else {
            "align": "right", "baseline": "bottom", "dx": -8, "dy": -4
        }  # fmt: skip
        text = alt.Chart(note).mark_text(fontSize=11, color=GREY, **place)
        layers.insert(1, text.encode(x, y, text=alt.value("4 bytes a number")))
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _widest_gap(ends: Sequence[float], values: Sequence[float]) -> float:
    """The middle, on a log axis, of the widest gap that some values leave between two ends."""
    inside = sorted([*ends, *(value for value in values if ends[0] < value < ends[1])])
    left, right = max(pairwise(inside), key=lambda pair: pair[1] / pair[0])
    return math.sqrt(left * right)


def _panels(rows: Sequence[Mapping[str, Any]], source: str, x: Any, title: str) -> Chart | None:
    """A panel a group: its mean and band, and dashed the baseline's."""
    if not rows:
        return None
    values = [v for row in rows for v in (row["mean"], row["base"]) if v is not None]
    low, high = min(values), max(values)
    pad = 0.08 * ((high - low) or abs(high) or 1.0)
    scale = alt.Scale(domain=[low - pad, high + pad], zero=False, nice=False)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=title, axis=alt.Axis(tickCount=4), scale=scale)

    tooltip = [
        alt.Tooltip("name:N", title="run"), alt.Tooltip(x.shorthand, title=x.shorthand.partition(":")[0]),
        alt.Tooltip("mean:Q", title="val MAE", format=".4f"), alt.Tooltip("lo:Q", title="from", format=".4f"),
        alt.Tooltip("hi:Q", title="to", format=".4f"), alt.Tooltip("base:Q", title="full", format=".4f"),
    ]  # fmt: skip
    plain = alt.Chart()
    layers = [
        plain.mark_area(opacity=0.25, color=COLOURS[0], clip=True)
        .encode(x, y("lo"), alt.Y2("hi:Q", title=title)).transform_filter("isValid(datum.lo)"),
        plain.mark_line(strokeDash=[4, 3], color=GREY, strokeWidth=1.2)
        .encode(x, y("base")).transform_filter("isValid(datum.base)"),
        plain.mark_line(color=COLOURS[0], strokeWidth=1.8, point=alt.OverlayMarkDef(size=22, color=COLOURS[0]))
        .encode(x, y("mean"), tooltip=tooltip),
    ]  # fmt: skip
    order = alt.EncodingSortField(field="rank", op="min", order="ascending")
    header = alt.Header(labelExpr=_TWO_LINES)
    return (
        alt.layer(*layers, data=_named(source)).properties(width=PANEL_WIDTH, height=PANEL_HEIGHT)
        .facet(facet=alt.Facet("name:N", sort=order, title=None, header=header), columns=4)
    )  # fmt: skip


def _curves(rows: dict[str, list[dict[str, Any]]]) -> Chart | None:
    found = rows["curves"]
    last = max((row["epoch"] for row in found), default=0)
    if last < 2:  # one epoch is no curve
        return None
    ticks = [*range(1, last + 1, max(1, math.ceil(last / 6)))]
    x = alt.X(
        "epoch:Q", title="epoch", axis=alt.Axis(values=ticks, format="d"), scale=alt.Scale(domain=[1, last])
    )
    return _panels(found, "curves", x, "val MAE")


def _popularity(rows: dict[str, list[dict[str, Any]]]) -> Chart | None:
    axis = alt.Axis(values=[1, 4, 7, 10], format="d")
    x = alt.X("decile:Q", title="tenth of the items", axis=axis, scale=alt.Scale(domain=[1, 10]))
    return _panels(rows["deciles"], "deciles", x, "val MAE")


def _bytes(rows: dict[str, list[dict[str, Any]]]) -> Chart | None:
    if not rows["parts"]:
        return None
    order = alt.EncodingSortField(field="bytes", op="max", order="descending")
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=LABEL))
    used = [part for part in BYTES if any(row["part"] == part for row in rows["parts"])]
    colours = [PARTS[BYTES.index(part)] for part in used]
    legend = alt.Legend(title=None, orient="bottom", columns=5)
    run, size = alt.Tooltip("name:N", title="run"), alt.Tooltip("text:N", title="bytes")
    share = (
        alt.Chart(_named("parts")).mark_bar(stroke="white", strokeWidth=0.6)
        .encode(
            alt.X("share:Q", stack="zero", title="share of the memory to serve",
                  axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1])),
            y, alt.Order("place:Q"),
            fill=alt.Fill("part:N", scale=alt.Scale(domain=used, range=colours), legend=legend),
            tooltip=[run, alt.Tooltip("part:N"), size, alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(width=300, height=alt.Step(20))
    )  # fmt: skip
    kinds = alt.Scale(domain=["to serve", "optimizer"], range=["circle", "square"])
    x = _byte_axis([row["size"] for row in rows["sizes"]], "memory", alt.X, "size", 5)
    amount = (
        alt.Chart(_named("sizes")).mark_point(size=60, strokeWidth=1.6, color="#222222", opacity=1)
        .encode(
            x, alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labels=False, ticks=False, grid=True)),
            shape=alt.Shape("what:N", scale=kinds, legend=alt.Legend(title=None, orient="bottom")),
            fill=alt.Fill("what:N", scale=alt.Scale(domain=["to serve", "optimizer"], range=["#222222", "#ffffff"]),
                          legend=alt.Legend(title=None, orient="bottom", symbolStrokeColor="#222222")),
            tooltip=[run, alt.Tooltip("what:N"), size],
        )
        .properties(width=260, height=alt.Step(20))
    )  # fmt: skip
    return alt.hconcat(share, amount).resolve_scale(fill="independent", shape="independent")
