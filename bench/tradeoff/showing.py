"""Prints a trade-off for people: a table for each set, and below it the meaning of its numbers."""

from __future__ import annotations

import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from rich.console import Console
from rich.table import Table

from bench.measure.units import aligned, short_size
from bench.records.result import METRICS
from bench.tradeoff import naming, popularity
from bench.tradeoff.baselines import hardly
from bench.tradeoff.grouping import Tradeoff
from bench.tradeoff.groups import Group, Unfinished
from bench.tradeoff.headline import timed
from bench.tradeoff.sets import Comparable, pairs_of
from bench.tradeoff.statistics import Statistic, finite

NAME_WIDTH = 30
"""Most characters of a whole name. Longer names keep only the settings that differ within their strategy."""

KINDS = {"t": "Student's t", "bootstrap": "bootstrap percentiles"}
"""The names of the kinds of intervals."""

CONSTANT = "best constant"
"""The name of the row with the result that needs no embeddings."""

BIASES = "biases alone"
"""The name of the row with the result of biases without vectors."""

DIGEST_LETTERS = 8
"""Number of characters of a data digest that a title shows."""

_WIDEST = 110  # characters of a note's line
_WIDE = 96  # a narrower terminal has no room for more than one time


def show(tradeoff: Tradeoff, file: IO[str] | None = None) -> None:
    """Prints a trade-off: tables on a terminal of any width, aligned plain lines elsewhere.

    Args:
        tradeoff: the result of ``bench.tradeoff.tradeoff``.
        file: where to print; None for standard output.
    """
    console = Console(file=file or sys.stdout, highlight=False, markup=False)
    headings = titles(tradeoff.sets)
    for one, title in zip(tradeoff.sets, headings, strict=True):
        times = timed(one.common.task)
        if console.is_terminal and console.width < _WIDE:
            times = times[:1]
        _print(console, [title])
        _table(console, one, times)
        _print(console, notes(one, times))
        _print(console, popularity.sentences(one, names(one)))
    _print(console, missing(tradeoff.unfinished))


def _print(console: Console, texts: Iterable[str]) -> None:
    """Prints an empty line, then the texts, folded between words; nothing if there are no texts."""
    width = min(console.width, _WIDEST)
    for number, text in enumerate(texts):
        folded = textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)
        print(f"{'' if number else chr(10)}{folded}", file=console.file)


def titles(sets: Sequence[Comparable]) -> list[str]:
    """Gives data set and model of each set, and the other differences from the other sets."""
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
        # different data sets have different settings, which say no more than the names of the data sets
        peers = [s for s in sets if all(s.settings.get(n) == own.get(n) for n in named)]
        telling = [n for n in varying if any(peer.settings.get(n) != own.get(n) for peer in peers)]
        words = [f"{name}={naming.text(own[name])}" for name in telling if name in own]
        if any(peer.common.task != one.common.task for peer in peers):
            words.append(f"task {one.common.task}")
        if any(s is not one and s.settings == own and s.common.task == one.common.task for s in peers):
            words.append(f"data {(one.common.data_digest or 'unknown')[:DIGEST_LETTERS]}")
        found.append(", ".join([f"{own.get('dataset.name')}", f"model {own.get('model.name')}", *words]))
    return found


def names(one: Comparable) -> list[str]:
    """Gives a short name for each group of a set, in their order, such as ``qr num_buckets=120``."""
    every = [dict(naming.words(group.runs[0])) for group in one.groups]
    widths = [group.runs[0].setting("embedding_dim") for group in one.groups]
    if len(set(widths)) > 1:
        for own, width in zip(every, widths, strict=True):
            own["embedding_dim"] = str(width)
    by_strategy: dict[str, list[dict[str, str]]] = defaultdict(list)
    for group, own in zip(one.groups, every, strict=True):
        by_strategy[group.strategy].append(own)
    shown = []
    for group, own in zip(one.groups, every, strict=True):
        name = naming.joined(group.strategy, own)
        if len(name) > NAME_WIDTH:
            peers = by_strategy[group.strategy]
            telling = {k: v for k, v in own.items() if any(peer.get(k) != v for peer in peers)}
            name = naming.joined(group.strategy, telling)
        shown.append(name)
    return shown


def rows(one: Comparable, times: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Gives the heading of a set's table, a line a group, and lines for biases alone and the best constant if known.

    Args:
        one: the set.
        times: metrics that get a column each at the end.
    """
    counts = {len(group.runs) for group in one.groups}
    # a group of one seed says so in its own cell
    seeds = ["seeds"] if len(counts - {1}) > 1 else []
    titles = [METRICS[name].title or name for name in times]
    tested = ["p"] if one.family else []
    yield ("", "run", "memory", "smaller", one.headline.title, "to full", *tested, *titles, *seeds)
    biases = [(one.biases, BIASES)] if one.biases else []
    for group, name in [*zip(one.groups, names(one), strict=True), *biases]:
        ratio = one.full_bytes / group.embedding_bytes if group is one.biases else group.compression_ratio
        yield (
            "*" if group.pareto else "",
            name,
            short_size(group.embedding_bytes),
            f"{ratio:.1f}x",
            _leading(group.leading),
            difference(group, one.baseline),
            *(p_text(group.p_value) for _ in tested),
            *(_time(group.statistics[name].mean) for name in times),
            *(str(len(group.runs)) for _ in seeds),
        )
    if one.constant is not None:
        base = one.baseline.leading.mean if one.baseline else None
        apart = "-" if base is None else f"{one.constant - base:+.4f}"
        yield (
            "",
            CONSTANT,
            "-",
            "-",
            f"{one.constant:.4f}",
            apart,
            *("" for _ in tested),
            *("-" for _ in times),
            *("-" for _ in seeds),
        )


def _leading(found: Statistic) -> str:
    if found.mean is None:
        return "-"
    if found.ci95 is None:
        return f"{found.mean:.4f} 1 seed"
    return f"{found.mean:.4f} ± {(found.ci95[1] - found.ci95[0]) / 2:.4f}"


def difference(group: Group, baseline: Group | None) -> str:
    """Gives the difference to the baseline with half its interval: ``+0.0471 ± 0.0021``.

    Of one seed in common it is ``+0.0471 ?``. The baseline gives ``baseline``, and no difference a dash.
    """
    if group is baseline:
        return "baseline"
    if group.delta.mean is not None:
        low, high = group.delta.ci95 or (0.0, 0.0)
        return f"{group.delta.mean:+.4f} ± {(high - low) / 2:.4f}"
    single = single_difference(group, baseline)
    return "-" if single is None else f"{single:+.4f} ?"


def p_text(value: float | None) -> str:
    """Gives a p value to two digits: ``0.047``, ``<0.0001``; empty for None."""
    if value is None:
        return ""
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def of_p_values(one: Comparable) -> Iterator[str]:
    """Gives the note on a set's differences and p values; nothing if it has none."""
    if one.family:
        yield (
            "To full: mean difference, paired by seed, ± half its 95 % interval. p: of the paired t test, "
            f"{one.family.correction}; a large p is no proof that a difference is 0."
        )


def single_difference(group: Group, baseline: Group | None) -> float | None:
    """Gives the difference to the baseline if both have exactly one seed in common, else None."""
    pairs = pairs_of(group, baseline) if baseline else []
    if len(pairs) != 1:
        return None
    mine, theirs = pairs[0]
    if mine is None or theirs is None or not (finite(mine) and finite(theirs)):
        return None
    return mine - theirs


def _time(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def _table(console: Console, one: Comparable, times: Sequence[str]) -> None:
    heading, *lines = rows(one, times)
    if not console.is_terminal:
        for text in aligned([heading, *lines], left=2):
            print(text, file=console.file)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for i, title in enumerate(heading):
        # the names fold, the numbers stay whole
        table.add_column(title, justify="left" if i < 2 else "right", no_wrap=i != 1, overflow="fold")
    for row in lines:
        table.add_row(*row, style="bold" if row[0] else None)
    console.print(table)


def notes(one: Comparable, times: Sequence[str] = ()) -> Iterator[str]:
    """Gives the notes below the table of a set that has columns for these times."""
    several = sorted({len(group.runs) for group in one.groups if len(group.runs) > 1})
    title, word = one.headline.title, one.headline.word
    if any(group.pareto for group in one.groups):
        better = "with as high a score" if one.headline.higher else "without more error"
        yield f"*: Pareto front; no other run here needs less memory {better}."
    if several:
        seeds = f"{several[0]}" if len(several) == 1 else f"{several[0]} to {several[-1]}"
        yield f"{title}: mean ± half the 95 % confidence interval over {seeds} seeds ({KINDS[one.groups[0].ci]})."
    else:
        yield f"{title}: one seed each, so without an interval; seed=0,1,2 gives one."
    if any(group.resplit for group in one.groups):
        yield "The rows held out follow the seed: ± covers the draw of the split too."
    if one.constant is not None:
        worse = "smaller" if one.headline.higher else "larger"
        yield f"{CONSTANT}: the same number for every row; a run with a {worse} {word} is worse than no embeddings."
    if one.biases is not None:
        yield f"{BIASES}: a number for each id and no vectors (model=bias); it has no part in the front."
    yield from hardly(one)
    yield from _of_differences(one)
    yield from _of_times(one, times)


def _of_differences(one: Comparable) -> Iterator[str]:
    if one.baseline is None:
        yield "to full: no run of full tables to compare with; strategy=full with equal settings is one."
        return
    yield from of_p_values(one)
    if any(difference(group, one.baseline).endswith("?") for group in one.groups):
        yield "?: one seed in common with full, so the difference is not tested."


def _of_times(one: Comparable, times: Sequence[str]) -> Iterator[str]:
    named = ", ".join(METRICS[name].title or name for name in times)
    machines = {machine for group in one.groups for machine in group.machines}
    if not named:
        return
    if any(group.crowded for group in one.groups):
        yield f"{named}: taken beside other runs on the same machine; these times cannot be compared."
    elif len(machines) > 1:
        yield f"{named}: of different machines or numbers of threads; these times cannot be compared."


def missing(unfinished: Sequence[Unfinished]) -> Iterator[str]:
    """Gives a line for each cause that left runs without numbers, with all its seeds."""
    causes: dict[tuple[str, str, str], list[int | None]] = defaultdict(list)
    for run in unfinished:
        causes[run.status, run.name, run.reason].append(run.seed)
    for (status, name, reason), seeds in causes.items():
        known = sorted({seed for seed in seeds if seed is not None})
        of = f", seed{'s' if len(known) > 1 else ''} {', '.join(map(str, known))}" if known else ""
        yield f"{len(seeds)} {status}: {name}{of}: {reason}"
