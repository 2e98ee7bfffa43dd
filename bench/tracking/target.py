"""Where runs are logged: checked from the address alone, before anything slow is done."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, RequestError
from bench.settings import without_password

CONNECT_SECONDS = 5.0

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""The stores that MLflow reaches over a network, and where they listen unless the address says."""

_FORMS = "sqlite:///outputs/mlflow.db, http://HOST:PORT or postgresql://USER:PASSWORD@HOST/DATABASE"


class TrackingError(BenchError):
    """MLflow's store cannot be reached or used."""


@dataclass(frozen=True)
class Target:
    """Where runs are logged.

    Attributes:
        uri: MLflow's tracking URI; SQLite's with an absolute path.
        experiment: MLflow's experiment.
        database: SQLite's file, or None.
        artifacts: where artifacts of a new experiment lie, or None where a server decides.
    """

    uri: str
    experiment: str
    database: Path | None
    artifacts: Path | None

    @property
    def shown(self) -> str:
        """The URI without its password."""
        return without_password(self.uri)


def check(uri: str, experiment: str = "embedding-compression") -> Target:
    """Where ``uri`` leads from the current folder, before anything slow is done.

    The folder of a SQLite file is made. Whether a server answers is tried too, its store is not opened.

    Raises:
        RequestError: not an address that MLflow can log to, or a file that is none of its databases.
        TrackingError: no server answers there.
    """
    if not experiment.strip():
        raise RequestError("tracking.experiment='': give a name, such as embedding-compression")
    given = f"tracking.uri={without_password(uri)}"
    try:
        parts = urllib.parse.urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RequestError(f"{given}: {error}; give {_FORMS}") from None
    scheme = parts.scheme.partition("+")[0]
    if parts.scheme == "sqlite":
        return _check_sqlite(uri, experiment)
    if scheme in ("", "file"):
        raise RequestError(f"{given}: MLflow does not log to a folder any more; give {_FORMS}")
    if scheme not in PORTS:
        raise RequestError(f"{given}: MLflow has no store of the kind {parts.scheme}; give {_FORMS}")
    if not host:
        raise RequestError(f"{given}: no host; give {_FORMS}")
    served = parts.scheme in ("http", "https")
    target = Target(uri, experiment, None, None if served else Path("outputs", "mlflow-artifacts").absolute())
    if not (served and _by_proxy(parts.scheme, host)):
        _knock(target, host, port or PORTS[scheme])
    return target


def _check_sqlite(uri: str, experiment: str) -> Target:
    text, mark, query = uri.removeprefix("sqlite:///").partition("?")
    path = Path(urllib.parse.unquote(text)).absolute()
    if not uri.startswith("sqlite:///") or not text or text == ":memory:":
        raise RequestError(
            f"tracking.uri={uri}: no file; give sqlite:///outputs/mlflow.db (four / for a path from /)"
        )
    try:
        if path.is_dir():
            raise RequestError(
                f"tracking.uri={uri}: a folder; give a file in it, such as {uri.rstrip('/')}/mlflow.db"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            start = file.read(16)
            if start and start != b"SQLite format 3\0":
                raise RequestError(f"tracking.uri={uri}: {path} is no SQLite database; give another file")
    except OSError as error:
        raise RequestError(
            f"tracking.uri={uri}: {error.strerror or error}: {path}; give another file"
        ) from None
    if not writable:
        raise RequestError(f"tracking.uri={uri}: {path} cannot be written to; give another file")
    absolute = "sqlite:///" + urllib.parse.quote(str(path), safe="/ :\\") + mark + query
    return Target(absolute, experiment, path, path.parent / f"{path.stem}-artifacts")


def _by_proxy(scheme: str, host: str) -> bool:
    return scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)


def _knock(target: Target, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise TrackingError(
            f"tracking.uri={target.shown}: no server answers ({error.strerror or error}); start it, or give "
            "tracking.uri=sqlite:///outputs/mlflow.db"
        ) from None
