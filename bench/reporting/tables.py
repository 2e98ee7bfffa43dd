"""The report as text: Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from bench.reporting.contents import BYTES, Report
from bench.tradeoff.grouping import METRICS

HEADING = ("", "run", "memory", "smaller", "val MAE", "to full", "p", "step ms", "seeds")


def markdown(report: Report) -> str:
    """A heading, what to choose, a table and its notes for each section, then what was left out."""
    return "\n".join(_markdown(report)).rstrip() + "\n"


def _markdown(report: Report) -> Iterator[str]:
    if not report.sections:
        yield "No run has finished, so there is nothing to compare.\n"
    for section in report.sections:
        yield f"## {section.title}\n"
        yield " ".join(section.sentences) + "\n"
        yield f"| {' | '.join(HEADING)} |"
        yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        for group in section.groups:
            shown, p_value = group["shown"], group["p_value"]
            cells = [
                "★" if group["pareto"] else "", f"`{group['name']}`", shown["memory"], shown["ratio"], shown["mae"],
                shown["delta"], "" if p_value is None else f"{p_value:.2g}", shown["step"], shown["seeds"],
            ]  # fmt: skip
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
        yield "\n★: Pareto front; nothing else here needs less memory without more error.\n"
        yield from (f"{note}\n" for note in section.notes)
    if report.left_out or report.missing:
        yield "## Left out\n"
        yield from (f"- {text}" for text in [*report.left_out, *report.missing])


def table(report: Report) -> str:
    """CSV: a line a group, numbers whole; empty where there is none."""
    statistics = [f"{name}_{kind}" for name in METRICS for kind in ("mean", "sd", "low", "high")]
    columns = [
        "set", "dataset", "model", "name", "strategy", "method", "budget", "seeds",
        "embedding_bytes", "compression_ratio", "params_embedding",
        "optimizer_bytes", *(f"bytes_{part}" for part in BYTES), *statistics,
        "pareto", "knee", "baseline", "delta_mae", "delta_mae_low", "delta_mae_high", "p_value", "command",
    ]  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for section in report.sections:
        for group in section.groups:
            row: dict[str, Any] = {**group, "model": section.settings.get("model.name")}
            row["seeds"] = " ".join(map(str, group["seeds"]))
            row |= {f"bytes_{part}": value for part, value in (group["bytes"] or {}).items()}
            for name in METRICS:
                row[f"{name}_low"], row[f"{name}_high"] = group[f"{name}_ci95"] or (None, None)
            row["delta_mae_low"], row["delta_mae_high"] = group["delta_mae_ci95"] or (None, None)
            writer.writerow({name: int(v) if isinstance(v, bool) else v for name, v in row.items()})
    return text.getvalue()


def as_json(report: Report) -> str:
    """``{"groups": [...], "sets": [...], "unfinished": [...], "left_out": [...]}``."""
    return json.dumps(report.values(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
