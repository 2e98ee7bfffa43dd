"""The worst-served ids of groups: over the seeds of each group, beside those of full tables."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.records.cells import cell
from bench.records.popularity import Worst, named, worst
from bench.reporting.entries import Entry
from bench.reporting.words import number
from bench.tradeoff import statistics
from bench.tradeoff.groups import Group

SHOWN = 3
"""Most ids of a field that the page names of a group."""

FILE = "worst_ids.csv"


@dataclass(frozen=True)
class WorstId:
    """An id that some runs of a group list among the worst served.

    Attributes:
        id: the id as it is in the data; None stands for all ids that have no row of their own.
        error: mean of its error over the runs that list it.
        seeds: number of these runs.
        rows: its evaluation rows; a mean if the split follows the seed.
        training_rows: its rows that train; a mean if the split follows the seed.
        full_error: the same of the baseline; None if no run of the baseline lists the id.
    """

    id: str | int | None
    error: float
    seeds: int
    rows: float
    training_rows: float
    full_error: float | None


WorstByField = Mapping[str, Sequence[WorstId]]
"""Ids by field: those that most runs list first, of these those with the largest error first."""


def of_entries(found: Sequence[Entry]) -> dict[str, WorstByField]:
    """Gives the worst-served ids of each group, by the group's key."""
    return {entry.key: _of_group(entry.group, entry.baseline) for entry in found}


def _of_group(group: Group, baseline: Group | None) -> WorstByField:
    full = _listed(baseline) if baseline is not None and baseline is not group else {}
    return {
        name: sorted(
            (_over_seeds(own, full.get(name, {}).get(own[0].id, ())) for own in by_id.values()),
            key=lambda one: (-one.seeds, -one.error),
        )
        for name, by_id in _listed(group).items()
    }


def _listed(group: Group) -> dict[str, dict[str | int | None, list[Worst]]]:
    found: dict[str, dict[str | int | None, list[Worst]]] = {}
    for run in group.runs:
        for name, listed in worst(run).items():
            by_id = found.setdefault(name, defaultdict(list))
            for one in listed:
                by_id[one.id].append(one)
    return found


def _over_seeds(own: Sequence[Worst], full: Sequence[Worst]) -> WorstId:
    return WorstId(
        own[0].id,
        _mean([one.error for one in own]),
        len(own),
        _mean([one.rows for one in own]),
        _mean([one.training_rows for one in own]),
        _mean([one.error for one in full]) if full else None,
    )


def _mean(values: Sequence[float]) -> float:
    return values[0] if len(set(values)) == 1 else statistics.statistic(values).mean or 0.0


def values(found: WorstByField) -> dict[str, list[dict[str, Any]]]:
    """Gives the ids of a group as JSON has them."""
    return {name: [asdict(one) for one in listed] for name, listed in found.items()}


def text(listed: Sequence[WorstId], is_baseline: bool) -> str:
    """Gives the first ids of a field as the page shows them; ``*`` marks those that full tables serve better."""
    return ", ".join(
        f"{named(one.id)}{'' if is_baseline or one.full_error is not None else '*'} {number(one.error)}"
        for one in listed[:SHOWN]
    )


def table(found: Sequence[tuple[Entry, WorstByField]]) -> str:
    """Gives CSV: a line an id, of each field of each group. The cell of the id is empty for ids without a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([
        "set", "name", "strategy", "method", "budget", "field", "place", "id", "has_row", "error", "full_error", "rows",
        "training_rows", "listed_by_seeds", "seeds",
    ])  # fmt: skip
    for entry, by_field in found:
        group = entry.group
        for name, listed in by_field.items():
            for place, one in enumerate(listed, 1):
                cells = (
                    entry.section, entry.name, group.strategy, entry.method, group.budget, name, place, one.id,
                    int(one.id is not None), one.error, one.full_error, one.rows, one.training_rows, one.seeds,
                    len(group.runs),
                )  # fmt: skip
                writer.writerow(map(cell, cells))
    return text.getvalue()
