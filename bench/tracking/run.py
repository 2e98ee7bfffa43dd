"""A run in MLflow, from its start to its result, on a thread of its own."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from filelock import FileLock
from omegaconf import OmegaConf

from bench import results
from bench.errors import BenchError, RequestError
from bench.tracking import content
from bench.tracking.target import Target, TrackingError, check, without_password

T = TypeVar("T")

MODEL_SUMMARY = "model.txt"
"""The file of an output folder that holds the model's summary."""

BATCH_PARAMS, BATCH_METRICS = 100, 900  # MLflow takes 100 parameters, 100 tags and 1,000 of all in a request
LOCK_SECONDS = 120.0

_log = logging.getLogger(__name__)

_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
"""The one thread on which MLflow is imported and called. Python waits for it before it exits."""


def warm_up(target: Target) -> None:
    """Begins to import what logging to ``target`` takes, on a thread of its own; returns at once."""
    _worker.submit(_import, target)


def _import(target: Target) -> Any:
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
    tracking = importlib.import_module("mlflow.tracking")
    if target.artifacts is not None:
        # MLflow would import it as it opens the first database: inside the lock
        importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    return tracking


def guarded(target: Target, call: Callable[..., T], *arguments: Any) -> T:
    """``call(*arguments)``, on MLflow's thread, with its errors in one line each.

    Raises:
        TrackingError: the store cannot be reached or used.
        RequestError: a Python package is missing that the store needs.
    """
    try:
        return call(*arguments)
    except BenchError:
        raise
    except ModuleNotFoundError as error:
        raise RequestError(
            f"tracking.uri={target.shown}: needs the Python package {error.name}; install it"
        ) from error
    except Exception as error:  # of MLflow, SQLAlchemy, requests, a driver
        lines = str(error).strip().splitlines() or [type(error).__name__]
        cause = without_password(lines[0])[:300]
        raise TrackingError(f"tracking.uri={target.shown}: MLflow cannot be used there: {cause}") from error


@contextlib.contextmanager
def exclusive(target: Target) -> Iterator[None]:
    """Lets one process at a time use a SQLite file: two that create its schema at once break it."""
    if target.database is None:
        yield
        return
    with FileLock(f"{target.database}.lock", LOCK_SECONDS, poll_interval=0.01):
        yield


class Run:
    """A run in MLflow. As a context manager it marks a run that ends without a result.

    Everything happens on MLflow's thread, in order; only what returns a value waits for it. A run left
    by KeyboardInterrupt or SystemExit is marked KILLED, by any other error FAILED.
    """

    def __init__(
        self,
        target: Target,
        name: str,
        tags: Mapping[str, str] | None = None,
        logged_params: Mapping[str, str] | None = None,
        run_id: str | None = None,
    ) -> None:
        self.target = target
        self._ended = self._complete = False
        self._client: Any = None
        self._opened: Future[str] = _worker.submit(
            guarded, target, self._open, name, dict(tags or {}), dict(logged_params or {}), run_id
        )

    def ready(self) -> str:
        """Waits for the run to exist; returns its id.

        Raises:
            TrackingError: the store cannot be opened or written to.
            RequestError: it cannot be used as it is: a driver is missing, the schema is another version's.
        """
        return self._opened.result()

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, or None where the store could not be opened; waits for it."""
        return None if self._opened.exception() else self._opened.result()

    def log_result(self, result: Mapping[str, Any], folder: Path) -> None:
        """Logs a result that lies in ``folder`` and ends the run; waits until it is done.

        Args:
            result: what ``results.complete`` returned.
            folder: the output folder, with ``result.json`` and, if the model was built, ``model.txt``.

        Raises:
            TrackingError: the store cannot be written to. ``result.json`` stays; the message says so.
        """
        try:
            self.ready()
            if not self._complete:
                _worker.submit(guarded, self.target, self._log, dict(result), folder).result()
        except BenchError as error:
            raise TrackingError(f"{error}; the result is kept in {folder / results.FILE}") from error
        self._ended = True

    def end(self, status: str) -> None:
        """Marks a run without a result as ``FAILED`` or ``KILLED``; warns where the store is gone."""
        if self._ended:
            return
        self._ended = True
        try:
            self.ready()
            _worker.submit(guarded, self.target, self._terminate, status).result()
        except BenchError as error:
            _log.warning("the run could not be marked %s in MLflow: %s", status, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("KILLED" if kind and issubclass(kind, KeyboardInterrupt | SystemExit) else "FAILED")

    # What follows runs on MLflow's thread.

    def _open(self, name: str, tags: dict[str, str], logged: dict[str, str], run_id: str | None) -> str:
        tracking = _import(self.target)
        entities = importlib.import_module("mlflow.entities")
        if self.target.database is None and self.target.artifacts is not None:
            # MLflow itself would try ten times, over minutes
            importlib.import_module("sqlalchemy").create_engine(self.target.uri).connect().close()
        with exclusive(self.target):
            self._client = tracking.MlflowClient(tracking_uri=self.target.uri)
            experiment = self._experiment()
            known = self._known(run_id)
            if known is None:
                known = self._client.create_run(experiment, run_name=name, tags=tags).info.run_id
            items = [entities.Param(key, value) for key, value in logged.items()]
            for at in range(0, len(items), BATCH_PARAMS):
                self._client.log_batch(known, params=items[at : at + BATCH_PARAMS])
        self._id: str = known
        return known

    def _experiment(self) -> str:
        client, name = self._client, self.target.experiment
        found = client.get_experiment_by_name(name)
        if found is None:
            artifacts = self.target.artifacts
            with contextlib.suppress(importlib.import_module("mlflow.exceptions").MlflowException):
                return str(client.create_experiment(name, artifact_location=artifacts and artifacts.as_uri()))
            found = client.get_experiment_by_name(
                name
            )  # another machine was faster, or the error comes again
        if found is None:
            return str(client.create_experiment(name))
        if found.lifecycle_stage != "active":
            raise RequestError(
                f"tracking.experiment={name}: deleted in MLflow; give another name, or restore it: "
                f"mlflow experiments restore --experiment-id {found.experiment_id}"
            )
        return str(found.experiment_id)

    def _known(self, run_id: str | None) -> str | None:
        if run_id is None:
            return None
        with contextlib.suppress(importlib.import_module("mlflow.exceptions").MlflowException):
            self._complete = self._client.get_run(run_id).info.status == "FINISHED"
            return run_id
        return None

    def _log(self, result: dict[str, Any], folder: Path) -> None:
        entities = importlib.import_module("mlflow.entities")
        now = int(time.time() * 1000)
        items = [entities.Metric(name, value, now, step) for name, value, step in content.metrics(result)]
        tags = [entities.RunTag(name, value) for name, value in content.result_tags(result).items()]
        self._log_artifacts(result, folder)
        with exclusive(self.target):
            for at in range(0, max(len(items), 1), BATCH_METRICS):
                self._client.log_batch(self._id, metrics=items[at : at + BATCH_METRICS], tags=tags)
        # the last thing written: a run that is FINISHED has everything
        self._terminate("FINISHED" if result["status"] == results.Status.FINISHED else "FAILED")

    def _log_artifacts(self, result: dict[str, Any], folder: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            settings = OmegaConf.create(result.get("settings") or {})
            texts = {"config.yaml": OmegaConf.to_yaml(settings)}
            if result.get("history"):
                texts["history.csv"] = content.history_csv(result["history"])
            for file, text in texts.items():
                Path(name, file).write_text(text, encoding="utf-8")
            for path in (folder / results.FILE, folder / MODEL_SUMMARY):
                if path.exists():
                    shutil.copy(path, name)
            self._client.log_artifacts(self._id, name)

    def _terminate(self, status: str) -> None:
        with exclusive(self.target):
            self._client.set_terminated(self._id, status)


def start(
    target: Target,
    head: Mapping[str, Any],
    tags: Mapping[str, str] | None = None,
) -> Run:
    """Creates a run in MLflow, running until it is given a result.

    Args:
        target: from ``check``.
        head: what is known of the result before training: ``settings``, ``embeddings``, ``strategy``,
            ``dataset``, ``seed``, ``fingerprint``, ``environment``.
        tags: further tags, such as ``mlflow.parentRunId``.

    Returns:
        The run. With SQLite at once, its store being opened meanwhile; any other store is opened first.

    Raises:
        TrackingError: a store other than SQLite cannot be opened.
        RequestError: it cannot be used as it is.
    """
    settings, embeddings = head.get("settings") or {}, head.get("embeddings") or {}
    name = content.run_name(
        str(head.get("strategy")), embeddings, head.get("seed") or 0, settings.get("budget")
    )
    source = {"mlflow.source.name": "python -m bench.run", "mlflow.source.type": "LOCAL"}
    if commit := (head.get("environment") or {}).get("git_commit"):
        source["mlflow.source.git.commit"] = commit.partition("+")[0]
    run = Run(
        target,
        name,
        {**source, **content.result_tags(head), **(tags or {})},
        content.params(settings, embeddings),
        head.get("run_id"),
    )
    if target.database is None:
        run.ready()
    return run


def log_result(result: Mapping[str, Any], folder: Path, target: Target | None = None) -> str | None:
    """Logs what an output folder holds, for a run whose store was out of reach.

    A run that the store knows by the result's ``run_id`` is completed; else one is made, and ``result.json``
    gets its id. A run that was refused or skipped is not logged.

    Args:
        result: the folder's ``result.json``.
        folder: the output folder.
        target: where to; None for where the run's own settings say.

    Returns:
        The run's id, or None where there is nothing to log.

    Raises:
        TrackingError: the store cannot be reached or written to.
        RequestError: its address is wrong.
    """
    if result["status"] not in (results.Status.FINISHED, results.Status.FAILED):
        return None
    if target is None:
        tracking = (result.get("settings") or {}).get("tracking") or {}
        target = check(str(tracking.get("uri", "")), str(tracking.get("experiment", "")))
    run = start(target, result)
    run_id = run.ready()
    if run_id != result.get("run_id"):
        result = {**result, "run_id": run_id}
        results.write(result, folder)
    run.log_result(result, folder)
    return run_id
