"""MLflow's client: what it takes to reach a store and the experiment, and errors said in one line."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import os
import re
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from filelock import FileLock

from bench.config.secrets import without_password
from bench.errors import BenchError, RequestError
from bench.measure import apart
from bench.tracking import notes, private
from bench.tracking.target import Target, TrackingError, can_write

P = ParamSpec("P")
T = TypeVar("T")

LOCK_SECONDS = 120.0

ROOM_BYTES = 1 << 18
"""A disk with less room than that is full for SQLite."""

mlflow = apart.Process("logs to MLflow", "BENCH_MLFLOW_PROCESS", ("bench.tracking.store", "end_all"))
"""MLflow's process. Runs beside each other share that of the process that started them."""


def in_mlflow(call: Callable[Concatenate[Target, P], T]) -> Callable[Concatenate[Target, P], T]:
    """Has a function called in MLflow's process, and every error of it said in one line by a BenchError."""

    @functools.wraps(call)
    def called(target: Target, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not apart.inside():
            return mlflow.submit(called, target, *args, **kwargs).result()
        try:
            return call(target, *args, **kwargs)
        except BenchError:
            raise
        except Exception as error:
            raise _explained(target, error) from error

    return called


def _explained(target: Target, error: Exception) -> BenchError:
    given, text = f"tracking.uri={target.shown}", without_password(str(error).strip())
    if isinstance(error, ModuleNotFoundError):
        extra = 'pip install "embedding-bench[server]"' if error.name == "psycopg" else "install it"
        return RequestError(f"{given}: needs the Python package {error.name}; {extra}")
    if version := re.search(r"out-of-date database schema \(found version (\w+)", text):
        newer, what = private.made_by_newer_mlflow(version[1]), importlib.import_module("mlflow").__version__
        older = f"make a copy of it, then mlflow db upgrade '{target.shown}'"
        update = "pip install -U mlflow" if newer else older
        return RequestError(
            f"{given}: made by {'a newer' if newer else 'an older'} MLflow than the installed {what}; {update}, or "
            "give another tracking.uri, which python -m bench.track fills from the records"
        )
    if target.database is not None and _disk_is_full(target.database, error, text):
        return TrackingError(f"{given}: no space left on the disk of {target.database.parent}; free some")
    first = (text.splitlines() or [type(error).__name__])[0]
    return TrackingError(f"{given}: MLflow cannot be used there: {first[:300]}")


def _disk_is_full(database: Path, error: BaseException | None, text: str) -> bool:
    # of a full disk SQLite says many things: read-only, cannot be opened, no such table
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return True
        error = error.__cause__ or error.__context__
    there = next(place for place in database.parents if place.exists())
    return "disk is full" in text or shutil.disk_usage(there).free < ROOM_BYTES


def import_for(uri: str) -> None:
    """Imports what logging to ``uri`` takes."""
    # a variable that the user has set stays
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # an exception says what goes wrong
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # MLflow's 7 take minutes
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        # a connection that is kept would go on with a database that was removed
        **({"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool"} if uri.startswith("sqlite") else {}),
    }.items():
        os.environ.setdefault(name, value)
    try:
        Path.home()
    except RuntimeError:  # HOME is not set, and MLflow cannot be imported without a home folder
        os.environ["HOME"] = tempfile.gettempdir()
    importlib.import_module("mlflow.tracking")
    if not uri.startswith("http"):
        private.import_stores()


@contextlib.contextmanager
def connected(target: Target) -> Iterator[Any]:
    """Gives MLflow's client. Only one process at a time uses a SQLite file, which is made where it is missing."""
    import_for(target.uri)
    _reach(target)
    client, database = importlib.import_module("mlflow.tracking").MlflowClient, target.database
    if database is None:
        yield client(tracking_uri=target.uri)
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock", LOCK_SECONDS, poll_interval=0.01):
        if not database.exists():
            private.make_database(database, target.artifacts or database.parent)
        yield client(tracking_uri=private.address(database, urllib.parse.urlsplit(target.uri).query))


@functools.cache
def _reach(target: Target) -> None:
    """Tries once to connect: MLflow itself would try a database ten times, over minutes."""
    target.knock()
    if target.database is None and target.artifacts is not None:
        importlib.import_module("sqlalchemy").create_engine(target.uri).connect().close()


@in_mlflow
def prepare(target: Target) -> None:
    """Makes the store and the experiment where they are missing, which takes seconds the first time."""
    with connected(target) as client:
        experiment_of(target, client)


def experiment_of(target: Target, client: Any) -> str:
    """Gives the experiment's id; makes it, with its description, where it is missing.

    Raises:
        RequestError: the experiment has been deleted, or its artifacts cannot be written.
    """
    found, tags = known_experiment(target, client), notes.experiment_tags()
    if found is None:
        location = target.artifacts and target.artifacts.as_uri()
        try:
            return str(client.create_experiment(target.experiment, location, tags))
        except importlib.import_module("mlflow.exceptions").MlflowException:
            found = client.get_experiment_by_name(target.experiment)
            if found is None:  # else another machine was faster
                raise
    given = f"tracking.experiment={target.experiment}"
    if found.lifecycle_stage != "active":
        raise RequestError(
            f"{given}: deleted in MLflow; give another name, or restore it: "
            f"mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    folder = local(found.artifact_location)
    for_server = folder is None and found.artifact_location.startswith("mlflow-artifacts:")
    if target.artifacts is not None and (for_server or (folder is not None and not can_write(folder))):
        raise RequestError(
            f"{given}: MLflow keeps its artifacts in {found.artifact_location}, which cannot be written to from here; "
            "give another tracking.experiment"
        )
    for name in tags.keys() - found.tags.keys():  # of an earlier version; a user's change stays
        client.set_experiment_tag(found.experiment_id, name, tags[name])
    return str(found.experiment_id)


def known_experiment(target: Target, client: Any) -> Any:
    """Gives the experiment, or None. Where a SQLite file was moved, its artifacts then lie beside it."""
    found = client.get_experiment_by_name(target.experiment)
    old, new = local(found.artifact_location) if found else None, target.artifacts
    if target.database is None or old is None or new is None or old == new or old.name != new.name:
        return found
    if old.exists() and not new.exists():
        return found  # only the database was moved
    try:
        private.move_artifacts(client.tracking_uri, found.artifact_location, new.as_uri())
    except Exception as error:  # of another release of MLflow
        raise RequestError(
            f"tracking.uri={target.shown}: was moved here from {old.parent}, and MLflow still keeps artifacts there; "
            "remove the database, then python -m bench.track fills a new one"
        ) from error
    return client.get_experiment_by_name(target.experiment)


def local(uri: str) -> Path | None:
    """Gives the folder that a URI of artifacts names, if it is on this machine."""
    parts = urllib.parse.urlsplit(uri)
    return Path(urllib.request.url2pathname(parts.path)) if parts.scheme in ("", "file") else None
