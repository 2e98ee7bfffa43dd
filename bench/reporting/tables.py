"""The report as text: Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from bench.records.cells import cell
from bench.records.result import METRICS
from bench.reporting import by_popularity, words
from bench.reporting.contents import Report, Section
from bench.reporting.entries import BYTES, Entry
from bench.reporting.narrowed import HEADING, Narrowed
from bench.tradeoff.groups import RATING
from bench.tradeoff.headline import averaged
from bench.tradeoff.showing import CONSTANT

Cell = str | float | None
"""A cell of a CSV file."""


def markdown(report: Report) -> str:
    """Gives Markdown: heading, advice, table and notes of each section, then the runs that were left out."""
    return "\n".join(_markdown(report)).rstrip() + "\n"


def _markdown(report: Report) -> Iterator[str]:
    if not report.sections:
        yield "No run has finished, so there is nothing to compare.\n"
    for one in report.across:
        yield f"## {one.title}\n"
        yield from _table(one.heading(), one.rows())
        yield f"\n{one.note}\n"
    for section in report.sections:
        yield f"## {section.title}\n"
        if section.within:
            yield from _within(section.within)
        yield " ".join(section.sentences) + "\n"
        heading, *lines = _lines(section)
        yield from _table(heading, lines)
        yield f"\n★: Pareto front; {pareto(section)}\n"
        yield from (f"{note}\n" for note in section.notes)
        if section.pays:
            yield f"{section.pays[0]}\n"
            yield from (f"- {sentence}" for sentence in section.pays[1:])
            yield ""
    if report.left_out or report.missing:
        yield "## Left out\n"
        yield from (f"- {text}" for text in [*report.left_out, *report.missing])


def _table(heading: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heading)} |"
    yield f"| --- | --- |{' ---: |' * (len(heading) - 2)}"
    yield from (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _within(asked: Narrowed) -> Iterator[str]:
    """Gives the answer to a margin: sentence, table of methods, basis, and the commands that narrow it down."""
    yield f"**{asked.sentence}**\n"
    if asked.lines:
        yield from _table(HEADING, (line.cells for line in asked.lines))
        yield ""
    if asked.basis:
        yield f"{asked.basis}\n"
    yield from (f"- to narrow {method}: `{command}`" for method, command in asked.commands)
    if asked.commands:
        yield ""


def pareto(section: Section) -> str:
    """Gives the meaning of a star in a section's table."""
    better = "with as high a score" if section.headline.higher else "without more error"
    return f"nothing else here needs less memory {better}."


def _lines(section: Section) -> Iterator[list[str]]:
    """Gives the heading of a section's table, a line a group, and one each of biases alone and the best constant."""
    titles = [METRICS[name].title or name for name in section.columns]
    yield ["", "run", "memory", "smaller", section.headline.title, "to full", "p", *titles, "seeds"]
    for entry in [*section.entries, *([section.biases] if section.biases else [])]:
        name = entry.name if entry is section.biases else f"`{entry.name}`"
        yield [
            "★" if entry.group.pareto else "", name, entry.memory, entry.ratio,
            entry.text(section.headline.name), entry.delta, entry.p_value,
            *map(entry.text, section.columns), str(len(entry.group.runs)),
        ]  # fmt: skip
    if section.constant is not None:
        blank = ["" for _ in section.columns]
        apart = constant_apart(section)
        yield ["", CONSTANT, "-", "-", words.number(section.constant), apart, "", *blank, ""]


def constant_apart(section: Section) -> str:
    """Gives the best constant's difference to full tables; a dash if one of them is not known."""
    base = next((entry.value for entry in section.entries if entry.is_baseline), None)
    return "-" if base is None or section.constant is None else f"{section.constant - base:+.4f}"


def table(report: Report) -> str:
    """Gives CSV: a line a group, numbers with all digits, an empty cell for an unknown value."""
    tasks = dict.fromkeys([*(section.common.task for section in report.sections), RATING])
    names = dict.fromkeys(name for task in tasks for name in averaged(task))
    statistics = [f"{name}_{kind}" for name in names for kind in ("mean", "sd", "low", "high")]
    deltas = [f"{name}{end}" for name in ("delta", "delta_mae") for end in ("", "_low", "_high")]
    columns = [
        "set", "dataset", "data_digest", "task", "model", "name", "strategy", "method", "budget", "seeds",
        "embedding_bytes", "compression_ratio", "params_embedding", "optimizer_bytes",
        *(f"bytes_{part}" for part in BYTES), "val_constant", "val_biases", *statistics, "pareto", "knee", "baseline",
        *deltas, "p_value", "p_value_uncorrected", "p_comparisons", *by_popularity.columns(report.entries), "command",
    ]  # fmt: skip
    asked = {section.key: section.within for section in report.sections if section.within}
    labels = {part.section.key: part.label for one in report.across for part in one.parts}
    columns += ["across"] if labels else []
    columns += ["within", "within_chosen", "within_upper"] if asked else []
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    biases = {section.key: section.biases.value for section in report.sections if section.biases}
    for entry in report.entries:
        own = asked[entry.section].of_group(entry) if entry.section in asked else {}
        cells = {
            **dict(_cells(entry)),
            **by_popularity.cells(entry),
            **own,
            "val_biases": biases.get(entry.section),
            "across": labels.get(entry.section),
        }
        writer.writerow({name: cell(value) for name, value in cells.items()})
    return text.getvalue()


def _cells(entry: Entry) -> Iterator[tuple[str, Cell]]:
    """Gives the cells of a group's line by the column's name: intervals as two cells, true and false as 1 and 0."""
    for name, value in entry.values().items():
        if name.endswith("_ci95"):
            low, high = value or (None, None)
            yield f"{name.removesuffix('_ci95')}_low", low
            yield f"{name.removesuffix('_ci95')}_high", high
        elif name == "bytes":
            yield from ((f"bytes_{part}", number) for part, number in (value or {}).items())
        elif name == "seeds":
            yield name, " ".join(map(str, value))
        elif name != "embeddings":
            yield name, int(value) if isinstance(value, bool) else value


def as_json(report: Report) -> str:
    """Gives the report as JSON, see ``contents.Report.values``."""
    return json.dumps(report.values(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
