"""The page: one HTML file with its data, styles and libraries inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.reporting import plots
from bench.reporting.contents import BYTES, CURVES, Report, Section
from bench.reporting.rows import ROWS, data

TEMPLATES = Path(__file__).parent / "templates"

BROAD = ("learning-curves", "popularity", "bytes")
"""Plots that take the page's whole width."""

SHARES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Of the full tables' memory, to filter by."""


def page(
    report: Report,
    specs: Mapping[str, Mapping[str, Any]],
    libraries: str,
    experiment: str,
    pictures: set[str],
) -> str:
    """The HTML.

    Args:
        report: what it says.
        specs: the plots of each section, by its key and their name.
        libraries: JavaScript that draws them.
        experiment: where the runs are from.
        pictures: names of the PNG and SVG files that lie beside it, to link to.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip

    def figure(section: Section, name: str) -> Markup:
        links = [
            Markup('<a href="{0}">{1}</a>').format(f"{stem}.{kind}", kind.upper())
            for stem in [file_stem(report, section, name)] for kind in ("png", "svg") if f"{stem}.{kind}" in pictures
        ]  # fmt: skip
        return Markup(
            '<figure data-plot="{0}"{1}><h3>{2}</h3><figcaption>{3} <span>{4}</span></figcaption>'
            '<div class="chart" role="img" aria-label="{2}"></div></figure>'
        ).format(
            name, Markup(' class="broad"') if name in BROAD else "", plots.PLOTS[name], plots.NOTES[name],
            Markup(", ").join(links),
        )  # fmt: skip

    groups = [group for section in report.sections for group in section.groups]
    budgets = {group["budget"] for group in groups if group["budget"] is not None} | set(SHARES)
    return environment.get_template("page.html").render(
        report=report,
        experiment=experiment,
        about=_about(report, experiment),
        plots=specs,
        methods=sorted({group["method"] for group in groups}),
        datasets=sorted({section.dataset for section in report.sections}),
        budgets=[
            (value, f"{value:.4g} of full tables") for value in sorted(budgets, reverse=True) if value < 1
        ],
        figure=figure,
        data=Markup(_script_json(_page_data(report, specs))),
        css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
        libraries=Markup(libraries),
    )


def file_stem(report: Report, section: Section, name: str) -> str:
    """The name of a plot's files: with more than one section, the section's key is in it."""
    return name if len(report.sections) == 1 else f"{section.key}-{name}"


def _about(report: Report, experiment: str) -> str:
    groups = sum(len(section.groups) for section in report.sections)
    datasets = ", ".join(sorted({section.dataset for section in report.sections})) or "no data set"
    plural = "" if report.runs == 1 else "s"
    of = f"{groups} group{'' if groups == 1 else 's'}"
    text = f"{experiment}: {report.runs} finished run{plural} in {of}, on {datasets}."
    if report.unfinished:
        count = len(report.unfinished)
        text += f" {count} run{'' if count == 1 else 's'} without numbers."
    return text


def _page_data(report: Report, specs: Mapping[str, Any]) -> dict[str, Any]:
    def lists(rows: list[dict[str, Any]], axis: str) -> dict[str, list[list[float | None]]]:
        out: dict[str, list[list[float | None]]] = {}
        for row in rows:
            values = [None if row[key] is None else round(row[key], 6) for key in ("mean", "lo", "hi")]
            out.setdefault(row["id"], []).append([row[axis], *values])
        return out

    return {
        "curves": CURVES,
        "rows": ROWS,
        "parts": BYTES,
        "sets": {
            section.key: {
                "key": section.key,
                "dataset": section.dataset,
                "specs": specs[section.key],
                "rows": data(section)["groups"],
                "curves": lists(section.curves, "epoch"),
                "deciles": lists(section.deciles, "decile"),
            }
            for section in report.sections
        },
    }


def _script_json(value: Any) -> str:
    # inside a script element nothing but its end may end it
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")
