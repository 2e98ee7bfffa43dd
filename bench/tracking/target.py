"""The place to which runs are logged. It is judged by the address alone, before anything slow is done."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.config.secrets import without_password
from bench.errors import BenchError, RequestError

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""The stores that MLflow reaches over a network, and the port of each where the address names none."""

VARIABLE = "MLFLOW_TRACKING_URI"

_FORMS = "sqlite:///outputs/mlflow.db, http://HOST:PORT or postgresql://USER:PASSWORD@HOST/DATABASE"


class TrackingError(BenchError):
    """MLflow's store cannot be reached or used."""


@dataclass(frozen=True)
class Target:
    """A place to which runs are logged.

    Attributes:
        uri: MLflow's tracking URI. A SQLite file is named by its absolute path.
        experiment: the name of MLflow's experiment.
        database: the SQLite file; None for a server.
        artifacts: the folder for artifacts of a new experiment; None where a server decides.
        address: host and port of a server that can be asked whether it answers; None for any other.
    """

    uri: str
    experiment: str
    database: Path | None = None
    artifacts: Path | None = None
    address: tuple[str, int] | None = None

    @property
    def shown(self) -> str:
        """The URI without its password."""
        return without_password(self.uri)

    @property
    def is_server(self) -> bool:
        """Tells whether MLflow is reached over a network."""
        return self.database is None

    def knock(self) -> None:
        """Makes sure that a server answers, or that a SQLite file can be written.

        Raises:
            TrackingError: no server answers.
            RequestError: the file cannot be written.
        """
        if self.database is not None and not can_write(self.database):
            raise RequestError(
                f"tracking.uri={self.shown}: {self.database} cannot be written to; give another file"
            )
        try:
            if self.address is not None:
                socket.create_connection(self.address, timeout=5).close()
        except OSError as error:
            raise TrackingError(
                f"tracking.uri={self.shown}: no server answers ({error.strerror or error}); start it, or give "
                "tracking.uri=sqlite:///outputs/mlflow.db"
            ) from None


def can_write(path: Path) -> bool:
    """Tells whether a file or a folder can be written to, or made where it is missing."""
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    return os.access(there, os.W_OK) and (there == path or there.is_dir())


def check(uri: str, experiment: str = "embedding-compression") -> Target:
    """Reads an address. Nothing is opened, made or asked over the network; ``Target.knock`` does that.

    Args:
        uri: MLflow's tracking URI; a relative path begins at the current folder.
        experiment: the name of MLflow's experiment.

    Raises:
        RequestError: MLflow cannot log to such an address, or the file is not one of its databases.
    """
    if not experiment.strip():
        raise RequestError("tracking.experiment='': give a name, such as embedding-compression")
    if not uri and VARIABLE in os.environ:
        raise RequestError(f"{VARIABLE}='': unset the variable, or set it or tracking.uri to {_FORMS}")
    given = f"tracking.uri={without_password(uri)}"
    if uri and uri == os.environ.get(VARIABLE):
        given += f" (the value of {VARIABLE})"
    try:
        parts = urllib.parse.urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RequestError(f"{given}: {error}; give {_FORMS}") from None
    scheme = parts.scheme.partition("+")[0]
    if parts.scheme == "sqlite":
        return _check_sqlite(uri, experiment, given)
    if scheme in ("", "file"):
        raise RequestError(f"{given}: MLflow does not log to a folder any more; give {_FORMS}")
    if scheme not in PORTS:
        raise RequestError(f"{given}: MLflow has no store of the kind {parts.scheme}; give {_FORMS}")
    if not host:
        raise RequestError(f"{given}: no host; give {_FORMS}")
    address = host, port or PORTS[scheme]
    if scheme not in ("http", "https"):
        return Target(uri, experiment, None, Path("outputs", "mlflow-artifacts").absolute(), address)
    by_proxy = scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
    return Target(uri, experiment, address=None if by_proxy else address)


def _check_sqlite(uri: str, experiment: str, given: str) -> Target:
    text, mark, query = uri.removeprefix("sqlite:///").partition("?")
    path = Path(urllib.parse.unquote(text)).absolute()
    if not uri.startswith("sqlite:///") or not text or text.startswith((":memory:", "file:")):
        raise RequestError(f"{given}: no file; give sqlite:///outputs/mlflow.db (four / for a path from /)")
    with contextlib.suppress(OSError, ValueError):
        if path.is_dir():
            raise RequestError(f"{given}: a folder; give a file in it, such as {uri.rstrip('/')}/mlflow.db")
        with path.open("rb") as file:
            if (start := file.read(16)) and start != b"SQLite format 3\0":
                raise RequestError(f"{given}: {path} is not a SQLite database; give another file")
    absolute = "sqlite:///" + urllib.parse.quote(str(path), safe="/ :\\") + mark + query
    return Target(absolute, experiment, path, path.parent / f"{path.stem}-artifacts")
