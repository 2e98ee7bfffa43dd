"""Tables of settings in Markdown, from ``conf/`` and the dataclasses: name, default, the values taken, meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import models
from bench.config import comments
from bench.config.files import CONF, choices, options
from bench.config.report import Request
from bench.config.schema import Globals, Tracking, Training
from bench.config.typed import describe, group, hints, sizes
from bench.data.base import DataSettings
from bench.data.settings import settings_class
from bench.embeddings import find
from bench.embeddings.constructors import constructor_name, setting_docstrings

FIXED = ("dataset.name", "dataset.kind", "model.name", "method")
"""Settings that the choice of a file fixes."""

LONGEST = 60
"""Most characters of a default in a table."""

_GIVEN = re.compile(r"\$\{oc\.(?P<by>select|env):(?P<name>\w+),\s*'?(?P<value>.*?)'?\}$")


def of_runs() -> Iterator[str]:
    """Gives the lines on all settings of ``bench.run``."""
    yield from _part("Every run", "", _rows(CONF / "config.yaml", "", Globals))
    yield from _part("Training", "", _rows(CONF / "training" / "default.yaml", "training.", Training))
    yield from _part("Tracking", "", _rows(CONF / "tracking" / "mlflow.yaml", "tracking.", Tracking))
    split = CONF / "dataset" / "split" / "default.yaml"
    shared = _shared()
    yield from _part("Every data set", "", [*shared, *_rows(split, "dataset.split.", _split_class())])
    for name in choices("dataset"):
        path = CONF / "dataset" / f"{name}.yaml"
        rows = _rows(path, "dataset.", _data_class(path))
        yield from _part(
            f"`dataset={name}`", comments.summary(path), [row for row in rows if row not in shared]
        )
    for name in models.names():
        path = CONF / "model" / f"{name}.yaml"
        rows = _rows(path, "model.", models.settings_class(name), own=True)
        yield from _part(f"`model={name}`", comments.summary(path), rows)


def of_methods() -> Iterator[str]:
    """Gives the lines on each method: its constructor and its settings."""
    for name in choices("embedding"):
        path = CONF / "embedding" / f"{name}.yaml"
        intro = f"{comments.summary(path)}. Layer: `{constructor_name(name)}`."
        rows = _rows(path, "", find(name).Settings, own=True, refine=sizes)
        yield from _part(f"`strategy={name}`", intro, rows)


def of_reports() -> Iterator[str]:
    """Gives the lines on the settings of ``bench.report``."""
    rows = _rows(CONF / "report.yaml", "", Request)
    yield from _table([(name.replace("`only.", "`"), *rest) for name, *rest in rows])


def of_choices() -> Iterator[str]:
    """Gives the lines on the settings that choose a file of ``conf/``."""
    for chosen in ("dataset", "strategy", "model", "experiment"):
        yield f"- `{chosen}=`: {', '.join(f'`{name}`' for name in options(chosen))}"


def _shared() -> list[tuple[str, ...]]:
    """Gives the rows of the settings that every data set has."""
    rows = _rows(CONF / "dataset" / "table.yaml", "dataset.", settings_class("table"))
    return [row for row in rows if row[0].strip("`").removeprefix("dataset.") in hints(DataSettings)]


def _data_class(path: Path) -> type[Any]:
    kinds = [value for name, value, _ in comments.settings(path) if name == "kind"]
    return settings_class(kinds[0] if kinds else "table")  # the others build on dataset/table.yaml


def _split_class() -> type[Any]:
    found = group(hints(settings_class("table"))["split"])
    assert found is not None
    return found


def _part(title: str, intro: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield from ("", f"### {title}", "")
    if intro:
        yield from (_sentence(_escaped(intro)), "")
    yield from _table(rows) if rows else ("No settings.",)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield "| setting | default | takes | meaning |"
    yield "| --- | --- | --- | --- |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _rows(
    path: Path,
    prefix: str,
    cls: type[Any],
    *,
    own: bool = False,
    refine: Callable[[Any], Any] | None = None,
) -> list[tuple[str, ...]]:
    """Gives the rows of a settings file.

    Args:
        path: the file.
        prefix: the text before each name, with its dot.
        cls: the dataclass that takes the settings.
        own: True if the texts below the dataclass's fields say what they mean, and not the file's comments alone.
        refine: a function that narrows the type hint of a setting.
    """
    taken = hints(cls, refine) if refine else hints(cls)
    texts = setting_docstrings(cls) if own else {}
    return [
        (
            f"`{prefix}{name}`",
            _default(value, path),
            _escaped(describe(_hint(taken, name.split(".")))),
            plain(texts[name]) if name in texts else _escaped(comment),
        )
        for name, value, comment in comments.settings(path)
        if f"{prefix}{name}" not in FIXED
    ]


def _hint(taken: Mapping[str, Any], parts: list[str]) -> Any:
    """Gives the type hint of a setting, which may lie in groups."""
    hint = taken[parts[0]]
    cls = group(hint)
    if not parts[1:]:
        return hint
    return Any if cls is None else _hint(hints(cls), parts[1:])


def _default(value: str, path: Path) -> str:
    """Writes a default. One that comes from elsewhere names it."""
    found = _GIVEN.match(value)
    if found and found["by"] == "env":
        return f"`{found['value']}`, or the variable `{found['name']}`"
    text = found["value"] if found else value
    return f"`{text}`" if len(text) <= LONGEST else f"in `conf/{path.relative_to(CONF)}`"


def _escaped(text: str) -> str:
    return re.sub(r"([*<])", r"\\\1", text)


def plain(text: str) -> str:
    """Turns the text of a docstring into Markdown."""
    parts = re.split(r"(``.*?``)", text)
    return "".join(f"`{part[2:-2]}`" if part.startswith("``") else _escaped(part) for part in parts)


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
