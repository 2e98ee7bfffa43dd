"""Starts ``python -m bench.serve`` as a user does, and asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from commands import ROOT

OCTETS, JSON = "application/octet-stream", "application/json"


@dataclass(frozen=True)
class Answer:
    """An answer: status code, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def tree(self) -> Any:
        """The body as JSON."""
        assert self.headers["content-type"] == JSON
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """What was wrong: one line, and nothing beside it."""
        assert self.tree.keys() == {"error"}, self.body
        text: str = self.tree["error"]
        assert text and "\n" not in text
        return text

    @property
    def array(self) -> np.ndarray:
        """The body as an array, by its headers."""
        assert self.headers["content-type"] == OCTETS
        shape = [int(size) for size in self.headers["x-shape"].split(",")]
        return np.frombuffer(self.body, self.headers["x-dtype"]).reshape(shape)


@dataclass
class Served:
    """A server that runs."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port
        return port

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(str(urlsplit(self.url).hostname), self.port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Sends a request. A body that is no bytes is sent as JSON; names of headers have ``_`` for ``-``."""
        connection = self.connection()
        with contextlib.closing(connection):
            return ask(connection, method, path, body, **headers)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ends it by a signal. Gives its exit code and standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors

    def ready(self) -> None:
        """Waits until all tables have been read."""
        end = time.monotonic() + 30
        while self.ask("GET", "/ready").status != 200:
            assert time.monotonic() < end
            time.sleep(0.01)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> Answer:
    """Sends a request over a connection that stays open."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        named.setdefault("content-type", JSON)
    connection.request(method, path, body, named)
    found = connection.getresponse()
    return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts the command, as the leader of a process group."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "bench.serve", *arguments],
        env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """Runs a server over a folder, on a port of its own."""
    process = start(f"run={folder}", "port=0", *arguments, **environment)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith(f"serving {folder} on http://"), (
            line,
            process.stderr and process.stderr.read(),
        )
        yield Served(process, line.split()[-1])
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is killed then
            process.terminate()
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
