"""What MLflow's pages say of an experiment, a run and a sweep: descriptions in Markdown.

MLflow's metrics have no unit and no text of their own, so the experiment's description lists them all, and a run's
has its main numbers with their units.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.settings import without_password
from bench.tracking import content, view

TAG = "mlflow.note.content"
"""MLflow's tag of a description."""

METRICS: Mapping[str, tuple[str, str]] = {
    "val_mae": ("of the label", "mean absolute error on the evaluation rows"),
    "val_rmse": ("of the label", "root mean squared error on the evaluation rows"),
    "val_loss": ("label squared", "mean squared error on the evaluation rows"),
    "train_loss": ("label squared", "mean squared error while training, averaged over an epoch"),
    "validation_mae": ("of the label", "mean absolute error on the rows set apart for choosing"),
    "validation_loss": ("label squared", "mean squared error on those"),
    "val_mae_by_decile": (
        "of the label",
        ".01 to .10: `val_mae` by tenths of the items, the most popular first",
    ),
    "embedding_bytes": ("bytes", "resident to serve the embeddings from integer ids, id maps included"),
    "full_embedding_bytes": ("bytes", "the same with one float32 row an id"),
    "compression_ratio": ("times", "`full_embedding_bytes / embedding_bytes`: above 1 is smaller"),
    "bytes": ("bytes", "`embedding_bytes` by `.tables`, `.networks`, `.maps`, `.codes`, `.other`"),
    "model_bytes": ("bytes", "the embeddings and all other variables of the model"),
    "optimizer_bytes": ("bytes", "held while training beside the model"),
    "peak_rss_bytes": ("bytes", "highest resident memory of the process"),
    "params_total": ("numbers", "trainable numbers of the model"),
    "params_embedding": ("numbers", "of these in the embeddings, projections included"),
    "step_time_ms": ("ms", "a training step: median over chunks after compilation"),
    "step_time_ms_p95": ("ms", "its 95th percentile"),
    "examples_per_second": ("1/s", "trained, over all chunks"),
    "lookup_us": ("µs", "to look up one batch of ids in all fields, median"),
    "data_s": ("s", "reading or preparing the data"),
    "compile_s": ("s", "tracing and compiling, before the first step"),
    "train_s": ("s", "training, all epochs"),
    "eval_s": ("s", "all evaluations"),
    "total_s": ("s", "from the start of the run, imports and MLflow included"),
}
"""Unit and meaning of every metric."""

OF_SWEEP: Mapping[str, str] = {
    "runs": "runs that the sweep asks for",
    "runs.finished": "those that have numbers, of this command or an earlier one",
    "runs.skipped": "of these: had finished before, and were not trained again",
    "runs.failed": "those that failed",
    "runs.refused": "those whose budget cannot be met",
    "runs.missing": "those that an interrupt left out",
}
"""Tags of a sweep's own run. As metrics they would stand among the charts of errors and bytes."""

MAIN = (
    "val_mae", "val_rmse", "embedding_bytes", "compression_ratio", "params_embedding",
    "step_time_ms", "lookup_us", "total_s",
)  # fmt: skip
"""The metrics in a run's description."""


def experiment_tags() -> dict[str, str]:
    """What an experiment is given once: its description, that its runs train models, and a saved view."""
    kind = {"mlflow.experimentKind": "custom_model_development"}
    return {TAG: of_experiment(), **kind, view.TAG: view.saved()}


def of_experiment() -> str:
    """The description of an experiment: what its metrics mean, and their units."""
    return "\n".join(
        [
            "Compressed embedding tables of recommender models: memory, error and step time.",
            "",
            f"Runs of a sweep lie below the sweep's own run. For the trade-off, choose {view.NAME} under Views.",
            "",
            *_table(("metric", "unit", "meaning"), [(f"`{n}`", *said) for n, said in METRICS.items()]),
            "",
            "Tags of a sweep's own run:",
            "",
            *_table(("tag", "meaning"), [(f"`{n}`", said) for n, said in OF_SWEEP.items()]),
        ]
    )


def of_run(result: Mapping[str, Any], folder: Path) -> str:
    """The description of a run that has ended: its main numbers, and the command that repeats it.

    Args:
        result: of the run.
        folder: its output folder.
    """
    said = [str(result["error"]), ""] if result.get("error") else []
    numbers = [
        (f"`{name}`", _shown(name, result[name]), METRICS[name][0])
        for name in MAIN
        if result.get(name) is not None
    ]
    said += [*_table(("metric", "value", "unit"), numbers), ""] if numbers else []
    overrides = content.overrides(folder)
    if overrides is not None:
        again = shlex.join(["python", "-m", "bench.run", *overrides, "resume=false"])
        said += ["Again:", "", "```", without_password(again), "```"]
    return "\n".join(said)


def of_sweep(
    command: str, counts: Mapping[str, int], elsewhere: Sequence[str] = (), run_id: str | None = None
) -> str:
    """The description of a sweep's own run.

    Args:
        command: repeats it, or goes on with it.
        counts: how many runs ended how, by the names of ``OF_SWEEP``.
        elsewhere: ids of runs that had finished under another sweep, or under none.
        run_id: of the sweep's own run, for the search that finds those below it.
    """
    ended = ", ".join(f"{n} {name.removeprefix('runs.')}" for name, n in counts.items() if n and "." in name)
    said = [f"{counts.get('runs', 0)} runs: {ended or 'none has ended yet'}.", ""]
    if elsewhere:
        said += [f"{len(elsewhere)} had finished before this sweep and stay where they are: `runs.csv`.", ""]
    if run_id:
        said += [f"Only its runs, in any view: search `tags.mlflow.parentRunId = '{run_id}'`.", ""]
    return "\n".join([*said, "Again, or what is missing of it:", "", "```", command, "```"])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def _shown(name: str, value: float) -> str:
    unit = METRICS[name][0]
    if unit == "bytes":
        return f"{results.count(int(value))} ({results.short_size(int(value))})"
    return results.count(int(value)) if unit == "numbers" else f"{value:.5g}"
