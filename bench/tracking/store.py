"""What is done in MLflow for a run, by functions that are called in its process.

Each takes the target first, and has what goes wrong said in one line.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bench import results
from bench.errors import BenchError
from bench.tracking import content, lease, notes
from bench.tracking.client import connected, experiment_of, said_in_a_line
from bench.tracking.inputs import Data
from bench.tracking.open_runs import forget, keep, open_runs
from bench.tracking.sweep_store import PARENT_TAG, Opening, children, run_above
from bench.tracking.target import Target

MODEL_SUMMARY = "model.txt"
"""The file of an output folder that holds the model's summary."""

BATCH_PARAMS, BATCH_METRICS = 100, 900  # MLflow takes 100 parameters, 100 tags and 1,000 of all in a request


@dataclass(frozen=True)
class Opened:
    """A run that exists: MLflow's id of it, whether it has finished already, and who trains an equal one."""

    run_id: str
    complete: bool = False
    taken: str | None = None


@dataclass(frozen=True)
class Found:
    """A finished run's result, or None.

    Attributes:
        result: as it was written.
        unreadable: what is wrong with finished runs whose result cannot be read.
        taken: who trains an equal run on another machine.
    """

    result: dict[str, Any] | None
    unreadable: tuple[str, ...] = ()
    taken: str | None = None


@said_in_a_line
def open_run(
    target: Target,
    name: str,
    tags: Mapping[str, str],
    params: Mapping[str, str],
    run_id: str | None,
    sweep: Opening | None = None,
    data: Data | None = None,
) -> Opened:
    """Creates a run that is RUNNING, or takes up the one called ``run_id`` where the store knows it.

    Args:
        target: where.
        name: of a new run.
        tags: of a new run.
        params: its settings.
        run_id: of a run that may be there.
        sweep: the sweep that a new run belongs to.
        data: what it trains on.
    """
    with connected(target) as client:
        entities = importlib.import_module("mlflow.entities")
        experiment = experiment_of(target, client)
        opened = _known(client, run_id) if run_id else None
        if opened is None:
            signs = {lease.HEARTBEAT_TAG: str(time.time())} if lease.PROCESS_TAG in tags else {}
            above = run_above(target, client, experiment, sweep) if sweep else None
            signs.update({PARENT_TAG: above} if above else {})
            made = client.create_run(experiment, run_name=name, tags={**tags, **signs})
            if above:
                children.setdefault(above, set()).add(made.info.run_id)
            opened = Opened(made.info.run_id, taken=_earlier(client, experiment, made))
        if opened.taken:
            client.delete_run(opened.run_id)
            return opened
        if not opened.complete:
            keep(target, opened.run_id, threading.get_ident())
        items = [entities.Param(key, value) for key, value in params.items()]
        for at in range(0, len(items), BATCH_PARAMS):
            client.log_batch(opened.run_id, params=items[at : at + BATCH_PARAMS])
        if data is not None and not opened.complete:
            _log_input(client, opened.run_id, data)
    return opened


def _log_input(client: Any, run_id: str, data: Data) -> None:
    entities = importlib.import_module("mlflow.entities")
    dataset = entities.Dataset(**asdict(data))
    used = entities.DatasetInput(dataset, [entities.InputTag("mlflow.data.context", "training")])
    with contextlib.suppress(importlib.import_module("mlflow.exceptions").MlflowException):
        client.log_inputs(
            run_id, [used]
        )  # for show: an old server, or another machine's equal one, ends no run


@said_in_a_line
def log_result(target: Target, run_id: str, result: Mapping[str, Any], folder: Path) -> None:
    """Logs a result that lies in ``folder``, and ends the run."""
    with tempfile.TemporaryDirectory() as staged, connected(target, alone=False) as client:
        _stage(result, folder, Path(staged))
        client.log_artifacts(run_id, staged)
        if (folder / results.WEIGHTS).exists():
            client.log_artifact(run_id, str(folder / results.WEIGHTS))
    entities = importlib.import_module("mlflow.entities")
    now = int(time.time() * 1000)
    items = [entities.Metric(name, value, now, step) for name, value, step in content.metrics(result)]
    named = {**content.result_tags(result), notes.TAG: notes.of_run(result, folder)}
    tags = [entities.RunTag(name, value) for name, value in named.items()]
    with connected(target) as client:
        for at in range(0, max(len(items), 1), BATCH_METRICS):
            client.log_batch(run_id, metrics=items[at : at + BATCH_METRICS], tags=tags)
    # the last thing written: a run that is FINISHED has everything
    end_run(target, run_id, "FINISHED" if result["status"] == results.Status.FINISHED else "FAILED")


@said_in_a_line
def end_run(target: Target, run_id: str, status: str) -> None:
    """Marks a run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
    with connected(target) as client:
        client.set_terminated(run_id, status)
    forget(run_id)


def end_all(status: str, opened_by: int | None = None) -> None:
    """Marks all runs that are still open, or those of one thread, where their stores can be reached."""
    for run_id, (target, thread) in list(open_runs.items()):
        if opened_by in (None, thread):
            with contextlib.suppress(BenchError):
                end_run(target, run_id, status)


@said_in_a_line
def find_result(target: Target, fingerprint: str, folder: Path) -> Found:
    """The result of the latest finished run with this fingerprint; its weights, if it saved any, in ``folder``."""
    with connected(target) as client:
        experiment = client.get_experiment_by_name(target.experiment)
        if experiment is None:
            return Found(None)
        runs = _equal_runs(client, experiment.experiment_id, fingerprint)
        open_runs = [run for run in runs if run.info.status == "RUNNING"]
        leftovers = [run for run in open_runs if lease.is_leftover(run.data.tags)]
        for run in leftovers:  # of a kill that took MLflow's process too, or a lost machine
            client.set_tag(run.info.run_id, lease.LEFTOVER_TAG, "its process is gone")
            client.set_terminated(run.info.run_id, "KILLED")
    for run in leftovers:
        recovered = _left_in_folder(run)
        if recovered is not None:  # killed between the last step and the last word to MLflow
            log_result(target, run.info.run_id, recovered, Path(run.data.tags[lease.FOLDER_TAG]))
            return Found(recovered)
    finished = [run for run in runs if run.info.status == "FINISHED"][:1]
    elsewhere = [trainer for run in open_runs if (trainer := lease.alive_elsewhere(run.data.tags))]
    taken = elsewhere[0].host if elsewhere else None
    unreadable = []
    for run in finished:
        try:
            with tempfile.TemporaryDirectory() as fetched:
                client.download_artifacts(run.info.run_id, results.FILE, fetched)
                result = results.read(Path(fetched))
            if (result.get("settings") or {}).get("save_weights"):
                client.download_artifacts(run.info.run_id, results.WEIGHTS, str(folder))
            return Found(result)
        except Exception as error:  # of MLflow, a file system, a network
            reason = str(error) if isinstance(error, BenchError) else type(error).__name__
            unreadable.append(f"run {run.info.run_id} has finished but its result cannot be read: {reason}")
    return Found(None, tuple(unreadable), taken)


@said_in_a_line
def find_sent(target: Target, run_id: str | None, fingerprint: str | None) -> str | None:
    """The run that has a result already: the one of that id, or a finished one with this fingerprint."""
    with connected(target) as client:
        known = _known(client, run_id) if run_id else None
        if known is not None:
            return known.run_id if known.complete else None
        experiment = client.get_experiment_by_name(target.experiment)
        if experiment is None or not fingerprint:
            return None
        equal = _equal_runs(client, experiment.experiment_id, fingerprint)
    return next((run.info.run_id for run in equal if run.info.status == "FINISHED"), None)


def _left_in_folder(run: Any) -> dict[str, Any] | None:
    """The finished result that a run which is nobody's any more has left in its output folder, if it is here."""
    with contextlib.suppress(BenchError):
        result = results.read(Path(run.data.tags.get(lease.FOLDER_TAG, "nowhere")))
        if (
            result["status"] == results.Status.FINISHED
            and result["fingerprint"] == run.data.tags["fingerprint"]
        ):
            return {**result, "run_id": run.info.run_id}
    return None


def _equal_runs(client: Any, experiment: str, fingerprint: str) -> list[Any]:
    """Runs with this fingerprint, the latest first."""
    found = client.search_runs([experiment], f"tags.fingerprint = '{fingerprint}'", max_results=100)
    return list(found)


def _earlier(client: Any, experiment: str, made: Any) -> str | None:
    """The machine that had begun to train an equal run before ``made`` was made, since it was last looked for."""
    tags = made.data.tags
    if lease.PROCESS_TAG not in tags or "fingerprint" not in tags:
        return None
    mine = made.info.start_time, made.info.run_id
    for run in _equal_runs(client, experiment, tags["fingerprint"]):
        if run.info.status == "RUNNING" and (run.info.start_time, run.info.run_id) < mine:
            trainer = lease.alive_elsewhere(run.data.tags)
            if trainer is not None:
                return trainer.host
    return None


def _known(client: Any, run_id: str) -> Opened | None:
    with contextlib.suppress(importlib.import_module("mlflow.exceptions").MlflowException):
        run = client.get_run(run_id)
        # a run that failed without a result may still get it
        return Opened(run_id, run.info.status in ("FINISHED", "FAILED") and "status" in run.data.tags)
    return None


def _stage(result: Mapping[str, Any], folder: Path, staged: Path) -> None:
    """Puts the artifacts of a run into ``staged``."""
    texts = {"config.yaml": OmegaConf.to_yaml(OmegaConf.create(result.get("settings") or {}))}
    if result.get("history"):
        texts["history.csv"] = content.history_csv(result["history"])
    for file, text in texts.items():
        (staged / file).write_text(text, encoding="utf-8")
    for path in (folder / results.FILE, folder / MODEL_SUMMARY):
        if path.exists():
            shutil.copy(path, staged)
