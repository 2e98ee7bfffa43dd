"""The charts of a section: one Vega-Lite specification each, for the page and for files.

A specification names its data (``groups``, ``front``, ``curves``, ...), which ``rows.data`` gives. So the page can
show part of the data. https://vega.github.io/vega-lite/docs describes the parts of a specification.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from bench.records.popularity import ITEM
from bench.reporting import rows
from bench.reporting.across import Across
from bench.reporting.contents import Section
from bench.reporting.plots import bars, beside, panels, scatter
from bench.reporting.plots.style import CONFIG, Spec
from bench.tradeoff.popularity import nouns

CHARTS: Mapping[str, Callable[[Section], Spec | None]] = {
    "memory-error": scatter.memory,
    "time-error": scatter.time,
    "parameters-memory": scatter.parameters,
    "learning-curves": panels.curves,
    "popularity": panels.popularity,
    "bytes": bars.parts,
}
"""The functions that make the charts, by the names of the charts' files."""

BROAD = ("learning-curves", "popularity", "bytes")
"""Charts that take the page's whole width."""

MARKED = ("memory-error", "time-error", "parameters-memory")
"""Charts whose marks show their method by colour and shape."""


@functools.lru_cache(maxsize=8)
def specifications(section: Section) -> Mapping[str, Spec]:
    """Gives the charts of a section by name, without their data. Those that would be empty are left out."""
    made = {name: make(section) for name, make in CHARTS.items()}
    return {name: {**spec, "config": CONFIG} for name, spec in made.items() if spec is not None}


def side_by_side(found: Across) -> Spec:
    """Gives the chart of sections side by side, with its data."""
    return beside.chart(found)


def title(section: Section, name: str) -> str:
    """Gives the heading of a chart."""
    word = section.headline.word
    return {
        "memory-error": f"Memory against {word}",
        "time-error": f"Step time against {word}",
        "parameters-memory": "Parameters against memory",
        "learning-curves": "Learning curves",
        "popularity": f"{word.capitalize()} by popularity of {nouns(next(iter(section.tenths), ITEM))}",
        "bytes": "Where the bytes are",
    }[name]


def note(section: Section, name: str) -> str:
    """Gives the line below a chart's heading."""
    return {
        "memory-error": (
            f"{'Upper' if section.headline.higher else 'Lower'} left is better. Ringed and named: Pareto front. "
            "Dashed: full tables. Bars: 95 % intervals. Hollow: one seed. Marks that would hide others are moved aside."
        ),
        "time-error": (
            "Training steps of one machine, thread count and load: median of a run, mean over seeds. Ringed: the front "
            f"of memory and {section.headline.word}."
        ),
        "parameters-memory": (
            "On the line, every byte is a trained float32; above it, id maps cost memory; below it, codes save some."
        ),
        "learning-curves": (
            "Mean and 95 % band; dashed: full tables. The baseline, the front and each method's best, "
            f"{rows.CURVES} at most."
        ),
        "popularity": (
            "Ids by popularity in training rows, 1 the most popular tenth. Mean and 95 % band; dashed: full tables."
        ),
        "bytes": (
            "Left: shares of the memory to serve. Right: that memory, and optimizer state while training. "
            f"{rows.ROWS} at most."
        ),
    }[name] + (_of_levels(section) if name in ("learning-curves", "popularity") else "")  # fmt: skip


def _of_levels(section: Section) -> str:
    constant = "" if section.constant is None else " Dotted: the best constant."
    return constant + (" Dashed and dotted: biases alone." if section.biases else "")
