"""What is done in MLflow, by functions that are called in its process; nothing else imports MLflow.

Each takes the target first, and has what goes wrong said in one line.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import shutil
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from filelock import FileLock
from omegaconf import OmegaConf

from bench import results
from bench.errors import BenchError, RequestError
from bench.settings import without_password
from bench.tracking import content, lease
from bench.tracking.target import Target, TrackingError

P = ParamSpec("P")
T = TypeVar("T")

MODEL_SUMMARY = "model.txt"
"""The file of an output folder that holds the model's summary."""

BATCH_PARAMS, BATCH_METRICS = 100, 900  # MLflow takes 100 parameters, 100 tags and 1,000 of all in a request
LOCK_SECONDS = 120.0

_open: dict[str, tuple[Target, int]] = {}
"""Runs that were opened here and have not ended: where, and in the thread of which process's calls."""


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


def said_in_a_line(call: Callable[Concatenate[Target, P], T]) -> Callable[Concatenate[Target, P], T]:
    """Turns whatever MLflow, SQLAlchemy, requests or a driver raise into a BenchError."""

    @functools.wraps(call)
    def guarded(target: Target, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(target, *args, **kwargs)
        except BenchError:
            raise
        except ModuleNotFoundError as error:
            extra = 'pip install "embedding-bench[server]"' if error.name == "psycopg" else "install it"
            raise RequestError(
                f"tracking.uri={target.shown}: needs the Python package {error.name}; {extra}"
            ) from error
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            cause = without_password(lines[0])[:300]
            raise TrackingError(
                f"tracking.uri={target.shown}: MLflow cannot be used there: {cause}"
            ) from error

    return guarded


@contextlib.contextmanager
def exclusive(target: Target) -> Iterator[None]:
    """Lets one process at a time use a SQLite file: two that create its schema at once break it."""
    if target.database is None:
        yield
        return
    with FileLock(f"{target.database}.lock", LOCK_SECONDS, poll_interval=0.01):
        yield


@said_in_a_line
def prepare(target: Target) -> None:
    """Makes the store and the experiment where they are missing, which takes seconds the first time."""
    with client_of(target) as client:
        _experiment(target, client)


@said_in_a_line
def import_mlflow(target: Target) -> None:
    """Imports what logging to ``target`` takes."""
    # the user's own choice stands before ours
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what goes wrong reaches us as an exception
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # MLflow's 7 take minutes
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(name, value)
    importlib.import_module("mlflow.tracking")
    if target.artifacts is not None:
        # MLflow would import it as it opens the first database: inside the lock
        importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


@said_in_a_line
def open_run(
    target: Target, name: str, tags: Mapping[str, str], params: Mapping[str, str], run_id: str | None
) -> Opened:
    """Creates a run that is RUNNING, or takes up the one called ``run_id`` where the store knows it."""
    with client_of(target) as client:
        entities = importlib.import_module("mlflow.entities")
        experiment = _experiment(target, client)
        opened = _known(client, run_id) if run_id else None
        if opened is None:
            signs = {lease.HEARTBEAT_TAG: str(time.time())} if lease.PROCESS_TAG in tags else {}
            made = client.create_run(experiment, run_name=name, tags={**tags, **signs})
            opened = Opened(made.info.run_id, taken=_earlier(client, experiment, made))
        if opened.taken:
            client.delete_run(opened.run_id)
            return opened
        if not opened.complete:
            _open[opened.run_id] = target, threading.get_ident()
            _start_heart()
        items = [entities.Param(key, value) for key, value in params.items()]
        for at in range(0, len(items), BATCH_PARAMS):
            client.log_batch(opened.run_id, params=items[at : at + BATCH_PARAMS])
    return opened


@said_in_a_line
def log_result(target: Target, run_id: str, result: Mapping[str, Any], folder: Path) -> None:
    """Logs a result that lies in ``folder``, and ends the run."""
    with tempfile.TemporaryDirectory() as staged, client_of(target, alone=False) as client:
        _stage(result, folder, Path(staged))
        client.log_artifacts(run_id, staged)
        if (folder / results.WEIGHTS).exists():
            client.log_artifact(run_id, str(folder / results.WEIGHTS))
    entities = importlib.import_module("mlflow.entities")
    now = int(time.time() * 1000)
    items = [entities.Metric(name, value, now, step) for name, value, step in content.metrics(result)]
    tags = [entities.RunTag(name, value) for name, value in content.result_tags(result).items()]
    with client_of(target) as client:
        for at in range(0, max(len(items), 1), BATCH_METRICS):
            client.log_batch(run_id, metrics=items[at : at + BATCH_METRICS], tags=tags)
    # the last thing written: a run that is FINISHED has everything
    end_run(target, run_id, "FINISHED" if result["status"] == results.Status.FINISHED else "FAILED")


@said_in_a_line
def end_run(target: Target, run_id: str, status: str) -> None:
    """Marks a run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
    with client_of(target) as client:
        client.set_terminated(run_id, status)
    _open.pop(run_id, None)


def end_all(status: str, opened_by: int | None = None) -> None:
    """Marks all runs that are still open, or those of one thread, where their stores can be reached."""
    for run_id, (target, thread) in list(_open.items()):
        if opened_by in (None, thread):
            with contextlib.suppress(BenchError):
                end_run(target, run_id, status)


@said_in_a_line
def find_result(target: Target, fingerprint: str, folder: Path) -> Found:
    """The result of the latest finished run with this fingerprint; its weights, if it saved any, in ``folder``."""
    with client_of(target) as client:
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
    with client_of(target) as client:
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


@functools.cache
def _start_heart() -> None:
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


def _beat() -> None:
    """Renews the leases of the open runs, for as long as the process lives."""
    while True:
        time.sleep(lease.HEARTBEAT_SECONDS)
        for run_id, (target, _) in list(_open.items()):
            with contextlib.suppress(Exception), client_of(target) as client:  # the next one may get through
                client.set_tag(run_id, lease.HEARTBEAT_TAG, str(time.time()))


@contextlib.contextmanager
def client_of(target: Target, alone: bool = True) -> Iterator[Any]:
    """MLflow's client; ``alone``, no other process uses a SQLite file meanwhile."""
    import_mlflow(target)
    if target.database is None and target.artifacts is not None:
        _try_to_connect(target)
    with exclusive(target) if alone else contextlib.nullcontext():
        if alone and target.database is not None and not target.database.exists():
            _make_database(target, target.database)
        yield importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=target.uri)


def _make_database(target: Target, path: Path) -> None:
    """Makes a SQLite store, whole or not at all: MLflow cannot take up one whose making broke off."""
    new = path.with_name(f".{path.name}.new")
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)
    uri = "sqlite:///" + urllib.parse.quote(str(new), safe="/ :\\")
    artifacts = target.artifacts or path.parent
    store = importlib.import_module("mlflow.store.tracking.sqlalchemy_store").SqlAlchemyStore(
        uri, artifacts.as_uri()
    )
    store.engine.dispose()
    new.replace(path)


@functools.cache
def _try_to_connect(target: Target) -> None:
    """MLflow itself would try a database ten times, over minutes."""
    importlib.import_module("sqlalchemy").create_engine(target.uri).connect().close()


def _experiment(target: Target, client: Any) -> str:
    refused = importlib.import_module("mlflow.exceptions").MlflowException
    found = client.get_experiment_by_name(target.experiment)
    if found is None:
        artifacts = target.artifacts and target.artifacts.as_uri()
        try:
            return str(client.create_experiment(target.experiment, artifact_location=artifacts))
        except refused:
            found = client.get_experiment_by_name(target.experiment)
            if found is None:  # else another machine was faster
                raise
    if found.lifecycle_stage != "active":
        raise RequestError(
            f"tracking.experiment={target.experiment}: deleted in MLflow; give another name, or restore it: "
            f"mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return str(found.experiment_id)


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
