"""All runs of an experiment, as results: what a report is made of."""

from __future__ import annotations

import contextlib
import importlib
import json
import sqlite3
import tempfile
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import results
from bench.errors import BenchError, RequestError
from bench.tracking import lease
from bench.tracking.client import connected, said_in_a_line
from bench.tracking.run import mlflow
from bench.tracking.target import Target

PAGE = 1000  # runs a request
DOWNLOADS = 8  # at once, from a server


@dataclass(frozen=True)
class Stored:
    """A run as MLflow has it."""

    run_id: str
    status: str
    artifacts: str
    tags: dict[str, str]
    params: dict[str, str]

    @property
    def folder(self) -> Path | None:
        """Where its artifacts lie, if on this machine."""
        parts = urllib.parse.urlsplit(self.artifacts)
        return Path(urllib.request.url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def find_all(target: Target) -> list[dict[str, Any]]:
    """The result of every run of the experiment, in the order they were started.

    A run that has no result that can be read has a status (``failed``, ``killed``, ``running``, ``unreadable``), a
    reason in ``error``, and what its tags and parameters say of its settings. Nothing is written; a SQLite file
    that is missing is not made.

    Raises:
        RequestError: there is no such database or experiment.
        TrackingError: the store cannot be reached or used.
    """
    if target.database is not None:
        if not target.database.exists():
            raise RequestError(
                f"tracking.uri={target.shown}: there is no such database, so nothing has been run there; "
                "python -m bench.run makes a run"
            )
        with contextlib.suppress(sqlite3.Error):  # not laid out as expected: MLflow knows better
            runs = _in_sqlite(target, target.database)
            if all(run.folder is not None for run in runs):
                return [_result(run) for run in runs]
    return mlflow.submit(read_all, target).result()


def _in_sqlite(target: Target, database: Path) -> list[Stored]:
    """What MLflow would say, without the seconds that it takes to import."""
    with contextlib.closing(
        sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)
    ) as connection:
        select = connection.execute
        experiments = dict(
            select("SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'")
        )
        if target.experiment not in experiments:
            raise _no_experiment(target, list(experiments))
        of = "FROM {} JOIN runs USING (run_uuid) WHERE experiment_id = ? AND lifecycle_stage = 'active'"
        which = (experiments[target.experiment],)
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        params: dict[str, dict[str, str]] = defaultdict(dict)
        for table, found in (("tags", tags), ("params", params)):
            for run_id, key, value in select(f"SELECT run_uuid, key, value {of.format(table)}", which):
                found[run_id][key] = value
        rows = select(
            "SELECT run_uuid, status, artifact_uri FROM runs "
            "WHERE experiment_id = ? AND lifecycle_stage = 'active' ORDER BY start_time, run_uuid",
            which,
        ).fetchall()
    return [
        Stored(run_id, status, artifacts, tags[run_id], params[run_id])
        for run_id, status, artifacts in rows
        if "fingerprint" in tags[run_id]
    ]


@said_in_a_line
def read_all(target: Target) -> list[dict[str, Any]]:
    """``find_all`` through MLflow, in its process."""
    with connected(target) as client:
        found = client.get_experiment_by_name(target.experiment)
        if found is None or found.lifecycle_stage != "active":
            raise _no_experiment(target, [one.name for one in client.search_experiments()])
        runs: list[Stored] = []
        token: str | None = ""
        while token is not None:
            page = client.search_runs(
                [found.experiment_id], "tags.fingerprint LIKE '%'", max_results=PAGE, page_token=token or None,
                order_by=["attributes.start_time ASC"],
            )  # fmt: skip
            runs += [
                Stored(
                    run.info.run_id, run.info.status, run.info.artifact_uri, run.data.tags, run.data.params
                )
                for run in page
            ]
            token = page.token or None
    if all(run.folder is not None for run in runs):
        return [_result(run) for run in runs]
    importlib.import_module("mlflow.artifacts")  # once, not in each thread
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        return list(pool.map(_result, runs))


def _no_experiment(target: Target, names: Sequence[str]) -> RequestError:
    there = sorted(set(names) - {"Default"})
    listed = f"there are: {', '.join(there)}" if there else "there is none"
    return RequestError(f"tracking.experiment={target.experiment}: no such experiment ({listed})")


def _result(run: Stored) -> dict[str, Any]:
    if run.status == "FINISHED" or (run.status == "FAILED" and "status" in run.tags):
        try:
            return _read(run)
        except Exception as error:  # of MLflow, a file system, a network
            if run.status == "FINISHED":
                reason = str(error) if isinstance(error, BenchError) else type(error).__name__
                return _without(run, "unreadable", f"its {results.FILE} cannot be read: {reason}")
    if run.status == "RUNNING" and not lease.is_leftover(run.tags):
        return _without(run, "running", "has not ended yet")
    status = "failed" if run.status == "FAILED" else "killed"
    return _without(run, status, run.tags.get("error") or "ended without a result")


def _read(run: Stored) -> dict[str, Any]:
    if run.folder is not None:
        return results.read(run.folder)
    artifacts = importlib.import_module("mlflow.artifacts")
    with tempfile.TemporaryDirectory() as fetched:
        artifacts.download_artifacts(artifact_uri=f"{run.artifacts}/{results.FILE}", dst_path=fetched)
        return results.read(Path(fetched))


def _without(run: Stored, status: str, reason: str) -> dict[str, Any]:
    """What the tags and parameters of a run say of one that has no result."""
    settings: dict[str, Any] = {}
    for name, text in run.params.items():
        if name.startswith("used."):
            continue
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        *path, last = name.split(".")
        node: Any = settings
        for part in path:
            node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node[last] = value
    return {
        "status": status, "error": reason, "run_id": run.run_id, "fingerprint": run.tags.get("fingerprint"),
        "dataset": run.tags.get("dataset"), "strategy": run.tags.get("strategy"), "settings": settings,
        "seed": settings.get("seed"), "embeddings": None,
    }  # fmt: skip
