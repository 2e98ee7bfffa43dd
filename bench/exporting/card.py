"""The model card of an export, ``README.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.config.typed import shown
from bench.measure import units
from bench.records.result import METRICS
from bench.trained import Trained

KINDS = {
    "none": "not kept; rows alone",
    "range": "integers, one after the other",
    "integers": "integers",
    "text": "text",
    "long_text": "text",
}


@dataclass(frozen=True)
class Card:
    """What a card says beside the manifest.

    Attributes:
        title: its first line.
        subject: what was exported, the beginning of a sentence.
        facts: lines of a list.
        examples: ids for the example, as Python writes a list.
        against: what the vectors were compared with.
        table: title of the table of numbers.
        rows: its rows, name and value.
    """

    title: str
    subject: str
    facts: Sequence[str]
    examples: str
    against: str
    table: str
    rows: Sequence[tuple[str, str]]


def of_run(trained: Trained) -> Card:
    """Gives the card of a finished run."""
    result = trained.result
    ratio = f", {result.compression_ratio:.1f} times smaller than full" if result.compression_ratio else ""
    rows = [
        (name, f"{result.metric(name):.6g}")
        for name, metric in METRICS.items()
        if name.startswith("val_") and metric.unit != "seconds" and result.metric(name) is not None
    ]
    return Card(
        f"{result.strategy} on {result.dataset}",
        f"Embedding tables and the model `{result.setting('model.name')}`",
        [
            f"Embeddings: {units.short_size(result.embedding_bytes or 0)}{ratio}.",
            f"Task: {result.task}, seed {result.seed}. Fingerprint of the run: `{result.fingerprint}`.",
        ],
        _examples(trained),
        "Keras",
        "Errors on the evaluation rows",
        rows,
    )


def text(card: Card, tree: Mapping[str, Any]) -> str:
    """Writes a card.

    Args:
        card: what it says beside the manifest.
        tree: the manifest.
    """
    size = tree["bytes"]
    ids, head = units.short_size(size["ids"]), units.short_size(size["head"])
    first, *facts = card.facts
    lines = [
        f"# {card.title}",
        "",
        f"{card.subject}, exported by embedding-bench {tree['bench_version']}. `export.json` describes the files, "
        "`arrays.safetensors` holds all numbers. There is no code in this folder.",
        "",
        f"- {first}",
        f"- Ids: {ids}." + (f" Model: {head}." if tree["model"] else ""),
        *(f"- {fact}" for fact in facts),
        "",
        "## Use",
        "",
        "```python",
        "from bench.serving import load  # needs NumPy alone",
        "",
        'tables = load("THIS FOLDER")',
        f'tables.lookup("{next(iter(tree["fields"]))}", {card.examples})',
        "```",
        "",
        "## Fields",
        "",
        "| field | method | settings | ids | kind of ids | unknown ids | largest difference from "
        f"{card.against} |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, own in tree["fields"].items():
        unknown = "an error" if own["unknown_row"] is None else f"an error, or row {own['unknown_row']}"
        apart = f"{tree['promise'][f'fields.{name}']:.2g}"
        settings = ", ".join(f"{key}={shown(value)}" for key, value in own["settings"].items()) or "-"
        kind = KINDS[own["ids"]["kind"]]
        lines.append(_row(name, own["method"], settings, own["size"], kind, unknown, apart))
    for group in tree.get("shared", {}).values():
        lines += ["", f"These fields share one table: {', '.join(f'`{name}`' for name in group)}."]
    lines += ["", f"## {card.table}", "", "| metric | value |", "| --- | --- |"]
    lines += [_row(*row) for row in card.rows]
    if tree["formats"]:
        lines += ["", "## Formats", "", "| format | files | bytes | largest difference from Keras |"]
        lines += ["| --- | --- | --- | --- |"]
    for name, own in tree["formats"].items():
        files = ", ".join(f"`{file}`" for file in own["files"])
        lines.append(_row(name, files, own["bytes"], f"{max(own['promise'].values()):.2g}"))
    for name, why in tree["left_out"].items():
        lines += ["", f"Left out: {name}, because {why}."]
    return "\n".join(lines) + "\n"


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _examples(trained: Trained) -> str:
    field = next(iter(trained.data.fields.values()))
    if field.values is None or not len(field.values):
        return "[]"
    return repr([field.values[field.values.first]])
