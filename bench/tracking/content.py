"""What of a result goes to MLflow, and under which names."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf

from bench import results

RESULT_TAGS = ("fingerprint", "dataset", "strategy", "status", "error", "parent_run_id")
"""Keys of a result that are tags of its run."""

VALUE_LIMIT = 6000
"""The longest text that MLflow takes as a parameter."""

NAME_LENGTH = 60
"""The longest name of a run: what MLflow's list of runs shows of one."""

MORE = " ..."

_NOT_NAMED = re.compile(
    r"(strategy|seed|budget|experiment|resume|save_weights|timing|data_dir|embedding@embeddings\.default"
    r"|training\.(progress|threads)|(tracking|hydra)[./].*)$"
)


def run_name(
    strategy: str,
    embeddings: Mapping[str, Mapping[str, Any]],
    seed: int,
    settings: Mapping[str, Any] | None = None,
    given: Sequence[str] = (),
) -> str:
    """A name that tells runs apart: ``qr num_buckets=120 seed=0``.

    It holds the strategy; the budget, or the sizes where none was asked for or none is heeded; the seed; what else was
    given. What does not fit into ``NAME_LENGTH`` gives way, the sizes and what was given last of them first.

    Args:
        strategy: the strategy's name.
        embeddings: each field's method and settings as used; numbers and lists of numbers are named, once
            where all fields have them alike. A size that follows from a word (``quotient_rows=recipe``) is not.
        seed: the run's.
        settings: all settings of the run.
        given: the overrides that it was started with.
    """
    settings = settings or {}
    budget = settings.get("budget")
    if {used.get("method") for used in embeddings.values()} == {"full"}:
        budget = None
    sizes = {} if budget is not None else _sizes(embeddings, settings.get("embeddings") or {})
    words = [f"budget={json.dumps(budget)}"] if budget is not None else [f"{n}={v}" for n, v in sizes.items()]
    end = f" seed={seed}"
    name = _with(strategy[: NAME_LENGTH - 20], words, NAME_LENGTH - len(end)) + end
    others = [word for word in (text.lstrip("+") for text in given) if not _is_named(word, sizes)]
    return _with(name, sorted(others, key=lambda word: word.startswith("dataset.")), NAME_LENGTH)


def _with(name: str, words: Sequence[str], length: int) -> str:
    """``name`` and as many of the words as fit, with ``MORE`` for the others where that fits too."""
    for at, word in enumerate(words):
        rest = len(MORE) if at + 1 < len(words) else 0
        if len(name) + 1 + len(word) + rest > length:
            return name + MORE if len(name) + len(MORE) <= length else name
        name += f" {word}"
    return name


def _is_named(word: str, sizes: Mapping[str, str]) -> bool:
    """Whether an override says what stands in a name already, or nothing about the run's numbers."""
    name = word.partition("=")[0]
    size = name.rpartition(".")[2] if name.startswith("embeddings.") else name
    return word.startswith("~") or size in sizes or bool(_NOT_NAMED.match(name))


def _sizes(embeddings: Mapping[str, Mapping[str, Any]], asked: Mapping[str, Any]) -> dict[str, str]:
    """The sizes of all fields, as texts by name."""
    by_field = {
        field: {
            name: json.dumps(value, separators=(",", ":"))
            for name, value in used.items()
            if _is_size(value)
            and not isinstance((asked.get(field) or asked.get("default") or {}).get(name), str)
        }
        for field, used in embeddings.items()
    }
    sizes: dict[str, str] = {}
    for name in dict.fromkeys(name for own in by_field.values() for name in own):
        values = {field: own[name] for field, own in by_field.items() if name in own}
        alike = len(set(values.values())) == 1 and len(values) == len(by_field)
        sizes[name] = (
            next(iter(values.values())) if alike else ",".join(f"{field}:{v}" for field, v in values.items())
        )
    return sizes


def overrides(folder: Path) -> list[str] | None:
    """The overrides that the run in an output folder was started with; None where Hydra wrote none there."""
    found = None
    with contextlib.suppress(Exception):  # for show: whatever is wrong with the file
        found = OmegaConf.load(folder / ".hydra" / "overrides.yaml")
    return [str(text) for text in found] if isinstance(found, ListConfig) else None


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
