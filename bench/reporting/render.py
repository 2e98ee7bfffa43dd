"""Pictures of the plots, and the libraries that draw them in the page: Vega, Vega-Lite and its embedding.

vl-convert brings both, so that neither a browser nor a network is needed. Bundling the libraries takes seconds and
always gives the same text: it is kept in the user's cache.
"""

from __future__ import annotations

import contextlib
import copy
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vl_convert

from bench.measure.environment import version

VEGA_LITE = "6.4"
"""The version that Altair's specifications are of."""

SCALE = 2
"""Pixels of a picture a point."""

_BUNDLE = "window.vegaEmbed=vegaEmbed;window.vega=vega;"


def pictures(
    spec: Mapping[str, Any], rows: Mapping[str, Any], title: str, subtitle: str
) -> tuple[str, bytes]:
    """SVG and PNG of a plot.

    Args:
        spec: a Vega-Lite specification that names its data.
        rows: the data by name.
        title: the plot's heading.
        subtitle: what the data is of.
    """
    drawn = copy.deepcopy(dict(spec))
    heading = {
        "fontSize": 14,
        "fontWeight": 600,
        "subtitleFontSize": 12,
        "subtitleColor": "#444444",
        "offset": 14,
    }
    drawn["title"] = {"text": title, "subtitle": subtitle, "anchor": "start", **heading}
    drawn["datasets"] = {**drawn.get("datasets", {}), **rows}
    drawn["padding"] = 12
    svg: str = vl_convert.vegalite_to_svg(drawn, vl_version=VEGA_LITE)
    png: bytes = vl_convert.svg_to_png(svg, scale=SCALE)
    return svg, png


def warm_up() -> None:
    """Has vl-convert load Vega, which the first plot waits for."""
    spec = {"data": {"values": [{"a": 1}]}, "mark": "point", "encoding": {"x": {"field": "a"}}}
    vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)


def libraries() -> str:
    """JavaScript that defines ``vegaEmbed`` and ``vega``; from the cache where it has been made before."""
    path = _cache() / f"vega-lite-{VEGA_LITE}-vl-convert-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8")
        if text.startswith("/*whole*/") and text.endswith("/*whole*/"):
            return text
    bundle = vl_convert.javascript_bundle(_BUNDLE, vl_version=VEGA_LITE).replace("</script", "<\\/script")
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
