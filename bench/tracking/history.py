"""All runs of an experiment, as results: what a report is made of."""

from __future__ import annotations

import importlib
import json
import tempfile
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import results
from bench.errors import BenchError, RequestError
from bench.tracking import lease, store
from bench.tracking.run import mlflow
from bench.tracking.target import Target

PAGE = 1000  # runs a request
DOWNLOADS = 8  # at once, from a server


def find_all(target: Target) -> list[dict[str, Any]]:
    """The result of every run of the experiment, in the order they were started.

    A run that has no result that can be read has a status (``failed``, ``killed``, ``running``, ``unreadable``), a
    reason in ``error``, and what its tags and parameters say of its settings. Nothing is written; a SQLite file
    that is missing is not made.

    Raises:
        RequestError: there is no such database or experiment.
        TrackingError: the store cannot be reached or used.
    """
    if target.database is not None and not target.database.exists():
        raise RequestError(
            f"tracking.uri={target.shown}: there is no such database, so nothing has been run there; "
            "python -m bench.run makes a run"
        )
    return mlflow.submit(read_all, target).result()


@store.said_in_a_line
def read_all(target: Target) -> list[dict[str, Any]]:
    """``find_all``, in MLflow's process."""
    with store.client_of(target) as client:
        found = client.get_experiment_by_name(target.experiment)
        if found is None or found.lifecycle_stage != "active":
            there = sorted(one.name for one in client.search_experiments() if one.name != "Default")
            listed = f"there are: {', '.join(there)}" if there else "there is none"
            raise RequestError(f"tracking.experiment={target.experiment}: no such experiment ({listed})")
        runs: list[Any] = []
        token: str | None = ""
        while token is not None:
            page = client.search_runs(
                [found.experiment_id], "tags.fingerprint LIKE '%'", max_results=PAGE, page_token=token or None,
                order_by=["attributes.start_time ASC"],
            )  # fmt: skip
            runs += page
            token = page.token or None
    artifacts = importlib.import_module("mlflow.artifacts")

    def read(run: Any) -> dict[str, Any]:
        return _result(run, artifacts)

    if all(_local(run) is not None for run in runs):
        return [read(run) for run in runs]
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        return list(pool.map(read, runs))


def _local(run: Any) -> Path | None:
    """The folder of a run's artifacts where it is one of this machine."""
    parts = urllib.parse.urlsplit(run.info.artifact_uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(urllib.request.url2pathname(parts.path))


def _result(run: Any, artifacts: Any) -> dict[str, Any]:
    status, tags = run.info.status, run.data.tags
    if status in ("FINISHED", "FAILED") and ("status" in tags or status == "FINISHED"):
        try:
            folder = _local(run)
            if folder is not None:
                return results.read(folder)
            with tempfile.TemporaryDirectory() as fetched:
                uri = f"{run.info.artifact_uri}/{results.FILE}"
                artifacts.download_artifacts(artifact_uri=uri, dst_path=fetched)
                return results.read(Path(fetched))
        except Exception as error:  # of MLflow, a file system, a network
            if status == "FINISHED":
                reason = str(error) if isinstance(error, BenchError) else type(error).__name__
                return _without(run, "unreadable", f"its {results.FILE} cannot be read: {reason}")
    if status == "RUNNING" and not lease.is_leftover(tags):
        return _without(run, "running", "has not ended yet")
    killed = status in ("KILLED", "RUNNING", "SCHEDULED")
    return _without(run, "killed" if killed else "failed", tags.get("error") or "ended without a result")


def _without(run: Any, status: str, reason: str) -> dict[str, Any]:
    """What the tags and parameters of a run say of one that has no result."""
    settings: dict[str, Any] = {}
    for name, text in run.data.params.items():
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
    tags = run.data.tags
    return {
        "status": status, "error": reason, "run_id": run.info.run_id, "fingerprint": tags.get("fingerprint"),
        "dataset": tags.get("dataset"), "strategy": tags.get("strategy"), "settings": settings,
        "seed": settings.get("seed"), "embeddings": None,
    }  # fmt: skip
