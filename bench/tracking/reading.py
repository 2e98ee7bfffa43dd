"""Reads from MLflow. These functions are called in MLflow's process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.errors import BenchError, RequestError
from bench.records import result as results
from bench.records.result import Result, Status
from bench.records.store import MODEL_SUMMARY, WEIGHTS
from bench.tracking.client import connected, in_mlflow, known_experiment
from bench.tracking.store import equal_runs
from bench.tracking.target import Target

PAGE, DOWNLOADS = 1000, 8
"""Runs that are asked for in one request, and files that are fetched at once."""


@in_mlflow
def find_result(target: Target, fingerprint: str, folder: Path) -> tuple[Result | None, list[str]]:
    """Gives the result of the latest finished run with a fingerprint, and what is wrong with others.

    Its other files that a record keeps go into ``folder``.
    """
    wrong: list[str] = []
    with connected(target) as client:
        experiment = known_experiment(target, client)
        runs = equal_runs(client, experiment.experiment_id, fingerprint) if experiment else []
        for run in runs:
            if run.info.status != "FINISHED":
                continue
            try:
                result = _download(client, run.info.run_id, folder)
                if (result.status, result.fingerprint) != (Status.FINISHED, fingerprint):
                    raise RequestError(f"its {results.FILE} is of another run")
                there = {file.path for file in client.list_artifacts(run.info.run_id)}
                for name in {MODEL_SUMMARY, WEIGHTS} & there:
                    client.download_artifacts(run.info.run_id, name, str(folder))
                return result, wrong
            except Exception as error:  # of MLflow, a file system, a network
                wrong.append(f"run {run.info.run_id} has finished but cannot be read: {_reason(error)}")
    return None, wrong


@in_mlflow
def find_all(target: Target) -> list[Result]:
    """Gives the results of all runs of an experiment, in the order they were started.

    A run without a result that can be read is a failed one. Its ``error`` says why, and its tags and parameters what
    it was. A SQLite file that is missing is not made.

    Raises:
        RequestError: the database or the experiment is missing.
        TrackingError: the store cannot be reached or used.
    """
    if target.database is not None and not target.database.exists():
        raise RequestError(
            f"tracking.uri={target.shown}: no such database; python -m bench.run logs runs there"
        )
    with connected(target) as client, ThreadPoolExecutor(DOWNLOADS) as pool:
        runs = [run for run in _all_runs(target, client) if "fingerprint" in run.data.tags]
        return list(pool.map(lambda run: _result(client, run), runs))


@in_mlflow
def find_logged(target: Target) -> dict[str, str]:
    """Gives MLflow's ids of all finished runs of an experiment, by their fingerprints.

    Raises:
        TrackingError: the store cannot be reached or used.
    """
    with connected(target) as client:
        known = known_experiment(target, client)
        if known is None or known.lifecycle_stage != "active":
            return {}
        runs = _all_runs(target, client, "attributes.status = 'FINISHED'")
        return {run.data.tags.get("fingerprint", ""): str(run.info.run_id) for run in runs}


def _all_runs(target: Target, client: Any, wanted: str = "") -> Iterator[Any]:
    found = known_experiment(target, client)
    if found is None or found.lifecycle_stage != "active":
        there = sorted({one.name for one in client.search_experiments()} - {"Default"})
        listed = f"there are: {', '.join(there)}" if there else "there are none"
        raise RequestError(f"tracking.experiment={target.experiment}: no such experiment ({listed})")
    token: str | None = None
    while True:
        page = client.search_runs(
            [found.experiment_id], wanted, max_results=PAGE, page_token=token,
            order_by=["attributes.start_time ASC"],
        )  # fmt: skip
        yield from page
        token = page.token
        if not token:
            return


def _result(client: Any, run: Any) -> Result:
    status, tags = run.info.status, run.data.tags
    reason = tags.get("error") or (
        "has not ended yet" if status == "RUNNING" else f"{status} without a result"
    )
    if status == "FINISHED" or (status == "FAILED" and "status" in tags):
        try:
            with tempfile.TemporaryDirectory() as fetched:
                return _download(client, run.info.run_id, Path(fetched))
        except Exception as error:  # of MLflow, a file system, a network
            reason = tags.get("error") or f"its {results.FILE} in MLflow cannot be read: {_reason(error)}"
    seed = run.data.params.get("seed", "")
    known = {name: tags.get(name) for name in ("fingerprint", "data_digest", "task", "dataset", "strategy")}
    known |= {"run_id": run.info.run_id, "seed": int(seed) if seed.isdecimal() else None}
    return Result(status=Status.FAILED, error=reason, **known)


def _download(client: Any, run_id: str, folder: Path) -> Result:
    client.download_artifacts(run_id, results.FILE, str(folder))
    return Result.read(folder)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BenchError) else type(error).__name__
