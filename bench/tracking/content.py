"""Chooses what of a result goes to MLflow, and under which names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bench.records.result import METRICS, Result, Tree

TAGS = ("fingerprint", "parent_fingerprint", "data_digest", "task", "dataset", "strategy", "status", "error")
"""Keys of a result that are tags of its run; ``environment`` is one tag a name."""

VALUE_LIMIT = 6000
"""The longest text that MLflow takes as a parameter."""


def flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Gives nested mappings as pairs of dotted name and value; an empty one is a value."""
    if isinstance(values, Mapping) and (values or not prefix):
        for name, value in values.items():
            yield from flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, values


def params(result: Result) -> dict[str, str]:
    """Gives a run's parameters: settings, and the sizes used, as texts no longer than MLflow takes."""
    used = {"used": result.embeddings} if result.embeddings else {}
    return dict(_texts({**dict(flat(result.settings or {})), **dict(flat(used))}))


def tags(result: Result) -> dict[str, str]:
    """Gives the tags of a result's run."""
    environment = {"environment": result.environment} if result.environment else {}
    known = {**{key: getattr(result, key) for key in TAGS}, **dict(flat(environment))}
    return dict(_texts({name: value for name, value in known.items() if value is not None}))


def _texts(values: Tree) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield _name(name), text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 3] + "..."


def _name(name: str) -> str:
    """Gives a name of letters that MLflow takes; a user's column, for one, may have others."""
    return re.sub(r"[^\w.\- ]", "_", name)[:250]


def metrics(result: Result) -> Iterator[tuple[str, float, int]]:
    """Gives a result's numbers as name, value and step: from 1 by epoch, at 0 what is measured once.

    What is nested has a dotted name, and lists are numbered from 01. What was not measured is left out.
    """
    history = result.history or {}
    for key, values in history.items():
        for step, value in enumerate(values, start=1):
            yield from ((name, number, step) for name, number in _numbers(key, value))
    for key in [name for name in METRICS if name != "history" and name not in history]:
        yield from ((name, number, 0) for name, number in _numbers(key, getattr(result, key)))


def _numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    for name, item in flat({key: value}):
        numbered = [(f"{name}.{i:02d}", x) for i, x in enumerate(item, 1)] if isinstance(item, list) else None
        for own, number in numbered or [(name, item)]:
            if isinstance(number, int | float):
                yield _name(own), float(number)
