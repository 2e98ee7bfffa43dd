"""What of a result goes to MLflow, and under which names."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from bench import results

RESULT_TAGS = ("fingerprint", "dataset", "strategy", "status", "error", "parent_run_id")
"""Keys of a result that are tags of its run."""

VALUE_LIMIT = 6000
"""The longest text that MLflow takes as a parameter."""


def run_name(
    strategy: str, embeddings: Mapping[str, Mapping[str, Any]], seed: int, budget: float | None = None
) -> str:
    """A name that tells runs apart: ``qr num_buckets=120 seed=0``.

    Args:
        strategy: the strategy's name.
        embeddings: each field's method and settings as used; numbers and lists of numbers are named,
            once where all fields have them alike, else as ``FIELD.NAME``.
        seed: the run's.
        budget: the share of the full bytes that was asked for, if any.
    """
    sizes = {
        field: {name: value for name, value in used.items() if _is_size(value)}
        for field, used in embeddings.items()
    }
    every = list(sizes.values())
    common = {n: v for n, v in every[0].items() if all(n in s and s[n] == v for s in every)} if every else {}
    named = {**common}
    for field, own in sizes.items():
        named.update({f"{field}.{name}": value for name, value in own.items() if name not in common})
    if budget is not None:
        named["budget"] = budget
    named["seed"] = seed
    words = [f"{name}={json.dumps(value, separators=(',', ':'))}" for name, value in named.items()]
    return " ".join([strategy, *words])[:250]


def _is_size(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_size, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as pairs of dotted name and value; an empty one is a value."""
    if isinstance(values, Mapping) and (values or not prefix):
        for name, value in values.items():
            yield from flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, values


def params(settings: Mapping[str, Any], embeddings: Mapping[str, Any]) -> dict[str, str]:
    """A run's parameters: settings, and the sizes used, as texts no longer than MLflow takes."""
    named = {**dict(flat(settings)), **dict(flat({"used": embeddings}))}
    return {name: _text(value) for name, value in named.items()}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 3] + "..."


def metrics(result: Mapping[str, Any]) -> Iterator[tuple[str, float, int]]:
    """A result's numbers as name, value and step; nulls are left out."""
    history: Mapping[str, list[float | None]] = result.get("history") or {}
    for key, values in history.items():
        for step, value in enumerate(values, start=1):
            yield from ((name, number, step) for name, number in _numbers(key, value))
    for key in results.METRICS:
        if key != "history" and key not in history:
            yield from ((name, number, 0) for name, number in _numbers(key, result.get(key)))


def _numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    for name, item in flat({key: value}):
        pairs = (
            [(f"{name}.{i:02d}", x) for i, x in enumerate(item, 1)]
            if isinstance(item, list)
            else [(name, item)]
        )
        yield from ((n, float(x)) for n, x in pairs if isinstance(x, int | float))


def history_csv(history: Mapping[str, list[Any]]) -> str:
    """``history`` as CSV: a line an epoch, ``epoch`` counting from 1, nothing where a number is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns: dict[str, list[Any]] = {}
    for name, values in history.items():
        if values and isinstance(values[0], list):
            columns.update(
                {f"{name}.{i:02d}": list(column) for i, column in enumerate(zip(*values, strict=True), 1)}
            )
        else:
            columns[name] = values
    writer.writerow(["epoch", *columns])
    for epoch, row in enumerate(zip(*columns.values(), strict=True), start=1):
        writer.writerow([epoch, *row])
    return text.getvalue()


def result_tags(result: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a result gives its run."""
    named = {key: result.get(key) for key in RESULT_TAGS}
    named.update(flat({"environment": result.get("environment") or {}}) if result.get("environment") else {})
    return {name: _text(value) for name, value in named.items() if value is not None}
