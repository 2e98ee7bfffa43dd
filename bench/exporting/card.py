"""The model card of an export, ``README.md``."""

from __future__ import annotations

from collections.abc import Mapping
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


def text(trained: Trained, tree: Mapping[str, Any]) -> str:
    """Writes the card.

    Args:
        trained: the trained model.
        tree: the manifest.
    """
    result, size = trained.result, tree["bytes"]
    ratio = f", {result.compression_ratio:.1f} times smaller than full" if result.compression_ratio else ""
    lines = [
        f"# {result.strategy} on {result.dataset}",
        "",
        f"Embedding tables and the model `{result.setting('model.name')}`, exported by embedding-bench "
        f"{tree['bench_version']}. `export.json` describes the files, `arrays.safetensors` holds all numbers. There is "
        "no code in this folder.",
        "",
        f"- Embeddings: {units.short_size(size['served'])}{ratio}.",
        f"- Ids: {units.short_size(size['ids'])}. Model: {units.short_size(size['head'])}.",
        f"- Task: {result.task}, seed {result.seed}. Fingerprint of the run: `{result.fingerprint}`.",
        "",
        "## Use",
        "",
        "```python",
        "from bench.serving import load  # needs NumPy alone",
        "",
        'tables = load("THIS FOLDER")',
        f'tables.lookup("{next(iter(tree["fields"]))}", {_examples(trained)})',
        "```",
        "",
        "## Fields",
        "",
        "| field | method | settings | ids | kind of ids | unknown ids | largest difference from Keras |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, own in tree["fields"].items():
        unknown = "an error" if own["unknown_row"] is None else f"an error, or row {own['unknown_row']}"
        apart = f"{tree['promise'][f'fields.{name}']:.2g}"
        settings = ", ".join(f"{key}={shown(value)}" for key, value in own["settings"].items()) or "-"
        kind = KINDS[own["ids"]["kind"]]
        row = (name, own["method"], settings, own["size"], kind, unknown, apart)
        lines.append(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |")
    lines += ["", "## Errors on the evaluation rows", "", "| metric | value |", "| --- | --- |"]
    for name, metric in METRICS.items():
        value = result.metric(name)
        if name.startswith("val_") and metric.unit != "seconds" and value is not None:
            lines.append(f"| {name} | {value:.6g} |")
    if tree["formats"]:
        lines += [
            "",
            "## Formats",
            "",
            "| format | files | bytes | largest difference from Keras |",
            "| --- | --- | --- | --- |",
        ]
    for name, own in tree["formats"].items():
        files = ", ".join(f"`{file}`" for file in own["files"])
        lines.append(f"| {name} | {files} | {own['bytes']} | {max(own['promise'].values()):.2g} |")
    for name, why in tree["left_out"].items():
        lines += ["", f"Left out: {name}, because {why}."]
    return "\n".join(lines) + "\n"


def _examples(trained: Trained) -> str:
    field = next(iter(trained.data.fields.values()))
    if field.values is None or not len(field.values):
        return "[]"
    return repr([field.values[field.values.first]])
