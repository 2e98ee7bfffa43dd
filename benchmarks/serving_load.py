"""Measures ``bench.serve`` under load: requests a second and latencies, full tables beside compressed ones.

Run it with ``make speed SERVING=load`` or ``python -m benchmarks.serving_load [methods=full,qr] [clients=4] [seconds=5]
[ids=64] [num_ids=100000] [dim=64] [budget=0.1] [workers=1] [seed=0] [url=URL]``. The exports hold random numbers of the
sizes that the methods have; nothing is trained. Each client is a process with one connection, and asks again as soon as
it is answered. Clients and server share the machine, so these are numbers for comparing. The methods take turns with
each kind of request. With ``url=``, that server is measured instead, with ids from 0 on; unknown ones get NaN.

``minutes=10 clients=8 kills=true`` instead compares every vector and every prediction with ``bench.serving``, under
requests of all kinds. Half of the clients are killed at random moments and started again. The memory of the server that
is its own is sampled. The exit code is 1 if a number was wrong, a request failed, or the memory went on growing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import psutil

from bench.config.typed import Count, Range, Share
from bench.errors import BenchError, line
from bench.measure import units
from bench.serving import load
from benchmarks import made
from benchmarks.options import options_of

ROOT = Path(__file__).resolve().parent.parent
JSON, OCTETS = "application/json", "application/octet-stream"
SPAWN = multiprocessing.get_context("spawn")
KINDS = ("lookup, octets", "lookup, JSON", "predict, JSON to octets", "predict, JSON")
MOST_GROWTH, SOME_BYTES = 1.1, 16 << 20
"""How the memory at the end may differ from that after a tenth of the time: this factor, and these bytes."""


@dataclass(frozen=True)
class Options:
    """What is measured; see the module."""

    methods: str = "full,qr"
    clients: Annotated[int, Range(low=1, high=64)] = 4
    seconds: Annotated[float, Range(above=0)] = 5.0
    ids: Count = 64
    num_ids: Count = 100_000
    dim: Count = 64
    budget: Share = 0.1
    workers: Count = 1
    seed: int = 0
    url: str = ""
    minutes: Annotated[float, Range(low=0)] = 0.0
    kills: bool = False


@dataclass(frozen=True)
class Request:
    """A request, and how its answer is read.

    Attributes:
        path: the path, with the query.
        body: the body.
        headers: the headers.
        read: makes numbers of the answer.
    """

    path: str
    body: bytes
    headers: dict[str, str]
    read: Callable[[bytes], np.ndarray]


def request(kind: str, ids: np.ndarray, unknown: str = "error") -> Request:
    """Makes a request of a kind for these ids of users. Predictions take the same ids of items.

    Args:
        kind: one of ``KINDS``.
        ids: int64 (n,).
        unknown: what unknown ids get.
    """
    headers = {"content-type": JSON, "accept": OCTETS if kind.endswith("octets") else JSON}
    read = _octets if kind.endswith("octets") else _json
    if kind == "lookup, octets":
        path = f"/lookup?field=user&unknown={unknown}"
        return Request(path, ids.astype("<i8").tobytes(), {**headers, "content-type": OCTETS}, read)
    tree: dict[str, Any] = {"field": "user", "ids": ids.tolist(), "unknown": unknown}
    if kind.startswith("predict"):
        tree = {"columns": dict.fromkeys(made.FIELD_NAMES, ids.tolist()), "unknown": unknown}
    return Request(f"/{kind.partition(',')[0]}", json.dumps(tree).encode(), headers, read)


def _octets(body: bytes) -> np.ndarray:
    return np.frombuffer(body, "<f4")


def _json(body: bytes) -> np.ndarray:
    (values,) = json.loads(body).values()
    flat = np.array(values, np.float64)
    return flat.astype(np.float32).reshape(-1)


class Client:
    """A connection to a server that stays open.

    Args:
        url: the server's address.
    """

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(
            str(urlsplit(url).hostname), urlsplit(url).port, timeout=60
        )

    def ask(self, one: Request) -> bytes:
        """Sends a request and gives the body of the answer.

        Raises:
            BenchError: the answer is no success.
        """
        self._connection.request("POST", one.path, one.body, one.headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise BenchError(f"{one.path}: status {answer.status}: {body[:200]!r}")
        return body


@contextlib.contextmanager
def serving(folder: Path, workers: int) -> Iterator[tuple[str, int]]:
    """Runs ``bench.serve`` over a folder. Gives its address and the id of its process.

    Raises:
        BenchError: it does not start, or does not end as it should.
    """
    command = [sys.executable, "-m", "bench.serve", f"run={folder}", "port=0", f"workers={workers}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline().split()
        if not said:
            raise BenchError(f"bench.serve did not start: {process.communicate()[1]}")
        yield said[-1], process.pid
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    if process.returncode != 143 or len(errors.splitlines()) != 1:
        raise BenchError(f"bench.serve ended with exit code {process.returncode}: {errors[-500:]}")


# Load


def _load(url: str, kind: str, options: Options, number: int, answers: Any) -> None:
    """Asks for some seconds, as one client, and sends the seconds that each answer took."""
    rng = np.random.default_rng([options.seed, number])
    spread = 1 if options.url else made.STEP
    requests = [
        request(
            kind, spread * rng.integers(0, options.num_ids, options.ids), "nan" if options.url else "error"
        )
        for _ in range(50)
    ]
    client = Client(url)
    taken: list[float] = []
    client.ask(requests[0])
    end = time.perf_counter() + options.seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        client.ask(requests[len(taken) % len(requests)])
        taken.append(time.perf_counter() - began)
    answers.put(taken)


def measure(url: str, kind: str, options: Options) -> list[str]:
    """Measures a kind of requests. Gives the cells of its row: requests a second, and latencies in milliseconds.

    Raises:
        BenchError: a client failed.
    """
    answers = SPAWN.SimpleQueue()
    clients = [
        SPAWN.Process(target=_load, args=(url, kind, options, number, answers), daemon=True)
        for number in range(options.clients)
    ]
    for client in clients:
        client.start()
    taken: list[list[float]] = []
    while len(taken) < len(clients):
        if any(client.exitcode for client in clients):
            raise BenchError(f"{kind}: a client failed; see above")
        if answers.empty():
            time.sleep(0.05)
        else:
            taken.append(answers.get())
    rate = sum(len(own) / sum(own) for own in taken)
    times = 1000 * np.concatenate(taken)
    latencies = [float(np.quantile(times, share)) for share in (0.5, 0.95, 0.99)]
    return [kind, f"{rate:,.0f}", *(f"{latency:.2f}" for latency in latencies)]


def loads(options: Options, folder: Path) -> int:
    """Measures each method, or the server at an address, and prints a table. Gives the exit code."""
    head = ["", "requests/s", "median ms", "p95 ms", "p99 ms"]
    print(f"{options.clients} clients, {options.ids} ids a request, {options.seconds:g} s each", flush=True)
    if options.url:
        _print([head, *(measure(options.url, kind, options) for kind in KINDS)])
        return 0
    rows: dict[str, list[list[str]]] = {}
    with contextlib.ExitStack() as stack:
        urls = {}
        for method in options.methods.split(","):
            ratio = made.export(folder / method, method, options.num_ids, options.dim, options.budget)
            urls[method], _ = stack.enter_context(serving(folder / method, options.workers))
            rows[f"{method}, {ratio:.1f}x smaller" if ratio > 1 else method] = []
        for kind in KINDS:
            for own, url in zip(rows.values(), urls.values(), strict=True):
                own.append(measure(url, kind, options))
    for title, own in rows.items():
        print(f"\n{title}")
        _print([head, *own])
    return 0


def _print(rows: Sequence[Sequence[str]]) -> None:
    for text in units.aligned(rows, left=1):
        print(text, flush=True)


# Soak


def _compare(url: str, folder: str, options: Options, number: int, counts: Any) -> None:
    """Asks until it is killed, as one client, and counts numbers that are compared, wrong ones and failed requests."""
    tables = load(folder)
    rng = np.random.default_rng([options.seed, number, int(time.time() * 1000)])
    client, place = Client(url), 3 * number
    while True:
        ids = made.STEP * rng.integers(0, options.num_ids, rng.integers(1, 257))
        kind = str(rng.choice(KINDS))
        one = request(kind, ids)
        try:
            found = one.read(client.ask(one))
        except (OSError, http.client.HTTPException, BenchError) as error:
            print(f"a request failed: {type(error).__name__}: {line(error)}", file=sys.stderr, flush=True)
            counts[place + 2] += 1
            client = Client(url)
            time.sleep(0.1)
            continue
        wanted = (
            tables.lookup("user", ids)
            if kind.startswith("lookup")
            else tables.predict(dict.fromkeys(made.FIELD_NAMES, ids))
        )
        wanted = wanted.reshape(-1)
        wrong = found.size != wanted.size or int((found.view(np.uint32) != wanted.view(np.uint32)).sum())
        counts[place] += wanted.size
        counts[place + 1] += wrong


def private_bytes(pid: int) -> int:
    """Gives the bytes of memory that a process and its workers have of their own: on Linux, without mapped files."""
    total = 0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            total += 1024 * int(text.partition("RssAnon:")[2].split()[0])
        except (OSError, IndexError):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def soak(options: Options, folder: Path) -> int:
    """Compares every number for some minutes, prints what was found, and gives the exit code."""
    print(
        f"{options.clients} clients, {options.minutes:g} minutes{', half are killed' if options.kills else ''}"
    )
    method = options.methods.split(",")[-1]
    made.export(folder / method, method, options.num_ids, options.dim, options.budget)
    counts = SPAWN.RawArray("q", 3 * options.clients)
    draw, kills = random.Random(options.seed), 0
    clients: list[BaseProcess] = []
    with serving(folder / method, options.workers) as (url, pid):

        def start(number: int) -> BaseProcess:
            client = SPAWN.Process(
                target=_compare, args=(url, str(folder / method), options, number, counts), daemon=True
            )
            client.start()
            return client

        try:
            clients = [start(number) for number in range(options.clients)]
            began, sampled = time.monotonic(), [private_bytes(pid)]
            total = 60 * options.minutes
            while time.monotonic() - began < total:
                time.sleep(draw.uniform(0.2, 1.0))
                sampled.append(private_bytes(pid))
                if options.kills:
                    number = draw.randrange((options.clients + 1) // 2)
                    clients[number].kill()
                    clients[number].join()
                    clients[number], kills = start(number), kills + 1
                if any(not client.is_alive() for client in clients):
                    raise BenchError("a client ended; see above")
        finally:
            for client in clients:
                client.kill()
                client.join()
    return _judge(counts, sampled, kills)


def _judge(counts: Any, sampled: list[int], kills: int) -> int:
    compared, wrong, failed = (sum(counts[place::3]) for place in range(3))
    tenth = max(1, len(sampled) // 10)
    # the first tenth is the time in which everything is done for the first time
    begin, end = (
        float(np.median(part)) for part in (sampled[tenth : 2 * tenth] or sampled, sampled[-tenth:])
    )
    print(
        f"{compared:,} numbers compared, {wrong:,} wrong, {failed:,} requests failed, {kills} clients killed"
    )
    print(
        f"the server's own memory: {units.short_size(begin)} after a tenth of the time, {units.short_size(end)} at the "
        f"end, {units.short_size(max(sampled))} at most"
    )
    held = {"wrong numbers: 0": not wrong, "failed requests: 0": not failed, "some were compared": compared > 0,
            "memory does not go on growing": end <= MOST_GROWTH * begin + SOME_BYTES}  # fmt: skip
    for goal, holds in held.items():
        print(f"  {goal}: {'yes' if holds else 'NO'}")
    return 0 if all(held.values()) else 1


def main(arguments: list[str]) -> int:
    """Runs what the arguments ask for, and gives the exit code."""
    try:
        options = options_of(Options, arguments)
        with tempfile.TemporaryDirectory() as folder:
            return soak(options, Path(folder)) if options.minutes else loads(options, Path(folder))
    except BenchError as error:
        print(f"error: {line(error)}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
