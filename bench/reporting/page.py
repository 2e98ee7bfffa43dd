"""The page: one HTML file with its data, styles and libraries inside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.measure.popularity import LEAST_ROWS
from bench.measure.units import plural
from bench.records.result import METRICS
from bench.reporting import plots, tables, worst
from bench.reporting.across import Across
from bench.reporting.contents import Report, Section
from bench.reporting.entries import BYTES, Entry
from bench.reporting.looks import Look
from bench.reporting.narrowed import HEADING
from bench.reporting.plots.style import Spec
from bench.reporting.rows import CURVES, ROWS, Row, rows
from bench.reporting.series import Place
from bench.reporting.words import number
from bench.tradeoff.popularity import FIELDS, nouns
from bench.tradeoff.showing import CONSTANT

TEMPLATES = Path(__file__).parent / "templates"

SHARES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Shares of the full tables' memory to filter by."""

Curve = list[tuple[float, float | None, float | None, float | None]]
"""The places of a curve, each with its mean and both ends of the interval."""


class Set(TypedDict):
    """The data of a section for the page's script: its charts, and the rows that they draw."""

    key: str
    dataset: str
    title: str
    higher: bool
    specs: Mapping[str, Spec]
    rows: Sequence[Row]
    curves: dict[str, Curve]
    tenths: Mapping[str, dict[str, Curve]]


class PageData(TypedDict):
    """All data for the page's script."""

    curves: int
    rows: int
    parts: Sequence[str]
    sets: dict[str, Set]


@dataclass(frozen=True)
class Drawn:
    """The parts that draw the page's charts.

    Attributes:
        specs: the charts of each section, by the section's key and the chart's name.
        libraries: JavaScript that draws the charts.
        pictures: names of the PNG and SVG files that lie beside the page.
    """

    specs: Mapping[str, Mapping[str, Spec]]
    libraries: str
    pictures: frozenset[str] = frozenset()


def page(report: Report, origin: str, drawn: Drawn) -> str:
    """Gives the HTML.

    Args:
        report: the contents of the page.
        origin: the source of the runs, in words.
        drawn: the parts that draw its charts.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip

    def figure(section: Section, name: str) -> Markup:
        return _figure(report, section, name, drawn.pictures)

    return environment.get_template("page.html").render(
        report=report,
        origin=origin,
        about=_about(report, origin),
        plots=drawn.specs,
        pictures=drawn.pictures,
        datasets=sorted({section.dataset for section in report.sections}),
        budgets=list(_budgets(report)),
        families=families,
        figure=figure,
        worst_of=worst_of,
        symbol=symbol,
        number=number,
        pareto=tables.pareto,
        heading_within=HEADING,
        constant=CONSTANT,
        least_rows=LEAST_ROWS,
        constant_apart=tables.constant_apart,
        titles={name: one.title or name for name, one in METRICS.items()},
        data=Markup(_script_json(_page_data(report, drawn.specs))),
        css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
        libraries=Markup(drawn.libraries),
    )


def _figure(report: Report, section: Section, name: str, pictures: frozenset[str]) -> Markup:
    stem = file_stem(report, section, name)
    links = [
        Markup('<a href="{0}">{1}</a>').format(f"{stem}.{kind}", kind.upper())
        for kind in ("png", "svg") if f"{stem}.{kind}" in pictures
    ]  # fmt: skip
    return Markup(
        '<figure data-plot="{0}"{1}><h3>{6}</h3><figcaption>{3} <span>{4}</span></figcaption>{5}'
        '<div class="chart" role="img" aria-label="{2}"></div></figure>'
    ).format(
        name,
        Markup(' class="broad"') if name in plots.BROAD else "",
        plots.title(section, name),
        plots.note(section, name),
        Markup(", ").join(links),
        _beyond(section) if name == "memory-error" else "",
        _choice(section) if name == "popularity" and len(section.tenths) > 1 else plots.title(section, name),
    )


def _choice(section: Section) -> Markup:
    """Gives the heading of the chart by popularity, in which its field can be chosen."""
    first = nouns(next(iter(section.tenths)))
    options = [
        Markup('<option value="{0}">{1}</option>').format(name, nouns(name)) for name in section.tenths
    ]
    return Markup('{0}<select class="field" aria-label="field">{1}</select>').format(
        plots.title(section, "popularity").removesuffix(first), Markup("").join(options)
    )


class Listed(NamedTuple):
    """The worst-served ids of a group, as the page shows them.

    Attributes:
        entry: the group.
        texts: a text for each field.
    """

    entry: Entry
    texts: list[str]


def worst_of(section: Section) -> tuple[list[str], list[Listed]]:
    """Gives fields, and the worst-served ids of the groups that charts of curves show; of many fields the first."""
    known = [entry for entry in section.entries if any(section.worst[entry.key].values())]
    kept = sorted(known, key=lambda entry: entry.rank)[:CURVES]
    fields = [*dict.fromkeys(name for entry in kept for name in section.worst[entry.key])][:FIELDS]
    return fields, [
        Listed(
            entry,
            [worst.text(section.worst[entry.key].get(name, ()), entry.is_baseline) or "-" for name in fields],
        )
        for entry in kept
    ]


def _beyond(section: Section) -> Markup:
    """Gives the line at the chart's upper edge: name and value of each group that is not drawn."""
    if not section.beyond or section.constant is None:
        return Markup()
    methods = [
        Markup('<span class="method">{0}{1} {2}</span>').format(
            symbol(section.looks[method]), method,
            Markup(" ").join(
                Markup('<button type="button" class="run" data-id="{0}" title="{1}">{2}</button>').format(
                    entry.key, entry.name, number(entry.value or 0.0)
                )
                for entry in entries
            ),
        )
        for method, entries in section.beyond.items()
    ]  # fmt: skip
    return Markup('<p class="beyond">Worse than the best constant, so not drawn: {0}</p>').format(
        Markup(" ").join(methods)
    )


def beyond(section: Section) -> str:
    """Gives the line of ``_beyond`` as plain text, for pictures; empty if every group is drawn."""
    if not section.beyond:
        return ""
    named = [
        f"{method} {', '.join(number(entry.value or 0.0) for entry in entries)}"
        for method, entries in section.beyond.items()
    ]
    return f"Worse than the best constant, so not drawn: {'; '.join(named)}."


def symbol(look: Look) -> Markup:
    """Gives a method's mark, for legends and lists."""
    return Markup(
        '<svg class="mark" viewBox="-1.2 -1.2 2.4 2.4" aria-hidden="true"><path d="{0}" fill="{1}"/></svg>'
    ).format(look.shape, look.colour)


def families(section: Section) -> dict[str, list[Look]]:
    """Gives the looks of a section's methods by family, in the order of legends."""
    found: dict[str, list[Look]] = {}
    for look in section.looks.values():
        found.setdefault(look.family, []).append(look)
    return found


def _budgets(report: Report) -> Iterator[tuple[float, str]]:
    """Gives the shares of memory to filter by, each with its name."""
    asked = {entry.group.budget for entry in report.entries}
    shares = {*SHARES, *(budget for budget in asked if isinstance(budget, float) and budget < 1)}
    yield from ((share, f"{share:.4g} of full tables") for share in sorted(shares, reverse=True))


def file_stem(report: Report, section: Section, name: str) -> str:
    """Gives the name of a chart's files. With more than one section, it contains the section's key."""
    return name if len(report.sections) == 1 else f"{section.key}-{name}"


def _about(report: Report, origin: str) -> str:
    datasets = ", ".join(sorted({section.dataset for section in report.sections})) or "no data set"
    text = f"{origin}: {plural(report.runs, 'finished run')} in {plural(len(report.entries), 'group')}, on {datasets}."
    if report.unfinished:
        text += f" {plural(len(report.unfinished), 'run')} without numbers."
    return text


def _page_data(report: Report, specs: Mapping[str, Mapping[str, Spec]]) -> PageData:
    sets: dict[str, Set] = {
        section.key: {
            "key": section.key,
            "dataset": section.dataset,
            "title": section.headline.title,
            "higher": section.headline.higher,
            "specs": specs[section.key],
            "rows": rows(section),
            "curves": _by_group(section.curves),
            "tenths": {field: _by_group(places) for field, places in section.tenths.items()},
        }
        for section in report.sections
    }
    beside = {one.key: _beside(one) for one in report.across}
    return {"curves": CURVES, "rows": ROWS, "parts": BYTES, "sets": {**sets, **beside}}


def _beside(one: Across) -> Set:
    """Gives the data of sections side by side. The chart holds its rows itself."""
    return {
        "key": one.key, "dataset": one.parts[0].section.dataset, "title": one.headline.title,
        "higher": one.headline.higher, "specs": {"across": plots.side_by_side(one)}, "rows": (), "curves": {},
        "tenths": {},
    }  # fmt: skip


def _by_group(places: Sequence[Place]) -> dict[str, Curve]:
    out: dict[str, Curve] = {}
    for place in places:
        mean, low, high = (
            None if value is None else round(value, 6) for value in (place["mean"], place["lo"], place["hi"])
        )
        out.setdefault(place["id"], []).append((place["at"], mean, low, high))
    return out


def _script_json(value: PageData) -> str:
    # without "<", nothing in the text can end the script element too early
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")
