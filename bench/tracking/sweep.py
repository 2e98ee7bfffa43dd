"""A sweep's own run in MLflow, with the runs of the sweep below it.

It is for show: where it cannot be made, or not be ended, a warning says so and the sweep goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.tracking import lease, sweep_store
from bench.tracking.run import mlflow
from bench.tracking.sweep_store import Opening
from bench.tracking.target import Target

PATIENCE_SECONDS = 30.0
"""How long the end of a sweep waits for MLflow."""

_log = logging.getLogger(__name__)


class Sweep:
    """A sweep as MLflow knows it. Its run is made by the first run that is logged below it.

    Args:
        target: where.
        key: what tells this sweep from others.
        name: of its run.
        command: that started it.
        folder: its output folder.
        again: whether the run of an earlier command with this key is taken up: one sweep, one run, however often it
            was interrupted.
        elsewhere: whether its runs go on on other machines; ``begin`` then makes the run.

    Attributes:
        opening: what the processes need that train its runs, for ``in_sweep``.
    """

    def __init__(
        self,
        target: Target,
        key: str,
        name: str,
        command: str,
        folder: Path,
        again: bool = True,
        elsewhere: bool = False,
    ) -> None:
        tags = {
            "command": command,
            "mlflow.source.name": "python -m bench.run",
            "mlflow.source.type": "LOCAL",
            lease.PROCESS_TAG: str(lease.Trainer.this()),
            lease.FOLDER_TAG: str(folder.absolute()),
        }
        self.opening = Opening(key, name, tags, again, makes=not elsewhere)
        self._target = target

    @property
    def experiment(self) -> str:
        """MLflow's experiment that the runs belong to."""
        return self._target.experiment

    def begin(self) -> None:
        """Has the run made if the sweep's runs cannot; returns at once."""
        if not self.opening.makes:
            mlflow.submit(sweep_store.begin_sweep, self._target, self.opening)

    def end(self, status: str, runs: Sequence[Mapping[str, Any]]) -> None:
        """Logs how the sweep's runs ended and ends its own; waits until it is done.

        Nothing is done where no run has come to MLflow, as where all were refused.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            runs: a row each, by the names of ``sweep_store.COLUMNS``.
        """
        logged = any(row.get("run_id") for row in runs)
        if logged or (mlflow.used and {row["status"] for row in runs} - {"refused"}):
            self._done(sweep_store.end_sweep, status, [dict(row) for row in runs])

    def run_id(self) -> str | None:
        """MLflow's id of the run, which is made where there is none; None where that cannot be had."""
        found: str | None = self._done(sweep_store.begin_sweep)
        return found

    def upload(self, folder: Path, to: str = "report") -> None:
        """Makes a folder's files artifacts of the run, below ``to``; to be called before ``end``."""
        self._done(sweep_store.upload_to_sweep, folder.absolute(), to)

    def _done(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return _wait(call, self._target, self.opening, *arguments)
        except (BenchError, TimeoutError) as error:
            why = error if isinstance(error, BenchError) else f"no answer within {PATIENCE_SECONDS:.0f} s"
            _log.warning("the sweep's own run in MLflow is not complete: %s", why)
            return None


def upload(target: Target, run_id: str, folder: Path, to: str = "report") -> None:
    """Makes a folder's files artifacts of a run, such as a sweep's own; waits until it is done.

    Args:
        target: where the run is.
        run_id: MLflow's id of it.
        folder: what is in it, folders below included, is uploaded.
        to: the folder of the run's artifacts that gets it.

    Raises:
        TrackingError: the store cannot be reached or written to.
        TimeoutError: it does not answer.
    """
    _wait(sweep_store.upload, target, run_id, folder.absolute(), to)


def _wait(call: Callable[..., Any], *arguments: Any) -> Any:
    return mlflow.submit(call, *arguments).result(PATIENCE_SECONDS)
