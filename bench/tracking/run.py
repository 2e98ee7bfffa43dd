"""A run in MLflow, from its start to its result, and a sweep's own run above it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.errors import BenchError, interrupted
from bench.records.result import Result
from bench.records.sweeps import SweepRecord
from bench.tracking import client, reading, store
from bench.tracking.client import mlflow
from bench.tracking.inputs import Data
from bench.tracking.target import Target, TrackingError

PATIENCE_SECONDS = 60.0
"""Seconds that the end of a sweep waits for MLflow."""

log = logging.getLogger(__name__)

_sweep: ContextVar[SweepRecord | None] = ContextVar("sweep", default=None)


def warm_up(uri: str) -> None:
    """Begins to import what logging to ``uri`` takes; returns at once, and leaves the store alone."""
    mlflow.submit(client.import_for, uri)


def prepare(target: Target) -> None:
    """Begins to make the store ready for a run; returns at once. The run will say what goes wrong."""
    mlflow.submit(client.prepare, target)


def shared() -> dict[str, str]:
    """Gives the environment variables with which other processes use this one's process for MLflow."""
    return mlflow.shared()


@contextlib.contextmanager
def in_sweep(sweep: SweepRecord | None) -> Iterator[None]:
    """Has MLflow list the runs that are started within it below the sweep's own run; None: below no other."""
    before = _sweep.set(sweep)
    try:
        yield
    finally:
        _sweep.reset(before)


class Run:
    """A run in MLflow. As a context manager it marks a run that ends without a result.

    Everything happens in MLflow's process, in order; only what returns a value waits for it. A run left by
    KeyboardInterrupt or SystemExit is marked KILLED, by any other error FAILED. Where this process is killed, MLflow's
    own marks the run KILLED; where both are, the next equal run does.

    Args:
        target: from ``check``.
        head: what is known of the result before training.
        folder: the output folder.
        data: what the run trains on.
    """

    def __init__(
        self, target: Target, head: Result, folder: Path | None = None, data: Data | None = None
    ) -> None:
        self._target, self._ended = target, False
        place, sweep = folder and folder.absolute(), _sweep.get()
        self._opened = mlflow.submit(store.open_run, target, head, place, data, sweep)

    def ready(self) -> str:
        """Waits for the run to exist; gives its id.

        Raises:
            TrackingError: the store cannot be opened or written to.
            RequestError: the store cannot be used as it is: a driver is missing, the tables are of another version.
        """
        return self._opened.result()

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, or None where the store could not be opened; waits for it."""
        return None if self._opened.exception() else self.ready()

    def log_result(self, result: Result, folder: Path) -> None:
        """Logs a result and ends the run; waits until it is done.

        Args:
            result: of the run.
            folder: where ``result.json`` lies, and ``model.txt`` and the weights if there are any.

        Raises:
            TrackingError: the store cannot be written to. The message says what is kept and how to send it later.
        """
        try:
            store.log_result(self._target, self.ready(), result, folder.absolute())
        except BenchError as error:
            kept = f"the result is kept in {folder}; to send it later: python -m bench.track {folder}"
            raise TrackingError(f"{error}; {kept}") from error
        self._ended = True

    def end(self, status: str) -> None:
        """Marks a run without a result as ``FAILED`` or ``KILLED``; warns where the store is gone."""
        if self._ended:
            return
        self._ended = True
        try:
            store.end_run(self._target, self.ready(), status)
        except BenchError as error:
            log.warning("the run could not be marked %s in MLflow: %s", status, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("KILLED" if isinstance(error, SystemExit) or interrupted(error) else "FAILED")


class Sweep:
    """A sweep's own run in MLflow. It is only shown: what goes wrong with it is a warning.

    The first run that is started below it makes it. The same key has the same one.

    Args:
        target: from ``check``.
        record: of the sweep.
    """

    def __init__(self, target: Target, record: SweepRecord) -> None:
        self.target, self.record = target, record

    def begin(self) -> None:
        """Makes it before any run below it does; runs on many machines at once would each make one."""
        self._done(store.begin_sweep, self.record)

    def upload(self, folder: Path, to: str = "report") -> None:
        """Makes a folder's files its artifacts, below ``to``; comes before ``end``."""
        self._done(store.upload, self.record, folder.absolute(), to)

    def end(self, record: SweepRecord, found: Sequence[Result]) -> None:
        """Logs how the sweep's runs, with these results, ended. See ``store.end_sweep``."""
        self._done(store.end_sweep, record, found)

    def _done(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            mlflow.submit(call, self.target, *arguments).result(PATIENCE_SECONDS)
        except (BenchError, TimeoutError) as error:
            why = error if isinstance(error, BenchError) else f"no answer within {PATIENCE_SECONDS:.0f} s"
            log.warning("the sweep's own run in MLflow is not complete: %s", why)


def find_finished(target: Target, fingerprint: str, folder: Path) -> Result | None:
    """Looks on a server for the latest finished run with a fingerprint; warns of one that cannot be read.

    Its files that a record keeps go into ``folder``.

    Raises:
        TrackingError: the server cannot be reached or used.
    """
    result, wrong = reading.find_result(target, fingerprint, folder.absolute())
    for line in wrong:
        log.warning("%s", line)
    return result
