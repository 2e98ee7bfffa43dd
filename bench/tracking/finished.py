"""Runs that have finished before, by fingerprint."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from bench import results
from bench.errors import BenchError
from bench.tracking import run
from bench.tracking.target import Target

log = logging.getLogger(__name__)


def find_finished(target: Target, fingerprint: str) -> dict[str, Any] | None:
    """The result of the latest finished run with this fingerprint, or None.

    A run whose ``result.json`` cannot be had does not count: it is trained again.

    Raises:
        TrackingError: the store cannot be reached or used.
    """
    if target.database is not None and not _may_hold(target.database, fingerprint):
        return None
    return run._worker.submit(run.guarded, target, _find, target, fingerprint).result()


def _may_hold(database: Path, fingerprint: str) -> bool:
    """False where a SQLite file surely has no such run: seen in a millisecond, MLflow takes seconds."""
    if not database.exists():
        return False
    try:
        with contextlib.closing(
            sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)
        ) as connection:
            found = connection.execute(
                "SELECT 1 FROM tags WHERE key = 'fingerprint' AND value = ?", (fingerprint,)
            )
            return found.fetchone() is not None
    except sqlite3.Error:
        return True  # not laid out as expected: MLflow knows better


def _find(target: Target, fingerprint: str) -> dict[str, Any] | None:
    mlflow = run._import(target)
    with run.exclusive(target):
        client = mlflow.MlflowClient(tracking_uri=target.uri)
        experiment = client.get_experiment_by_name(target.experiment)
        if experiment is None:
            return None
        found = client.search_runs(
            [experiment.experiment_id],
            f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'",
            max_results=1,
        )
    for known in found:
        try:
            with tempfile.TemporaryDirectory() as folder:
                client.download_artifacts(known.info.run_id, results.FILE, folder)
                return results.read(Path(folder))
        except Exception as error:  # of MLflow, a file system, a network
            reason = str(error) if isinstance(error, BenchError) else type(error).__name__
            log.warning("run %s has finished but its result cannot be read: %s", known.info.run_id, reason)
    return None
