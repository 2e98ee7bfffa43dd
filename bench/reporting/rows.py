"""The rows that the plots draw, by the names of their data; ``page.js`` makes the same of the rows that are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.reporting.contents import BYTES, CURVES, Section
from bench.results import short_size

ROWS = 24
"""Groups that the plot of bytes has room for."""


def data(section: Section) -> dict[str, list[dict[str, Any]]]:
    """The rows that the plots name, by the name of the data.

    ``groups`` has a row a group; what is not there is None. ``front`` and ``base`` are those of them on the front,
    and the baseline.
    """
    rows = [_row(group) for group in section.groups]
    kept = {row["id"] for row in ranked(rows, CURVES)}
    order = {row["id"]: row["rank"] for row in rows}
    names = {row["id"]: row["name"] for row in rows}

    def curves(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "name": names[row["id"]], "rank": order[row["id"]]} for row in found]

    return {
        "groups": rows,
        "front": [row for row in rows if row["front"]],
        "base": [row for row in rows if row["base"]],
        "curves": [row for row in curves(section.curves) if row["id"] in kept],
        "deciles": [row for row in curves(section.deciles) if row["id"] in kept],
        "parts": parts(ranked(rows, ROWS)),
        "sizes": sizes(ranked(rows, ROWS)),
    }


def ranked(rows: Sequence[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """The rows that matter most, where there is room for few."""
    return sorted(rows, key=lambda row: row["rank"])[:room]


def parts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a part of each group's bytes."""
    return [
        {"name": row["name"], "bytes": row["bytes"], "part": part, "size": row["parts"][number], "place": number,
         "share": row["parts"][number] / sum(row["parts"]), "text": short_size(row["parts"][number])}
        for row in rows if row["parts"] for number, part in enumerate(BYTES) if row["parts"][number]
    ]  # fmt: skip


def sizes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for what each group takes to serve, and one for its optimizer's state."""
    return [
        {"name": row["name"], "bytes": row["bytes"], "what": what, "size": row[key], "text": short_size(row[key])}
        for row in rows for what, key in (("to serve", "bytes"), ("optimizer", "optimizer")) if row[key]
    ]  # fmt: skip


def _row(group: Mapping[str, Any]) -> dict[str, Any]:
    shown, comparable = group["shown"], group["step_time_comparable"]
    low, high = group["val_mae_ci95"] or (None, None)
    fast, slow = (group["step_time_ms_ci95"] if comparable else None) or (None, None)
    return {
        "id": group["id"], "name": group["name"], "method": group["method"], "bytes": group["embedding_bytes"],
        "share": shown["share"],
        "mae": group["val_mae_mean"], "lo": low, "hi": high,
        "step": group["step_time_ms_mean"] if comparable else None, "fast": fast, "slow": slow,
        "params": group["params_embedding"], "optimizer": group["optimizer_bytes"],
        "parts": [group["bytes"][part] for part in BYTES] if group["bytes"] else None,
        "n": len(group["seeds"]), "front": group["pareto"], "base": group["baseline"], "rank": shown["rank"],
        "place": shown["place"],
        "memory": shown["memory"], "smaller": shown["ratio"], "error": shown["mae"], "delta": shown["delta"],
        "time": shown["step"], "seeds": ", ".join(map(str, group["seeds"])),
        "settings": shown["settings"] or "defaults",
        "command": group["command"] or "not with the settings of today",
    }  # fmt: skip
