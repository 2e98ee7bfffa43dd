"""What a result says of who is served how well: by popularity of a field's ids, and the worst-served ids by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bench import tasks
from bench.measure.popularity import LEAST_ROWS
from bench.measure.units import aligned, count
from bench.records.result import METRICS, Result

ITEM = "item"
"""The name of the field of items, if ``dataset.item_field`` gives no other."""

FEW = 4
"""Most fields that the print of a run shows."""

FIRST = 3
"""Most ids of a field that the print of a run names."""

LETTERS = 40
"""Most characters of an id that are shown."""

Tenths = Sequence[float | None]
"""One number for each tenth of a field's ids, the most popular first; None for a tenth without evaluation rows."""


@dataclass(frozen=True)
class Worst:
    """An id that is served badly.

    Attributes:
        id: the id as it is in the data; None stands for all ids that have no row of their own.
        error: mean over its evaluation rows.
        rows: its evaluation rows.
        training_rows: its rows that train.
    """

    id: str | int | None
    error: float
    rows: int
    training_rows: int


def item_field(result: Result) -> str:
    """Gives the name of the field of items, the only one of which results of earlier versions have tenths."""
    return str(result.setting("dataset.item_field") or ITEM)


def tenths(result: Result) -> dict[str, Tenths]:
    """Gives the numbers of each field's tenths by field, those of ``Task.by_field``.

    A result of an earlier version has those of the items, or none.
    """
    if result.task is not None and result.task not in tasks.NAMES:
        return {}
    task = tasks.find(result.task or tasks.NAMES[0])
    of_items = getattr(result, task.by_popularity[0])
    found = getattr(result, task.by_field) or ({item_field(result): of_items} if of_items else {})
    return {name: own for name, own in found.items() if isinstance(own, list) and all(map(_is_number, own))}


def worst(result: Result) -> dict[str, list[Worst]]:
    """Gives the worst-served ids by field, those of ``Task.by_id``; nothing for a result of an earlier version."""
    if result.task not in tasks.NAMES:
        return {}
    found: Mapping[str, Any] = getattr(result, tasks.find(result.task).by_id[0]) or {}
    keys = {one.name for one in fields(Worst)}
    return {
        name: [
            Worst(**{key: one[key] for key in keys})
            for one in own
            if isinstance(one, Mapping) and keys <= one.keys()
        ]
        for name, own in found.items()
    }


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def named(one: str | int | None) -> str:
    """Gives an id as people read it, in one line. Long ones are cut."""
    if one is None:
        return "(ids without a row)"
    text = "".join(letter if letter.isprintable() else " " for letter in str(one))
    if not text.strip():
        return f'"{text[:LETTERS]}"'
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 3]}..."


def lines(result: Result) -> Iterator[tuple[str, str]]:
    """Gives what the print of a run says, as pairs of a name and the text beside it.

    Of many fields, these are the ones with the largest difference between the most popular ids and the rarest.
    """
    ends = {name: found for name, own in tenths(result).items() if (found := _ends(own))}
    title = _title(result)
    few = sorted(ends, key=lambda name: -abs(ends[name][1] - ends[name][0]))[:FEW]
    for name in [name for name in ends if name in few]:
        first, last = ends[name]
        yield (
            f"{name} by popularity",
            f"{title} {first:.4f} on the most popular tenth to {last:.4f} on the rarest",
        )
    listed = worst(result)
    for name in [name for name in listed if listed[name] and (name in few or len(listed) <= FEW)]:
        yield (
            f"worst-served {name}",
            ", ".join(f"{named(i.id)} ({i.error:.4f})" for i in listed[name][:FIRST]),
        )
    if len(ends) > FEW:
        yield "other fields", f"{len(ends) - FEW} more by popularity: python -m bench.results show"


def _ends(own: Tenths) -> tuple[float, float] | None:
    """Gives the numbers of the most popular and of the rarest tenth that have rows; None if that is one or none."""
    known = [value for value in own if value is not None]
    return (known[0], known[-1]) if len(known) > 1 else None


def _title(result: Result) -> str:
    headline = tasks.find(result.task or tasks.NAMES[0]).headline
    return METRICS[headline].title or headline


def details(result: Result) -> Iterator[str]:
    """Gives the lines of two tables: every field's tenths, and the worst-served ids of every field."""
    found, listed = tenths(result), worst(result)
    if found:
        yield ""
        yield f"{_title(result)} by tenths of each field's ids, the most popular in training rows first:"
        most = max(map(len, found.values()))
        heading = ("field", *map(str, range(1, most + 1)))
        rows = [
            (name, *("-" if one is None else f"{one:.4f}" for one in [*own, *[None] * (most - len(own))]))
            for name, own in found.items()
        ]
        yield from aligned([heading, *rows], left=1)
    if listed:
        yield ""
        yield f"the worst-served ids, of those with {LEAST_ROWS} evaluation rows:"
        rows = [("field", "id", "mean error", "evaluation rows", "training rows")]
        for name, own in listed.items():
            rows += [
                (name, named(i.id), f"{i.error:.4f}", count(i.rows), count(i.training_rows)) for i in own
            ] or [(name, "-", "-", "-", "-")]
        yield from aligned(rows, left=2)
