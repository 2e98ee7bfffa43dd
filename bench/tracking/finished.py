"""Runs that have finished before, by fingerprint."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

from bench.tracking import lease, store
from bench.tracking.run import mlflow
from bench.tracking.target import Target

log = logging.getLogger(__name__)


def find_finished(target: Target, fingerprint: str, folder: Path) -> dict[str, Any] | None:
    """The result of the latest finished run with this fingerprint, or None; its weights go into ``folder``.

    Where another machine trains an equal run, its result is waited for. Runs that were killed are marked so.

    A run whose ``result.json``, or weights where it saved them, cannot be had does not count: it is trained again.

    Raises:
        TrackingError: the store cannot be reached or used.
    """
    if target.database is not None and not _may_hold(target.database, fingerprint):
        return None
    said = ""
    while True:
        found = mlflow.submit(store.find_result, target, fingerprint, folder.absolute()).result()
        for line in found.unreadable:
            log.warning("%s", line)
        if found.result is not None or found.taken is None:
            return found.result
        if found.taken != said:
            said = found.taken
            log.warning("an equal run is being trained on %s: waiting for its result", said)
        time.sleep(lease.HEARTBEAT_SECONDS)


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
