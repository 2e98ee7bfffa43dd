"""The conversion of nested settings into dotted names and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.records.result import Tree


def flat(values: Tree, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Gives each value with its dotted name, such as ``training.batch_size``. An empty mapping is a value.

    Args:
        values: nested settings.
        prefix: the start of all names, such as ``used.``.
    """
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
