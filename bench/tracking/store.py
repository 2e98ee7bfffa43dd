"""Writes to MLflow. These functions are called in MLflow's process."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import OmegaConf

from bench.errors import BenchError
from bench.measure.apart import has_ended, this_process
from bench.records import naming, showing
from bench.records import result as results
from bench.records.files import link_or_copy
from bench.records.result import Result, Status
from bench.records.store import MODEL_SUMMARY, WEIGHTS
from bench.records.sweeps import SweepRecord
from bench.tracking import content, notes
from bench.tracking.client import connected, experiment_of, in_mlflow, known_experiment, local
from bench.tracking.inputs import Data
from bench.tracking.target import Target

PARENT_TAG, SWEEP_TAG, PROCESS_TAG, REMOVED_TAG = "mlflow.parentRunId", "sweep", "process", "removed"
"""Tags: the run below which MLflow lists a run; the key of a sweep, of its own run; the process that a run belongs to;
that a run was deleted because its record was removed."""

BATCH_PARAMS, BATCH_METRICS = 100, 900
"""MLflow takes 100 parameters, 100 tags and 1,000 of all in a request."""

SOURCE = {"mlflow.source.name": "python -m bench.run", "mlflow.source.type": "LOCAL"}

_open: dict[str, tuple[Target, int | None]] = {}
"""The runs that have not ended, and the thread that opened each; None for a sweep's own run."""

_sweeps: dict[tuple[Target, str], str] = {}
"""The own runs of sweeps that are open, by the sweep's key."""

_below: set[str] = set()
"""The runs that were opened here below one of these."""


@in_mlflow
def open_run(
    target: Target, head: Result, folder: Path | None, data: Data | None, sweep: SweepRecord | None
) -> str:
    """Creates a run that is RUNNING; gives its id. Equal runs of killed processes of this machine are marked KILLED.

    Args:
        target: where.
        head: what is known of the result.
        folder: the output folder.
        data: what the run trains on.
        sweep: the sweep that the run belongs to.
    """
    with connected(target) as client:
        for run in equal_runs(client, experiment_of(target, client), head.fingerprint):
            if _is_left(run):
                client.set_terminated(run.info.run_id, "KILLED")
        above = {} if sweep is None else {PARENT_TAG: _own_run(target, client, sweep)}
        run_id = _create(target, client, head, folder, above=above)
        if above:
            _below.add(run_id)
        if data is not None:
            entities = importlib.import_module("mlflow.entities")
            tags = [entities.InputTag("mlflow.data.context", "training")]
            with _passing_over_refusals():  # as of an old server, or where an equal one came first
                client.log_inputs(run_id, [entities.DatasetInput(entities.Dataset(**asdict(data)), tags)])
    return run_id


def _create(
    target: Target,
    client: Any,
    head: Result,
    folder: Path | None,
    began: int | None = None,
    above: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Creates a run with its tags, those of ``above`` among them: a process killed later leaves it in its place."""
    own = content.tags(head.with_(status=None, error=None))
    tags = {**SOURCE, PROCESS_TAG: this_process(), **own, **above}
    if commit := (head.environment or {}).get("git_commit"):
        tags["mlflow.source.git.commit"] = str(commit).partition("+")[0]
    experiment, name = experiment_of(target, client), naming.run_name(head, naming.overrides(folder) or ())
    run_id = str(client.create_run(experiment, began, tags, name).info.run_id)
    _open[run_id] = target, threading.get_ident()
    param = importlib.import_module("mlflow.entities").Param
    params = [param(*item) for item in content.params(head).items()]
    for at in range(0, len(params), BATCH_PARAMS):
        client.log_batch(run_id, params=params[at : at + BATCH_PARAMS])
    return run_id


@in_mlflow
def log_result(target: Target, run_id: str, result: Result, folder: Path) -> None:
    """Logs a result and what lies beside it in ``folder``, and ends the run."""
    entities, now = importlib.import_module("mlflow.entities"), int(time.time() * 1000)
    items = [entities.Metric(name, value, now, step) for name, value, step in content.metrics(result)]
    with tempfile.TemporaryDirectory() as staged, connected(target) as client:
        _stage(result.with_(run_id=run_id), folder, Path(staged))
        client.log_artifacts(run_id, staged)
        if result.setting("save_weights") and (folder / WEIGHTS).exists():
            _log_weights(client, run_id, folder / WEIGHTS)
        for at in range(0, len(items), BATCH_METRICS):
            client.log_batch(run_id, metrics=items[at : at + BATCH_METRICS])
        _tag(client, run_id, {**content.tags(result), notes.TAG: notes.of_run(result, folder)})
        # the last thing written: a run that is FINISHED has everything
        status = "FINISHED" if result.status == Status.FINISHED else "FAILED"
        client.set_terminated(run_id, status, _ended(folder))
    _open.pop(run_id, None)


def _log_weights(client: Any, run_id: str, weights: Path) -> None:
    """Makes weights an artifact: another name of the same file, where artifacts lie on the same disk."""
    artifacts = local(client.get_run(run_id).info.artifact_uri)
    if artifacts is None:
        client.log_artifact(run_id, str(weights))
    else:
        artifacts.mkdir(parents=True, exist_ok=True)
        link_or_copy(weights, artifacts / WEIGHTS)


def _ended(folder: Path) -> int:
    """Gives when the run in a folder ended, in milliseconds since 1970."""
    path = folder / results.FILE
    return int(1000 * (path.stat().st_mtime if path.exists() else time.time()))


def _stage(result: Result, folder: Path, staged: Path) -> None:
    """Puts the artifacts of a run into ``staged``."""
    config = OmegaConf.to_yaml(OmegaConf.create(dict(result.settings or {})))
    history = showing.history_csv(result.history) if result.history else ""
    for file, text in {"config.yaml": config, results.FILE: result.to_json(), "history.csv": history}.items():
        if text:
            (staged / file).write_text(text, encoding="utf-8")
    if (folder / MODEL_SUMMARY).exists():
        shutil.copy(folder / MODEL_SUMMARY, staged)


@in_mlflow
def end_run(target: Target, run_id: str, status: str) -> None:
    """Marks a run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
    with connected(target) as client:
        client.set_terminated(run_id, status)
    _open.pop(run_id, None)


def end_all(opened_by: int | None) -> None:
    """Marks the runs of one thread that are still open KILLED, or all, where their stores can be reached."""
    for run_id, (target, thread) in list(_open.items()):
        if opened_by in (None, thread):
            with contextlib.suppress(BenchError):
                end_run(target, run_id, "KILLED")


@in_mlflow
def send(target: Target, result: Result, folder: Path) -> tuple[str, bool]:
    """Logs a result where MLflow lacks it; gives the run's id, and whether anything was sent.

    An equal run that has its result stays as it is, also one that was deleted in MLflow's pages. What is left of one
    that has not is completed.

    Args:
        target: where.
        result: of a run that has finished or failed, with its fingerprint.
        folder: its output folder or its record, absolute.

    Raises:
        TrackingError: the store cannot be reached or written to.
    """
    with connected(target) as client:
        equal = equal_runs(client, experiment_of(target, client), result.fingerprint, deleted=True)
        enough = ("FINISHED",) if result.status == Status.FINISHED else ("FINISHED", "FAILED")
        for run in equal:
            if run.info.status in enough and "status" in run.data.tags:
                return str(run.info.run_id), False
        left = [run.info for run in equal if run.info.run_id == result.run_id or _is_left(run)]
        run_id = next((str(info.run_id) for info in left if info.lifecycle_stage == "active"), None)
        began = _ended(folder) - int(1000 * (result.total_s or 0))
        run_id = run_id or _create(target, client, result, folder, began)
    log_result(target, run_id, result, folder)
    return run_id, True


@in_mlflow
def delete(target: Target, fingerprints: Collection[str]) -> int:
    """Deletes the runs with some fingerprints from an experiment; gives how many there were.

    Raises:
        TrackingError: the store cannot be reached or written to.
    """
    if target.database is not None and not target.database.exists():
        return 0
    with connected(target) as client:
        known = known_experiment(target, client)
        runs = [run for one in fingerprints if known for run in equal_runs(client, known.experiment_id, one)]
        for run in runs:
            client.set_tag(run.info.run_id, REMOVED_TAG, "true")
            client.delete_run(run.info.run_id)
    return len(runs)


def delete_weights(target: Target, fingerprints: Collection[str]) -> None:
    """Deletes the weights among the artifacts of the runs with some fingerprints, where artifacts lie on this machine.

    Raises:
        TrackingError: the store cannot be reached or written to.
    """
    if target.database is not None and not target.database.exists():
        return
    with connected(target) as client:
        known = known_experiment(target, client)
        for run in (
            run for one in fingerprints if known for run in equal_runs(client, known.experiment_id, one)
        ):
            artifacts = local(run.info.artifact_uri)
            if artifacts is not None:
                (artifacts / WEIGHTS).unlink(missing_ok=True)


def _own_run(target: Target, client: Any, sweep: SweepRecord) -> str:
    """Gives the id of a sweep's own run, which is RUNNING: the latest with its key, or a new one."""
    known = _sweeps.get((target, sweep.key))
    if known is not None:
        return known
    experiment = experiment_of(target, client)
    found = client.search_runs([experiment], f"tags.{SWEEP_TAG} = '{sweep.key}'", max_results=1)
    run_id = str(found[0].info.run_id if found else client.create_run(experiment).info.run_id)
    if not found or found[0].data.tags.get(PROCESS_TAG) != sweep.process:
        client.update_run(run_id, status="RUNNING", name=sweep.name)
        tags = {SWEEP_TAG: sweep.key, PROCESS_TAG: sweep.process, "command": sweep.command}
        _tag(client, run_id, {**SOURCE, **tags, "output_dir": sweep.folder})
        _open[run_id] = target, None  # else the sweep's command has opened it, on another machine
    _sweeps[target, sweep.key] = run_id
    return run_id


@in_mlflow
def begin_sweep(target: Target, sweep: SweepRecord) -> None:
    """Opens a sweep's own run."""
    with connected(target) as client:
        _own_run(target, client, sweep)


@in_mlflow
def upload(target: Target, sweep: SweepRecord, folder: Path, to: str) -> None:
    """Makes a folder's files artifacts of a sweep's own run, below ``to``."""
    with connected(target) as client:
        client.log_artifacts(_own_run(target, client, sweep), str(folder), to)


@in_mlflow
def end_sweep(target: Target, sweep: SweepRecord, found: Sequence[Result]) -> None:
    """Logs how a sweep's runs ended and ends its own run. Where none of them came to MLflow, nothing is done.

    Args:
        target: where.
        sweep: what became of its runs.
        found: their results, with MLflow's ids.
    """
    by_fingerprint = {one.fingerprint: one for one in found if one.run_id}
    trained = {str(by_fingerprint[name].run_id) for name in sweep.trained if name in by_fingerprint}
    if (target, sweep.key) not in _sweeps and not trained:
        return
    with tempfile.TemporaryDirectory() as staged, connected(target) as client:
        run_id = _own_run(target, client, sweep)
        Path(staged, "runs.csv").write_text(sweep.table(by_fingerprint), encoding="utf-8")
        client.log_artifacts(run_id, staged)
        for child in trained - _below:  # trained on other machines, or sent later
            with _passing_over_refusals():
                client.set_tag(child, PARENT_TAG, run_id)
        counts = {name: str(count) for name, count in sweep.counts().items()}
        _tag(client, run_id, {notes.TAG: notes.of_sweep(sweep, run_id), **counts})
        status = {"finished": "FINISHED", "failed": "FAILED"}.get(sweep.status, "KILLED")
        client.set_terminated(run_id, status)
    _open.pop(_sweeps.pop((target, sweep.key)), None)


@in_mlflow
def send_sweep(target: Target, sweep: SweepRecord, found: Sequence[Result]) -> bool:
    """Does what ``end_sweep`` does for a sweep that MLflow lacks; tells whether it did."""
    with connected(target) as client:
        view = importlib.import_module("mlflow.entities").ViewType.ALL
        experiment, wanted = experiment_of(target, client), f"tags.{SWEEP_TAG} = '{sweep.key}'"
        if client.search_runs([experiment], wanted, view, max_results=1):
            return False
    end_sweep(target, sweep, found)
    return True


def equal_runs(client: Any, experiment: str, fingerprint: str | None, deleted: bool = False) -> list[Any]:
    """Gives the runs with a fingerprint, the latest first; under ``deleted`` also those deleted in MLflow's pages."""
    views = importlib.import_module("mlflow.entities").ViewType
    wanted, view = f"tags.fingerprint = '{fingerprint}'", views.ALL if deleted else views.ACTIVE_ONLY
    found = client.search_runs([experiment], wanted, view, max_results=100)
    return [run for run in found if REMOVED_TAG not in run.data.tags]


def _is_left(run: Any) -> bool:
    """Tells whether a run is RUNNING for a process of this machine that has ended."""
    return run.info.status == "RUNNING" and has_ended(run.data.tags.get(PROCESS_TAG, ""))


def _passing_over_refusals() -> contextlib.AbstractContextManager[None]:
    return contextlib.suppress(importlib.import_module("mlflow.exceptions").MlflowException)


def _tag(client: Any, run_id: str, tags: Mapping[str, str]) -> None:
    entities = importlib.import_module("mlflow.entities")
    client.log_batch(run_id, tags=[entities.RunTag(name, value) for name, value in tags.items()])
