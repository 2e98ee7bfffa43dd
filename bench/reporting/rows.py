"""The rows that charts draw, by the names of their data. ``page.js`` makes the same from the rows that filters keep."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from bench.measure.units import short_size
from bench.records.result import METRICS
from bench.reporting.contents import Section
from bench.reporting.entries import BYTES, Entry
from bench.reporting.series import Place

NO_COMMAND = "not with these settings files; with your own: python -m bench.report --config-dir DIR"
"""What stands in place of a command that repeats runs."""

ROWS = 24
"""Number of groups that the chart of bytes has room for."""

CURVES = 8
"""Number of groups that charts of curves have room for, see ``Entry.rank``."""


class Row(TypedDict):
    """A group in a chart. Unknown values are None.

    Keys:
        id: key of the group.
        name: name of the group, unique in its section.
        method: its method, which decides its look.
        label: text beside its mark if it is on the front.
        bytes: bytes to serve the embeddings.
        share: its memory as a share of the baseline's.
        value: mean of the headline metric.
        lo: lower end of the mean's interval.
        hi: upper end of the mean's interval.
        step: mean time of a training step in ms; None if it cannot be compared.
        fast: lower end of the interval of ``step``.
        slow: upper end of the interval of ``step``.
        params: trainable numbers of the embeddings.
        optimizer: bytes of the optimizer's state.
        parts: bytes of each part of ``BYTES``.
        n: number of its seeds.
        drawn: True if it lies within the edge of charts of the headline metric.
        front: True if it is on the front.
        base: True if it is the baseline.
        rank: its place in the order in which groups are chosen if there is room for few.
        memory: its bytes as people read them; the following are texts too.
        smaller: factor by which it is smaller than full tables.
        leading: the headline metric.
        delta: its difference to full tables.
        also: the other metrics.
        seeds: seeds of its runs.
        settings: its name without the strategy.
        command: the command that repeats its runs.
    """

    id: str
    name: str
    method: str
    label: str
    bytes: float
    share: float
    value: float | None
    lo: float | None
    hi: float | None
    step: float | None
    fast: float | None
    slow: float | None
    params: float | None
    optimizer: float | None
    parts: list[float] | None
    n: int
    drawn: bool
    front: bool
    base: bool
    rank: int
    memory: str
    smaller: str
    leading: str
    delta: str
    also: str
    seeds: str
    settings: str
    command: str


Data = Mapping[str, Sequence[Mapping[str, object]]]
"""Rows by the name of the data."""


@functools.lru_cache(maxsize=8)
def rows(section: Section) -> tuple[Row, ...]:
    """Gives a row a group. Rows on the front come last, so that they are drawn over the others."""
    alone = len(section.looks) == 1
    found = [_row(entry, section, alone) for entry in section.entries]
    return tuple(sorted(found, key=lambda row: row["front"]))


def data(section: Section) -> Data:
    """Gives the rows that charts name, by the name of the data.

    ``groups`` has a row a group. ``front`` has the rows on the front, and ``base`` has the row of the baseline.
    ``tenths`` has those of the first field.
    """
    every = rows(section)
    front = [row for row in every if row["front"]]
    front.sort(key=lambda row: row["bytes"])
    return {
        "groups": every,
        "front": front,
        "base": [row for row in every if row["base"]],
        "curves": _named(section.curves, ranked(every, CURVES)),
        "tenths": _named(next(iter(section.tenths.values()), []), ranked(every, CURVES)),
        "parts": parts(ranked(every, ROWS)),
        "sizes": sizes(ranked(every, ROWS)),
    }


def ranked(every: Sequence[Row], room: int) -> list[Row]:
    """Gives the first rows by rank, as many as there is room for."""
    return sorted(every, key=lambda row: row["rank"])[:room]


def _named(places: Iterable[Place], kept: Sequence[Row]) -> list[dict[str, object]]:
    """Gives the places of the groups that are kept, with their names and ranks."""
    by_id = {row["id"]: row for row in kept}
    return [
        {**place, "name": row["name"], "rank": row["rank"]}
        for place in places if (row := by_id.get(place["id"])) is not None
    ]  # fmt: skip


def parts(kept: Sequence[Row]) -> list[dict[str, object]]:
    """Gives a row for each part of each group's bytes."""
    return [
        {"name": row["name"], "bytes": row["bytes"], "part": part, "size": size, "place": number,
         "share": size / sum(row["parts"]), "text": short_size(size)}
        for row in kept if row["parts"] for number, part in enumerate(BYTES) if (size := row["parts"][number])
    ]  # fmt: skip


def sizes(kept: Sequence[Row]) -> list[dict[str, object]]:
    """Gives a row for the bytes that each group takes to serve, and a row for those of its optimizer's state."""
    return [
        {"name": row["name"], "bytes": row["bytes"], "what": what, "size": size, "text": short_size(size)}
        for row in kept for what, size in (("to serve", row["bytes"]), ("optimizer", row["optimizer"])) if size
    ]  # fmt: skip


def _row(entry: Entry, section: Section, alone: bool) -> Row:
    group = entry.group
    low, high = group.leading.ci95 or (None, None)
    step = entry.time("step_time_ms")
    fast, slow = (step.ci95 if step else None) or (None, None)
    also = [f"{METRICS[name].title or name} {entry.text(name)}" for name in section.columns]
    return {
        "id": entry.key, "name": entry.name, "method": entry.method,
        "label": (entry.settings or entry.method) if alone else entry.method,
        "bytes": group.embedding_bytes, "share": 1 / entry.smaller,
        "value": entry.value, "lo": low, "hi": high,
        "step": step.mean if step else None, "fast": fast, "slow": slow,
        "params": group.mean("params_embedding"), "optimizer": group.mean("optimizer_bytes"), "parts": entry.parts,
        "n": len(group.runs), "drawn": not (entry.worse and section.edge is not None),
        "front": group.pareto, "base": entry.is_baseline, "rank": entry.rank,
        "memory": entry.memory, "smaller": entry.ratio, "leading": entry.text(section.headline.name),
        "delta": entry.delta, "also": ", ".join(also), "seeds": ", ".join(map(str, group.seeds)),
        "settings": entry.settings or "defaults", "command": entry.command or NO_COMMAND,
    }  # fmt: skip
