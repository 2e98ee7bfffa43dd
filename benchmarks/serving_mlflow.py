"""Compares ``bench.serve`` with ``mlflow models serve``: vectors a second of one table, over one connection.

Run it with ``python -m benchmarks.serving_mlflow [method=qr] [num_ids=100000] [dim=64] [ids=64] [seconds=3]
[repeats=3]``. Both servers hold the same export of random numbers, and answer the same ids. They take turns.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.config.typed import Count
from bench.errors import BenchError, line
from benchmarks import made
from benchmarks.options import options_of
from benchmarks.serving_load import JSON, ROOT, Client, Request, request, serving

PATIENCE_SECONDS = 120.0
"""Seconds that MLflow may take to start."""


@dataclass(frozen=True)
class Options:
    """What is compared; see the module."""

    method: str = "qr"
    num_ids: Count = 100_000
    dim: Count = 64
    ids: Count = 64
    seconds: Count = 3
    repeats: Count = 3


@contextlib.contextmanager
def by_mlflow(folder: Path, place: Path) -> Iterator[str]:
    """Registers an export and has MLflow serve it. Gives the server's address.

    Args:
        folder: the export.
        place: a folder for MLflow's files.

    Raises:
        BenchError: it cannot be registered, or MLflow does not start.
    """
    store = f"sqlite:///{place}/mlflow.db"
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "bench.export",
        f"run={folder}",
        "register=shop",
        f"tracking.uri={store}",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=place)
    if done.returncode:
        raise BenchError(f"the export was not registered: {done.stderr.strip()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/shop/1"]
    where = ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    with (place / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *where], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        if time.monotonic() > end or server.poll() is not None:
            raise BenchError("mlflow models serve does not answer")
        time.sleep(0.2)


def of_mlflow(ids: np.ndarray) -> Request:
    """Makes MLflow's request for the vectors of users."""
    body = {"inputs": {"user": ids.tolist(), "item": []}, "params": {"vectors": "user"}}

    def read(answer: bytes) -> np.ndarray:
        return np.array(json.loads(answer)["predictions"], np.float32).reshape(-1)

    return Request("/invocations", json.dumps(body).encode(), {"content-type": JSON}, read)


def compare(options: Options, folder: Path) -> None:
    """Measures both servers in turns, and prints vectors a second.

    Raises:
        BenchError: a server does not start, or the servers give other vectors.
    """
    made.export(folder / "shop", options.method, options.num_ids, options.dim)
    ids = made.STEP * np.random.default_rng(0).integers(0, options.num_ids, options.ids)
    asked = {
        "mlflow models serve, JSON": of_mlflow(ids),
        "bench.serve, JSON": request("lookup, JSON", ids),
        "bench.serve, octets": request("lookup, octets", ids),
    }
    (folder / "mlflow").mkdir()
    with serving(folder / "shop", 1) as (ours, _), by_mlflow(folder / "shop", folder / "mlflow") as theirs:
        where = {name: theirs if name.startswith("mlflow") else ours for name in asked}
        answers = [one.read(Client(where[name]).ask(one)) for name, one in asked.items()]
        if not all(np.array_equal(answers[0], other) for other in answers):
            raise BenchError("the servers give other vectors")
        rates: dict[str, list[float]] = {name: [] for name in asked}
        for _ in range(options.repeats):
            for name, one in asked.items():
                client = Client(where[name])  # servers close a connection that rests for seconds
                client.ask(one)
                count, began = 0, time.perf_counter()
                while time.perf_counter() < began + options.seconds:
                    client.ask(one)
                    count += 1
                rates[name].append(count * options.ids / (time.perf_counter() - began))
    base, *_ = rates.values()
    print(f"\n| {options.ids} ids of width {options.dim} a request | vectors/s | times MLflow's |")
    print("| --- | ---: | ---: |")
    for name, own in rates.items():
        ratio = np.median(np.array(own) / np.array(base))
        print(f"| {name} | {np.median(own):,.0f} | {ratio:.1f} |")


def main(arguments: Sequence[str]) -> int:
    """Runs the command and gives its exit code."""
    try:
        options = options_of(Options, arguments)
        with tempfile.TemporaryDirectory() as place:
            compare(options, Path(place))
    except BenchError as error:
        print(f"error: {line(error)}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
