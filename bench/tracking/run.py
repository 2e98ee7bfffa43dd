"""A run in MLflow, from its start to its result."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import results
from bench.errors import BenchError
from bench.tracking import client, content, lease, store
from bench.tracking.inputs import Data
from bench.tracking.process import ADDRESS_VARIABLE, Process
from bench.tracking.sweep_store import Opening
from bench.tracking.target import Target, TrackingError, check

_log = logging.getLogger(__name__)

mlflow = Process()

_sweep: ContextVar[Opening | None] = ContextVar("sweep", default=None)


class Taken(BenchError):  # noqa: N818 - named as what it says
    """An equal run is being trained on another machine."""


def warm_up(uri: str) -> None:
    """Begins to import what logging to ``uri`` takes; returns at once, and leaves the store alone."""
    mlflow.submit(client.import_for, uri)


def shared() -> dict[str, str]:
    """Environment variables with which other processes use this one's process for MLflow."""
    return {ADDRESS_VARIABLE: mlflow.address()}


def prepare(target: Target) -> None:
    """Begins to make the store ready for a run; returns at once. What goes wrong, the run will say."""
    mlflow.submit(client.prepare, target)


@contextlib.contextmanager
def in_sweep(sweep: Opening | None) -> Iterator[None]:
    """Within it, runs that are started belong to this sweep; None: to none."""
    before = _sweep.set(sweep)
    try:
        yield
    finally:
        _sweep.reset(before)


class Run:
    """A run in MLflow. As a context manager it marks a run that ends without a result.

    Everything happens in MLflow's process, in order; only what returns a value waits for it. A run left
    by KeyboardInterrupt or SystemExit is marked KILLED, by any other error FAILED. Where this process is
    killed, MLflow's own marks the run KILLED.
    """

    def __init__(
        self,
        target: Target,
        name: str,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        run_id: str | None = None,
        data: Data | None = None,
    ) -> None:
        self.target = target
        self._ended = False
        self._opened: Future[store.Opened] = mlflow.submit(
            store.open_run, target, name, dict(tags or {}), dict(params or {}), run_id, _sweep.get(), data
        )

    def ready(self) -> str:
        """Waits for the run to exist; returns its id.

        Raises:
            TrackingError: the store cannot be opened or written to.
            RequestError: it cannot be used as it is: a driver is missing, the schema is another version's.
            Taken: another machine began to train an equal run a moment earlier; this one is not there any more.
        """
        opened = self._opened.result()
        if opened.taken:
            self._ended = True
            raise Taken(f"an equal run is being trained on {opened.taken}")
        return opened.run_id

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, or None where the store could not be opened; waits for it."""
        return None if self._opened.exception() else self.ready()

    def log_result(self, result: Mapping[str, Any], folder: Path) -> None:
        """Logs a result that lies in ``folder`` and ends the run; waits until it is done.

        Args:
            result: what ``results.complete`` returned.
            folder: the output folder, with ``result.json`` and, if the model was built, ``model.txt``.

        Raises:
            TrackingError: the store cannot be written to. ``result.json`` stays; the message says so.
        """
        try:
            opened = self._opened.result()
            if not opened.complete:
                arguments = (self.target, opened.run_id, dict(result), folder.absolute())
                mlflow.submit(store.log_result, *arguments).result()
        except BenchError as error:
            kept = f"the result is kept in {folder / results.FILE}; python -m bench.track {folder} sends it"
            raise TrackingError(f"{error}; {kept}") from error
        self._ended = True

    def end(self, status: str) -> None:
        """Marks a run without a result as ``FAILED`` or ``KILLED``; warns where the store is gone."""
        if self._ended:
            return
        self._ended = True
        try:
            mlflow.submit(store.end_run, self.target, self.ready(), status).result()
        except BenchError as error:
            _log.warning("the run could not be marked %s in MLflow: %s", status, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("KILLED" if kind and issubclass(kind, KeyboardInterrupt | SystemExit) else "FAILED")


def start(
    target: Target,
    head: Mapping[str, Any],
    tags: Mapping[str, str] | None = None,
    folder: Path | None = None,
    data: Data | None = None,
) -> Run:
    """Creates a run in MLflow, running until it is given a result.

    Args:
        target: from ``check``.
        head: what is known of the result before training: ``settings``, ``embeddings``, ``strategy``,
            ``dataset``, ``seed``, ``fingerprint``, ``environment``.
        tags: further tags, such as ``mlflow.parentRunId``.
        folder: the output folder of a run that this process trains; None for one that has been trained.
        data: what it trains on, MLflow's input of the run.

    Returns:
        The run, at once; the store is opened meanwhile.
    """
    settings, embeddings = head.get("settings") or {}, head.get("embeddings") or {}
    given = (content.overrides(folder) if folder else None) or ()
    name = content.run_name(str(head.get("strategy")), embeddings, head.get("seed") or 0, settings, given)
    source = {"mlflow.source.name": "python -m bench.run", "mlflow.source.type": "LOCAL"}
    if commit := (head.get("environment") or {}).get("git_commit"):
        source["mlflow.source.git.commit"] = commit.partition("+")[0]
    if folder is not None:
        source[lease.PROCESS_TAG] = str(lease.Trainer.this())
        source[lease.FOLDER_TAG] = str(folder.absolute())
    return Run(
        target,
        name,
        {**source, **content.result_tags(head), **(tags or {})},
        content.params(settings, embeddings),
        head.get("run_id"),
        data,
    )


def log_result(result: Mapping[str, Any], folder: Path, target: Target | None = None) -> str | None:
    """Logs what an output folder holds, for a run whose store was out of reach.

    A run that the store knows by the result's ``run_id`` is completed; else one is made, and ``result.json``
    gets its id. Where the store has the result, or an equal finished run, nothing is done. A run that was
    refused or skipped is not logged.

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
    finished = result["fingerprint"] if result["status"] == results.Status.FINISHED else None
    sent = mlflow.submit(store.find_sent, target, result.get("run_id"), finished).result()
    if sent is not None:
        return sent
    run = start(target, result)
    run_id = run.ready()
    if run_id != result.get("run_id"):
        result = {**result, "run_id": run_id}
        results.write(result, folder)
    run.log_result(result, folder)
    return run_id
