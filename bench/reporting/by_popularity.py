"""Who pays for compression, in the report's tables and in JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench import tasks
from bench.measure.metrics import DECILES
from bench.reporting import worst
from bench.reporting.entries import Entry
from bench.reporting.worst import WorstByField
from bench.tradeoff import popularity


def values(entry: Entry, listed: WorstByField) -> dict[str, Any]:
    """Gives what JSON has of a group: means and differences to full tables by field, and the worst-served ids.

    Args:
        entry: the group.
        listed: its worst-served ids.
    """
    task = tasks.find(entry.group.task)
    return {
        f"{task.by_field}_mean": popularity.means(entry.group),
        "delta_by_field": popularity.differences(entry.group, entry.baseline),
        task.by_id[0]: worst.values(listed),
    }


def cells(entry: Entry) -> dict[str, float | None]:
    """Gives the cells of a group's line in ``table.csv``, by the column's name.

    ``val_mae_user_decile_1`` is the mean of the most popular tenth of the users, ``delta_user_decile_1`` its difference
    to full tables.
    """
    group = entry.group
    both = (
        (group.headline.name, popularity.means(group)),
        ("delta", popularity.differences(group, entry.baseline)),
    )
    return {
        f"{name}_{field}_decile_{place}": value
        for name, by_field in both
        for field, own in by_field.items()
        for place, value in enumerate(own, 1)
    }


def columns(found: Iterable[Entry]) -> list[str]:
    """Gives the names of the columns of ``cells``, for all groups of a report."""
    named = dict.fromkeys(
        (entry.group.headline.name, field) for entry in found for field in popularity.fields(entry.group)
    )
    pairs = [*named, *(("delta", field) for field in dict.fromkeys(field for _, field in named))]
    return [f"{name}_{field}_decile_{place}" for name, field in pairs for place in range(1, DECILES + 1)]
