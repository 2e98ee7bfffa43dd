"""Lists of numbers over the runs of a group: the headline metric by epoch, and by popularity of a field's ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypedDict

from bench import tasks
from bench.records.popularity import item_field, tenths
from bench.records.result import Result
from bench.reporting.entries import Entry
from bench.tradeoff import popularity, statistics
from bench.tradeoff.groups import Group
from bench.tradeoff.headline import task_of

Values = Sequence[float | None]
"""One number for each place."""


class Place(TypedDict):
    """A place of a list: an epoch, or a tenth of a field's ids.

    Keys:
        id: key of the group.
        at: the place, from 1.
        mean: mean over the group's runs.
        lo: lower end of the mean's interval; None with one run.
        hi: upper end of the mean's interval; None with one run.
        base: the baseline's mean at that place; None if it has none.
    """

    id: str
    at: int
    mean: float
    lo: float | None
    hi: float | None
    base: float | None


def by_epoch(found: Sequence[Entry]) -> list[Place]:
    """Gives the headline metric after each epoch."""
    return [place for entry in found for place in _places(entry, _history)]


def by_popularity(found: Sequence[Entry]) -> dict[str, list[Place]]:
    """Gives the headline metric for each tenth of each field's ids; tenth 1 is the most popular.

    The items come first, then the other fields as in the data.
    """
    fields = dict.fromkeys(name for entry in found for name in popularity.fields(entry.group))
    groups = [group for entry in found for group in (entry.group, entry.baseline) if group is not None]
    runs = [run for group in groups for run in group.runs]
    items, read = {item_field(run) for run in runs}, {id(run): tenths(run) for run in runs}
    return {
        name: [place for entry in found for place in _places(entry, partial(_tenths, read, name))]
        for name in sorted(fields, key=lambda name: name not in items)
    }


def _history(run: Result) -> Values:
    return (run.history or {}).get(tasks.find(task_of(run)).headline) or []


def _tenths(read: Mapping[int, Mapping[str, Values]], field: str, run: Result) -> Values:
    return read[id(run)].get(field, [])


def _places(entry: Entry, values: Callable[[Result], Values]) -> Iterator[Place]:
    """Gives mean and interval of each place, up to the end of the shortest list."""
    group = entry.group
    beside = [] if entry.baseline is None else _columns(entry.baseline, values)
    known = {
        number: [value for value in column if value is not None and statistics.finite(value)]
        for number, column in enumerate(_columns(group, values))
    }
    whole = {number: column for number, column in known.items() if len(column) == len(group.runs)}
    intervals = statistics.intervals(list(whole.values()), group.ci) if len(group.runs) > 1 else []
    for place, (number, column) in enumerate(whole.items()):
        low, high = intervals[place] if intervals else (None, None)
        base = popularity.mean(beside[number]) if number < len(beside) else None
        mean = sum(column) / len(column)
        yield {"id": entry.key, "at": number + 1, "mean": mean, "lo": low, "hi": high, "base": base}


def _columns(group: Group, values: Callable[[Result], Values]) -> list[Values]:
    return [list(column) for column in zip(*(values(run) for run in group.runs), strict=False)]
