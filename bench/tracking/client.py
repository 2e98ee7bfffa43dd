"""MLflow's client, as one process uses it: what it takes to reach a store, and the experiment.

Its functions are called in MLflow's process; with those of ``store`` and ``sweep_store`` nothing else imports MLflow.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from filelock import FileLock

from bench.errors import BenchError, RequestError
from bench.settings import without_password
from bench.tracking import notes
from bench.tracking.target import Target, TrackingError

P = ParamSpec("P")
T = TypeVar("T")

LOCK_SECONDS = 120.0


def said_in_a_line(call: Callable[Concatenate[Target, P], T]) -> Callable[Concatenate[Target, P], T]:
    """Turns whatever MLflow, SQLAlchemy, requests or a driver raise into a BenchError."""

    @functools.wraps(call)
    def guarded(target: Target, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(target, *args, **kwargs)
        except BenchError:
            raise
        except ModuleNotFoundError as error:
            extra = 'pip install "embedding-bench[server]"' if error.name == "psycopg" else "install it"
            raise RequestError(
                f"tracking.uri={target.shown}: needs the Python package {error.name}; {extra}"
            ) from error
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            cause = without_password(lines[0])[:300]
            raise TrackingError(
                f"tracking.uri={target.shown}: MLflow cannot be used there: {cause}"
            ) from error

    return guarded


@contextlib.contextmanager
def exclusive(target: Target) -> Iterator[None]:
    """Lets one process at a time use a SQLite file: two that create its schema at once break it."""
    if target.database is None:
        yield
        return
    with FileLock(f"{target.database}.lock", LOCK_SECONDS, poll_interval=0.01):
        yield


@said_in_a_line
def prepare(target: Target) -> None:
    """Makes the store and the experiment where they are missing, which takes seconds the first time."""
    with connected(target) as client:
        experiment_of(target, client)


def import_for(uri: str) -> None:
    """Imports what logging to ``uri`` takes."""
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
    importlib.import_module("mlflow.tracking")
    if not uri.startswith("http"):
        # MLflow would import it as it opens the first database: inside the lock
        importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


@contextlib.contextmanager
def connected(target: Target, alone: bool = True) -> Iterator[Any]:
    """MLflow's client; ``alone``, no other process uses a SQLite file meanwhile."""
    import_for(target.uri)
    if target.database is None and target.artifacts is not None:
        _try_to_connect(target)
    with exclusive(target) if alone else contextlib.nullcontext():
        if alone and target.database is not None and not target.database.exists():
            _make_database(target, target.database)
        yield importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=target.uri)


def _make_database(target: Target, path: Path) -> None:
    """Makes a SQLite store, whole or not at all: MLflow cannot take up one whose making broke off."""
    new = path.with_name(f".{path.name}.new")
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)
    uri = "sqlite:///" + urllib.parse.quote(str(new), safe="/ :\\")
    artifacts = target.artifacts or path.parent
    store = importlib.import_module("mlflow.store.tracking.sqlalchemy_store").SqlAlchemyStore(
        uri, artifacts.as_uri()
    )
    store.engine.dispose()
    new.replace(path)


@functools.cache
def _try_to_connect(target: Target) -> None:
    """MLflow itself would try a database ten times, over minutes."""
    importlib.import_module("sqlalchemy").create_engine(target.uri).connect().close()


def experiment_of(target: Target, client: Any) -> str:
    """The experiment's id; it is made, with its description, where it is missing.

    Raises:
        RequestError: it has been deleted.
    """
    refused = importlib.import_module("mlflow.exceptions").MlflowException
    found = client.get_experiment_by_name(target.experiment)
    if found is None:
        artifacts = target.artifacts and target.artifacts.as_uri()
        try:
            return str(
                client.create_experiment(
                    target.experiment, artifact_location=artifacts, tags=notes.experiment_tags()
                )
            )
        except refused:
            found = client.get_experiment_by_name(target.experiment)
            if found is None:  # else another machine was faster
                raise
    if found.lifecycle_stage != "active":
        raise RequestError(
            f"tracking.experiment={target.experiment}: deleted in MLflow; give another name, or restore it: "
            f"mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    for name, value in notes.experiment_tags().items():
        if name not in found.tags:  # an earlier version's; what a user has changed stays
            client.set_experiment_tag(found.experiment_id, name, value)
    return str(found.experiment_id)
