"""A trade-off as people read it: a table a set, and below it what its numbers mean."""

from __future__ import annotations

import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from bench import results
from bench.tradeoff import naming
from bench.tradeoff.grouping import TIMES, Comparable, Group, Tradeoff, Unfinished
from bench.tradeoff.statistics import Statistic, finite

NAME_WIDTH = 30
"""Longer names keep only the settings that differ within their strategy."""

SIGNIFICANT = 0.05
"""P values below it, corrected, tell a group from the baseline."""

KINDS = {"t": "Student's t", "bootstrap": "bootstrap percentiles"}
"""What the kinds of intervals are called."""

_WIDEST = 110  # characters of a note's line
_WIDE = 96  # a narrower terminal has no room for the time of a lookup
_TIMES = {"step_time_ms": "step ms", "lookup_us": "lookup us"}


def show(tradeoff: Tradeoff, file: IO[str] | None = None) -> None:
    """Prints a trade-off: tables on a terminal, of whatever width; aligned plain lines elsewhere.

    Args:
        tradeoff: what ``bench.tradeoff.tradeoff`` returned.
        file: where to print; None for standard output.
    """
    console = Console(file=file or sys.stdout, highlight=False, markup=False)
    headings = titles(tradeoff.sets)
    for one, title in zip(tradeoff.sets, headings, strict=True):
        times = TIMES[:1] if console.is_terminal and console.width < _WIDE else TIMES
        _print(console, [title])
        _table(console, one, times)
        _print(console, notes(one, times))
    _print(console, missing(tradeoff.unfinished))


def _print(console: Console, texts: Iterable[str]) -> None:
    """An empty line, then the texts, folded between words; nothing where there is none."""
    width = min(console.width, _WIDEST)
    for number, text in enumerate(texts):
        folded = textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)
        print(f"{'' if number else chr(10)}{folded}", file=console.file)


def titles(sets: Sequence[Comparable]) -> list[str]:
    """Data set and model of each set, and what else tells it from the others."""
    named = ("dataset.name", "model.name")
    absent = object()
    every = dict.fromkeys(name for one in sets for name in one.settings)
    varying = [
        name
        for name in every
        if name not in named
        and any(s.settings.get(name, absent) != sets[0].settings.get(name, absent) for s in sets)
    ]
    found = []
    for one in sets:
        own = one.settings
        # two data sets have settings of their own, which say no more than their names
        peers = [s for s in sets if all(s.settings.get(n) == own.get(n) for n in named)]
        telling = [n for n in varying if any(peer.settings.get(n) != own.get(n) for peer in peers)]
        words = [f"{name}={naming.text(own[name])}" for name in telling if name in own]
        found.append(", ".join([f"{own.get('dataset.name')}", f"model {own.get('model.name')}", *words]))
    return found


def names(one: Comparable) -> list[str]:
    """A short name for each group of a set, in their order, such as ``qr num_buckets=120``."""
    every = [dict(naming.words(group.runs[0])) for group in one.groups]
    widths = [group.runs[0]["settings"].get("embedding_dim") for group in one.groups]
    if len(set(widths)) > 1:
        for own, width in zip(every, widths, strict=True):
            own["embedding_dim"] = str(width)
    shown = []
    for group, own in zip(one.groups, every, strict=True):
        name = naming.joined(group.strategy, own)
        if len(name) > NAME_WIDTH:
            peers = [o for g, o in zip(one.groups, every, strict=True) if g.strategy == group.strategy]
            telling = {k: v for k, v in own.items() if any(peer.get(k) != v for peer in peers)}
            name = naming.joined(group.strategy, telling)
        shown.append(name)
    return shown


def rows(one: Comparable, times: Sequence[str] = TIMES) -> Iterator[tuple[str, ...]]:
    """The heading of a set's table, then a line a group; with columns for these times."""
    counts = {len(group.runs) for group in one.groups}
    # a single seed says so in its own cell
    several = len(counts - {1}) > 1
    yield (
        "",
        "run",
        "memory",
        "smaller",
        "val MAE",
        "to full",
        *(_TIMES[name] for name in times),
        *(["seeds"] if several else []),
    )
    for group, name in zip(one.groups, names(one), strict=True):
        ratio = group.compression_ratio
        yield (
            "*" if group.pareto else "",
            name,
            results.short_size(group.embedding_bytes),
            f"{ratio:.1f}x",
            _error(group.statistics["val_mae"]),
            _difference(group, one.baseline),
            *(_time(group.statistics[name].mean) for name in times),
            *([str(len(group.runs))] if several else []),
        )


def _error(found: Statistic) -> str:
    if found.mean is None:
        return "-"
    if found.ci95 is None:
        return f"{found.mean:.4f} 1 seed"
    return f"{found.mean:.4f} ± {(found.ci95[1] - found.ci95[0]) / 2:.4f}"


def _difference(group: Group, baseline: Group | None) -> str:
    if group is baseline:
        return "baseline"
    if group.delta.mean is not None:
        same = group.p_value is not None and group.p_value >= SIGNIFICANT
        return f"{group.delta.mean:+.4f}{' ~' if same else ''}"
    theirs = {run["seed"]: run.get("val_mae") for run in baseline.runs} if baseline else {}
    one: list[tuple[Any, Any]] = [
        (run.get("val_mae"), theirs[run["seed"]]) for run in group.runs if run["seed"] in theirs
    ]
    if len(one) == 1 and all(map(finite, one[0])):
        return f"{one[0][0] - one[0][1]:+.4f} ?"
    return "-"


def _time(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _table(console: Console, one: Comparable, times: Sequence[str]) -> None:
    heading, *lines = rows(one, times)
    if not console.is_terminal:
        for text in results.aligned([heading, *lines], left=2):
            print(text, file=console.file)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for i, title in enumerate(heading):
        # the names fold, the numbers stay whole
        table.add_column(title, justify="left" if i < 2 else "right", no_wrap=i != 1, overflow="fold")
    for row in lines:
        table.add_row(*row, style="bold" if row[0] else None)
    console.print(table)


def notes(one: Comparable, times: Sequence[str] = TIMES) -> Iterator[str]:
    """What the table of a set, with columns for these times, does not say of itself."""
    several = sorted({len(group.runs) for group in one.groups if len(group.runs) > 1})
    if any(group.pareto for group in one.groups):
        yield "*: Pareto front; no other run here needs less memory without more error."
    if several:
        seeds = f"{several[0]}" if len(several) == 1 else f"{several[0]} to {several[-1]}"
        yield f"val MAE: mean ± half the 95 % confidence interval over {seeds} seeds ({KINDS[one.groups[0].ci]})."
    else:
        yield "val MAE: one seed each, so without an interval; seed=0,1,2 gives one."
    if any(group.resplit for group in one.groups):
        yield "The rows held out follow the seed: ± covers the draw of the split too."
    yield from _of_differences(one)
    yield from _of_times(one, times)


def _of_differences(one: Comparable) -> Iterator[str]:
    if one.baseline is None:
        yield "to full: no run of full tables to compare with; strategy=full with equal settings is one."
        return
    if any(group.p_value is not None for group in one.groups):
        yield (
            "to full: mean difference, paired by seed; ~: not told apart from 0 "
            f"(p >= {SIGNIFICANT}, t test, Holm's correction)."
        )
    if any(_difference(group, one.baseline).endswith("?") for group in one.groups):
        yield "?: one seed in common with full, so the difference is not tested."


def _of_times(one: Comparable, times: Sequence[str]) -> Iterator[str]:
    named = ", ".join(_TIMES[name] for name in times)
    machines = {machine for group in one.groups for machine in group.machines}
    if any(group.crowded for group in one.groups):
        yield f"{named}: taken beside other runs on the same machine; these times cannot be compared."
    elif len(machines) > 1:
        yield f"{named}: of different machines or numbers of threads; these times cannot be compared."


def missing(unfinished: Sequence[Unfinished]) -> Iterator[str]:
    """A line for each cause that left runs without numbers, the seeds together."""
    causes: dict[tuple[str, str, str], list[int | None]] = defaultdict(list)
    for run in unfinished:
        causes[run.status, run.name, run.reason].append(run.seed)
    for (status, name, reason), seeds in causes.items():
        known = sorted({seed for seed in seeds if seed is not None})
        of = f", seed{'s' if len(known) > 1 else ''} {', '.join(map(str, known))}" if known else ""
        yield f"{len(seeds)} {status}: {name}{of}: {reason}"
