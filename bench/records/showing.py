"""The print of a result for people: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import csv
import io
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.measure.units import count, digits, duration, short_size, size
from bench.records import popularity
from bench.records.result import Result, Status, Tree, metrics_of


def embedding(used: Tree) -> str:
    """Gives one line with a field's method and settings: ``qr: num_buckets=120, quotient_rows=recipe``."""
    hidden = ("method", "tables", "fields")
    settings = [f"{key}={_shown(value)}" for key, value in used.items() if key not in hidden]
    return ": ".join(filter(None, [str(used.get("method")), ", ".join(settings)]))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def lines(result: Result, folder: Path | None = None) -> Iterator[tuple[str, str]]:
    """Gives a result as pairs of a name and the text beside it. Numbers that were not measured are left out."""
    remark = (
        "an equal run had finished; these are its numbers"
        if result.status == Status.SKIPPED
        else result.error
    )
    yield "status", f"{result.status}: {remark}" if remark else str(result.status)
    yield "data set", str(result.dataset)
    yield "strategy", str(result.strategy)
    for field, used in (result.embeddings or {}).items():
        yield f"embedding of {field}", embedding(used)
    yield from _sizes(result)
    yield from _accuracy(result)
    yield from _times(result)
    if result.peak_rss_bytes is not None:
        yield "peak memory", f"{short_size(result.peak_rss_bytes)} (the whole process)"
    if folder is not None:
        yield "result and log", str(folder)
    yield (
        "all runs",
        f"python -m bench.results list; in MLflow: {_pages(str(result.setting('tracking.uri') or ''))}",
    )


def _pages(uri: str) -> str:
    """The command that shows MLflow's pages of an address, from any folder; for a server its own address."""
    if uri.startswith(("http://", "https://")):
        return uri
    store = f" --backend-store-uri {shlex.quote(uri)}" if uri else ""
    return f"python -m mlflow ui{store}, then http://127.0.0.1:5000"


def _sizes(result: Result) -> Iterator[tuple[str, str]]:
    if result.params_total is not None:
        yield (
            "parameters",
            f"{count(result.params_total)}, of these in embeddings {count(result.params_embedding or 0)}",
        )
    if result.embedding_bytes is not None:
        yield "embedding memory", size(result.embedding_bytes)
        if result.full_embedding_bytes is not None:
            yield "if uncompressed", size(result.full_embedding_bytes)
    if result.model_bytes is not None and result.model_bytes != result.embedding_bytes:
        yield "whole model", size(result.model_bytes)
    if result.compression_ratio is not None:
        yield "compression", f"{result.compression_ratio:.{1 if result.compression_ratio >= 2 else 2}f}x"


def _accuracy(result: Result) -> Iterator[tuple[str, str]]:
    for name, one in metrics_of(result.task).items():
        value = result.metric(name)
        if value is not None and one.title and not one.timed:
            yield one.title, f"{value:.4f}, {one.meaning}"
    yield from popularity.lines(result)


def _times(result: Result) -> Iterator[tuple[str, str]]:
    if result.step_time_ms is not None:
        text = f"{digits(result.step_time_ms)} ms"
        if result.examples_per_second is not None:
            text += f", {count(round(result.examples_per_second))} examples a second"
        yield "step time", text
    if result.lookup_us is not None:
        yield "lookup of a batch", f"{digits(result.lookup_us)} microseconds"
    if result.total_s is not None:
        phases = {
            "data": result.data_s,
            "compile": result.compile_s,
            "train": result.train_s,
            "eval": result.eval_s,
        }
        parts = [f"{name} {duration(seconds)}" for name, seconds in phases.items() if seconds is not None]
        yield "time", f"{duration(result.total_s)}" + (f" ({', '.join(parts)})" if parts else "")


def history_csv(history: Mapping[str, Sequence[Any]]) -> str:
    """Gives ``history`` as CSV with one line for each epoch.

    The column ``epoch`` counts from 1. A missing number is an empty cell. A metric that has several numbers for each
    epoch has several columns: ``NAME.01``, ``NAME.02``, ...
    """
    columns: dict[str, Sequence[Any]] = {}
    for name, values in history.items():
        if values and isinstance(values[0], list):
            columns |= {f"{name}.{i:02d}": column for i, column in enumerate(zip(*values, strict=True), 1)}
        else:
            columns[name] = values
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *columns])
    writer.writerows([epoch, *row] for epoch, row in enumerate(zip(*columns.values(), strict=True), 1))
    return text.getvalue()


def show(result: Result, folder: Path | None = None, file: IO[str] | None = None) -> None:
    """Prints a result: on a terminal a table that fits its width, elsewhere one plain line for each name.

    Args:
        result: the result to print.
        folder: the run's output folder.
        file: the stream to print to. None for standard output.
    """
    console = Console(file=file or sys.stdout, highlight=False)
    rows = list(lines(result, folder))
    if not console.is_terminal:
        width = max(len(name) for name, _ in rows)
        for name, text in rows:
            print(f"{name:<{width}}  {text}", file=console.file)
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    # The names' column breaks no words. On a narrow terminal only the texts are folded, into the width that is left.
    table.add_column(style="bold", max_width=max(12, console.width // 3))
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(Text(name), Text(text))  # an id may look like markup
    console.print()
    console.print(table)
