"""Pictures of the charts, and the libraries that draw them in the page: Vega, Vega-Lite and vega-embed.

vl-convert makes both, without a browser and without a network. Bundling the libraries takes seconds and always gives
the same text, so the text is kept in the user's cache.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import textwrap
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import vl_convert

from bench.measure.environment import version
from bench.reporting.plots.style import HEIGHT, WIDTH, Spec
from bench.reporting.rows import Data

VEGA_LITE = "6.4"
"""The version of Vega-Lite for which the specifications are written."""

SCALE = 2
"""Pixels of a PNG file for each point of a chart, in each direction."""

LETTERS = 110
"""Most characters in a line of a subtitle."""

_ALONE = threading.Lock()
"""Held for each call of vl-convert. It has one converter behind a lock of its own, and waits for that with Python's
global lock in its hands: two threads that call it at once may wait for each other forever."""

_BUNDLE = "window.vegaEmbed=vegaEmbed;window.vega=vega;"


def pictures(spec: Spec, rows: Data, title: str, subtitles: Sequence[str]) -> tuple[str, bytes]:
    """Draws a chart as SVG and PNG.

    Args:
        spec: a Vega-Lite specification that names its data.
        rows: the data by name.
        title: the chart's heading.
        subtitles: texts on the source of the data, and on what the chart leaves out.
    """
    heading: Spec = {
        "text": title,
        "subtitle": [line for text in subtitles for line in textwrap.wrap(text, LETTERS)],
        "anchor": "start",
        "fontSize": 14,
        "fontWeight": 600,
        "subtitleFontSize": 12,
        "subtitleColor": "#444444",
        "offset": 14,
    }
    drawn: Spec = _still(spec)
    named = _names_of_data(drawn)
    data = {name: rows[name] for name in rows if name in named}
    config = {**spec["config"], "aria": False}  # a label for each mark is half of the file
    drawn |= {"title": heading, "datasets": data, "config": config, "padding": 12}
    svg: str
    with _ALONE:
        if "labels" in spec.get("usermeta", {}):
            vega: Spec = vl_convert.vegalite_to_vega(drawn, vl_version=VEGA_LITE)
            label(vega, spec["usermeta"]["labels"])
            svg = vl_convert.vega_to_svg(vega)
        else:
            svg = vl_convert.vegalite_to_svg(drawn, vl_version=VEGA_LITE)
        png: bytes = vl_convert.svg_to_png(svg, scale=SCALE)
    return svg, png


def _still(node: Any) -> Any:
    """Gives a part of a specification without tooltips, which a picture cannot show."""
    if isinstance(node, dict):
        return {name: _still(part) for name, part in node.items() if name != "tooltip"}
    return [_still(part) for part in node] if isinstance(node, list) else node


def _names_of_data(node: Any) -> set[str]:
    """Gives the names of the data that a specification draws."""
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = {str(node["name"])} if isinstance(node, dict) and node.keys() == {"name"} else set()
    return own.union(*map(_names_of_data, parts))


def label(vega: Spec, labels: Spec) -> None:
    """Adds the names of marks to a Vega specification, beside the marks that they name."""
    sized = {**labels["transform"][0], "size": [WIDTH, HEIGHT]}
    for marks in _lists_of_marks(vega):
        if any(mark.get("name") == labels["from"]["data"] for mark in marks):
            marks.append({**labels, "transform": [sized]})


def _lists_of_marks(node: Spec) -> Iterator[list[Spec]]:
    marks: list[Spec] = node.get("marks", [])
    yield marks
    for mark in marks:
        yield from _lists_of_marks(mark)


def warm_up() -> None:
    """Makes vl-convert load Vega, so that the first chart does not wait for that."""
    spec = {"data": {"values": [{"a": 1}]}, "mark": "point", "encoding": {"x": {"field": "a"}}}
    with _ALONE:
        vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)


def libraries() -> str:
    """Gives JavaScript that defines ``vegaEmbed`` and ``vega``, from the cache if it has been made before."""
    path = _cache() / f"vega-lite-{VEGA_LITE}-vl-convert-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8")
        if text.startswith("/*whole*/") and text.endswith("/*whole*/"):
            return text
    with _ALONE:
        bundle = vl_convert.javascript_bundle(_BUNDLE, vl_version=VEGA_LITE)
    bundle = bundle.replace("</script", "<\\/script")
    text = f"/*whole*/{bundle}/*whole*/"
    with contextlib.suppress(OSError):  # a cache that cannot be written to costs time, not the report
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    return text


def _cache() -> Path:
    folder = os.environ.get("BENCH_DATA_DIR") or "~/.cache/embedding-bench"
    return Path(folder).expanduser() / "report"
