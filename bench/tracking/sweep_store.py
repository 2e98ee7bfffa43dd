"""What is done in MLflow for a sweep, by functions that are called in its process: as those of ``store``."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tracking import lease, notes
from bench.tracking.client import connected, experiment_of, said_in_a_line
from bench.tracking.open_runs import forget, keep
from bench.tracking.target import Target

PARENT_TAG = "mlflow.parentRunId"
"""MLflow's: the run below which its pages list a run."""

SWEEP_TAG = "sweep"
"""A sweep's own run has it: the sweep's key."""

RUNS_FILE = "runs.csv"
"""A sweep's artifact: a line a run."""

PAGE = 1000

COLUMNS = (
    "run", "status", "overrides", "run_id", "strategy", "seed", "embedding_bytes", "compression_ratio", "val_mae",
    "val_rmse", "step_time_ms", "message",
)  # fmt: skip


_known: dict[tuple[Target, str], str] = {}
"""The runs of sweeps that are open here, by the sweep's key."""

children: dict[str, set[str]] = {}
"""The runs that were opened here below the run of a sweep."""


@dataclass(frozen=True)
class Opening:
    """What it takes to open the run of a sweep; goes to every process that runs a part of it.

    Attributes:
        key: what tells this sweep from others.
        name: of its run.
        tags: of its run: ``command``, ``process``, ``output_dir``.
        again: whether the run of an earlier command with this key is taken up.
        makes: whether any of the sweep's runs makes it, where it is not there. On a cluster, where runs begin on many
            machines at once, only the command does.
    """

    key: str
    name: str
    tags: Mapping[str, str]
    again: bool = True
    makes: bool = True


def open_sweep(target: Target, client: Any, experiment: str, sweep: Opening) -> str:
    """The id of a sweep's own run, which is RUNNING: an earlier command's, or a new one."""
    found = _latest(client, experiment, sweep.key)
    tags = {**sweep.tags, SWEEP_TAG: sweep.key, lease.HEARTBEAT_TAG: str(time.time())}
    if found is None or not sweep.again:
        run_id, elsewhere = (
            str(client.create_run(experiment, run_name=sweep.name, tags=tags).info.run_id),
            False,
        )
    else:
        run_id, own = str(found.info.run_id), found.data.tags
        elsewhere = found.info.status == "RUNNING" and own.get(lease.PROCESS_TAG) != tags[lease.PROCESS_TAG]
        if elsewhere and lease.is_leftover(own):
            tags[lease.LEFTOVER_TAG], elsewhere = "its process is gone", False
        if found.info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING", name=sweep.name)
        _tag(client, run_id, tags)
    if not elsewhere:  # else another command is at the same sweep, and marks the run if it should end early
        keep(target, run_id)
    _known[target, sweep.key] = run_id
    return run_id


def run_above(target: Target, client: Any, experiment: str, sweep: Opening) -> str | None:
    """The id of the run below which those of a sweep are listed, made where this process may; None without one."""
    known = _known.get((target, sweep.key))
    if known is not None or sweep.makes:
        return known or open_sweep(target, client, experiment, sweep)
    found = _latest(client, experiment, sweep.key)
    return str(found.info.run_id) if found else None


def _latest(client: Any, experiment: str, key: str) -> Any:
    found = client.search_runs([experiment], f"tags.{SWEEP_TAG} = '{key}'", max_results=1)
    return found[0] if found else None


@said_in_a_line
def begin_sweep(target: Target, sweep: Opening) -> str:
    """Opens a sweep's own run; returns its id."""
    known = _known.get((target, sweep.key))
    if known is not None:
        return known
    with connected(target) as client:
        return open_sweep(target, client, experiment_of(target, client), sweep)


@said_in_a_line
def end_sweep(target: Target, sweep: Opening, status: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Logs how a sweep's runs ended, and ends its own run; nothing where no run has come to MLflow.

    Args:
        target: where.
        sweep: the sweep.
        status: ``FINISHED``, ``FAILED`` or ``KILLED``.
        runs: a row each, by the names of ``COLUMNS``; ``status`` of one that has not ended is ``missing``.
    """
    if (target, sweep.key) not in _known and not any(row.get("run_id") for row in runs):
        return
    run_id = begin_sweep(target, sweep)
    with tempfile.TemporaryDirectory() as staged, connected(target, alone=False) as client:
        (Path(staged) / RUNS_FILE).write_text(table(runs), encoding="utf-8")
        client.log_artifacts(run_id, staged)
    counts = {"runs": len(runs)} | {
        name: sum(row["status"] in _counted(name) for row in runs) for name in notes.OF_SWEEP if "." in name
    }
    with connected(target) as client:
        elsewhere = _adopt(client, run_id, runs)
        said = {notes.TAG: notes.of_sweep(sweep.tags["command"], counts, elsewhere, run_id)}
        _tag(client, run_id, {**said, **{name: str(count) for name, count in counts.items()}})
        client.set_terminated(run_id, status)
    forget(run_id)
    _known.pop((target, sweep.key), None)
    children.pop(run_id, None)


def _counted(name: str) -> tuple[str, ...]:
    status = name.partition(".")[2]
    return ("finished", "skipped") if status == "finished" else (status,)


def _adopt(client: Any, run_id: str, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Puts what other machines trained below the sweep's run where they did not; returns what is not of this sweep."""
    trained = [row["run_id"] for row in runs if row["status"] == "finished" and row.get("run_id")]
    for child in set(trained) - children.get(run_id, set()):
        with contextlib.suppress(importlib.import_module("mlflow.exceptions").MlflowException):
            client.set_tag(child, PARENT_TAG, run_id)
    skipped = [row["run_id"] for row in runs if row["status"] == "skipped" and row.get("run_id")]
    if not skipped:
        return []
    below = _below(client, run_id)
    return [child for child in dict.fromkeys(skipped) if child not in below]


def _below(client: Any, run_id: str) -> set[str]:
    """The ids of the runs below one."""
    found: set[str] = set()
    experiment, token = client.get_run(run_id).info.experiment_id, None
    while True:
        page = client.search_runs(
            [experiment], f"tags.{PARENT_TAG} = '{run_id}'", max_results=PAGE, page_token=token
        )
        found.update(run.info.run_id for run in page)
        token = page.token
        if not token:
            return found


@said_in_a_line
def upload(target: Target, run_id: str, folder: Path, to: str) -> None:
    """Makes a folder's files artifacts of a run."""
    with connected(target, alone=False) as client:
        client.log_artifacts(run_id, str(folder), to)


def upload_to_sweep(target: Target, sweep: Opening, folder: Path, to: str) -> None:
    """The same for the run of a sweep, which is made where it is not there."""
    upload(target, begin_sweep(target, sweep), folder, to)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """A line a run, as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(runs)
    return text.getvalue()


def _tag(client: Any, run_id: str, tags: Mapping[str, str]) -> None:
    entities = importlib.import_module("mlflow.entities")
    client.log_batch(run_id, tags=[entities.RunTag(name, value) for name, value in tags.items()])
