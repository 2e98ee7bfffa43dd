"""Descriptions in Markdown on MLflow's pages: of an experiment, a run and a sweep.

MLflow's metrics have no unit and no text of their own. So the experiment's description lists all of them, and a run's
description has its main numbers with their units.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.config.secrets import without_password
from bench.measure import units
from bench.records import naming
from bench.records.result import METRICS, Result
from bench.records.sweeps import COUNTS, SweepRecord
from bench.tracking import view

TAG = "mlflow.note.content"
"""MLflow's tag of a description."""

MOST_LETTERS = 5000
"""The longest tag of an experiment that MLflow takes."""


def experiment_tags() -> dict[str, str]:
    """Gives what an experiment gets once: its description, its kind (its runs train models), and a saved view."""
    kind = {"mlflow.experimentKind": "custom_model_development"}
    return {TAG: of_experiment(), **kind, view.TAG: view.saved()}


def of_experiment() -> str:
    """Gives the description of an experiment: unit and meaning of its metrics, as many as MLflow takes."""
    metrics = [
        (f"`{name}`", one.unit, one.meaning)
        for name, one in sorted(METRICS.items(), key=lambda item: not item[1].main)
        if name != "history"
    ]
    lines = [
        "Compressed embedding tables of recommender models: memory, error and step time.",
        "",
        f"Runs of a sweep lie below the sweep's own run. For the trade-off, choose {view.NAME} under Views.",
        "",
        "Tags of a sweep's own run:",
        "",
        *_table(("tag", "meaning"), [(f"`{name}`", meaning) for name, meaning in COUNTS.items()]),
        "",
        *_table(("metric", "unit", "meaning"), metrics),
    ]
    while len("\n".join(lines)) > MOST_LETTERS:
        lines.pop()
    return "\n".join(lines)


def of_run(result: Result, folder: Path) -> str:
    """Gives the description of a run that has ended: its main numbers, and the command that repeats it.

    Args:
        result: of the run.
        folder: its output folder, or its record, which does not hold the command.
    """
    said = [str(result.error), ""] if result.error else []
    numbers = [
        (f"`{name}`", _shown(one.unit, value), one.unit)
        for name, one in METRICS.items()
        if one.main and (value := result.metric(name)) is not None
    ]
    said += [*_table(("metric", "value", "unit"), numbers), ""] if numbers else []
    overrides = naming.overrides(folder)
    if overrides is not None:
        again = shlex.join(["python", "-m", "bench.run", *overrides, "resume=false"])
        said += ["Again:", "", "```", without_password(again), "```"]
    return "\n".join(said)


def of_sweep(sweep: SweepRecord, run_id: str) -> str:
    """Gives the description of a sweep's own run.

    Args:
        sweep: the sweep.
        run_id: of its own run, for the search that finds the runs below it.
    """
    counts = sweep.counts()
    ended = ", ".join(f"{n} {name.removeprefix('runs.')}" for name, n in counts.items() if n and "." in name)
    said = [f"{counts['runs']} runs: {ended or 'none has ended yet'}.", ""]
    elsewhere = {job.fingerprint for job in sweep.jobs if job.fingerprint} - set(sweep.trained)
    if elsewhere:
        said += [f"{len(elsewhere)} had finished before this sweep and stay where they are: `runs.csv`.", ""]
    said += [f"Only its runs, in any view: search `tags.mlflow.parentRunId = '{run_id}'`.", ""]
    return "\n".join([*said, "Again, or what is missing of it:", "", "```", sweep.command, "```"])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def _shown(unit: str, value: float) -> str:
    if unit == "bytes":
        return f"{units.count(int(value))} ({units.short_size(int(value))})"
    return units.count(int(value)) if unit == "numbers" else f"{value:.5g}"
