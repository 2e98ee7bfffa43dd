"""Runs that have finished before, by fingerprint."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench import results
from bench.tracking import run
from bench.tracking.target import Target

log = logging.getLogger(__name__)


def find_finished(target: Target, fingerprint: str) -> dict[str, Any] | None:
    """The result of the latest finished run with this fingerprint, or None.

    A run whose ``result.json`` cannot be had does not count: it is trained again.
    """
    if target.database is not None and not target.database.exists():
        return None
    return run._worker.submit(_find, target, fingerprint).result()


def _find(target: Target, fingerprint: str) -> dict[str, Any] | None:
    mlflow = run._import(target)
    lock = FileLock(f"{target.database}.lock", run.LOCK_SECONDS) if target.database else None
    try:
        if lock:
            lock.acquire()
        client = mlflow.MlflowClient(tracking_uri=target.uri)
        experiment = client.get_experiment_by_name(target.experiment)
        if experiment is None:
            return None
        found = client.search_runs(
            [experiment.experiment_id],
            f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'",
            max_results=1,
        )
    finally:
        if lock:
            lock.release()
    for known in found:
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = client.download_artifacts(known.info.run_id, results.FILE, folder)
                result: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
                return result
        except Exception as error:  # of MLflow, a file system, a network
            log.warning(
                "run %s has finished but its %s cannot be read: %s", known.info.run_id, results.FILE, error
            )
    return None
