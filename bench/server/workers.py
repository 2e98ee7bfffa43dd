"""Processes that answer from one socket and one mapping, and the process that looks after them."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait

from bench.errors import RunFailed, interrupt, line
from bench.server.app import Service
from bench.server.listening import is_local
from bench.server.options import Options
from bench.server.running import LAST_SECONDS, SIGNALS, Server
from bench.serving import Tables, load

SHORT, MOST_SHORT = 5.0, 5
"""Seconds of a short life, and how many workers in turn may have one before the server gives up."""


def serve(tables: Tables, options: Options, listening: socket.socket, told: Callable[[], None]) -> None:
    """Answers requests until a signal ends it. ``KeyboardInterrupt`` is raised then.

    Args:
        tables: the export.
        options: the settings of the server.
        listening: the socket.
        told: is called once requests are accepted.

    Raises:
        RunFailed: workers end as soon as they are started.
    """
    if options.workers == 1:
        Server(Service(tables, options, is_local(listening)), told).run([listening])
        return
    digest = str(tables.described.tree["digest"])
    del tables  # each worker maps the files, and the system holds them once
    workers = _Workers(options, listening, digest)
    try:
        workers.run(told)
    finally:
        workers.end()


class _Worker:
    """A process that answers.

    Args:
        options: the settings of the server.
        listening: the socket.
        digest: the digest of the export's manifest.
    """

    def __init__(self, options: Options, listening: socket.socket, digest: str) -> None:
        context = multiprocessing.get_context("spawn")  # threads of NumPy's do not outlive a fork
        self.said, other = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(options, listening, digest, other), daemon=True)
        self.began = time.monotonic()
        with _held():  # signals come to it once it can handle them
            self.process.start()
        other.close()

    def failed(self) -> str:
        """Waits until the worker accepts requests. Gives why it does not, or an empty text."""
        try:
            return str(self.said.recv())
        except EOFError:
            self.process.join()
            return _ending(self.process.exitcode)


class _Workers:
    """Starts workers, and another one for each that ends."""

    def __init__(self, options: Options, listening: socket.socket, digest: str) -> None:
        self._options, self._listening, self._digest = options, listening, digest
        self._running: list[_Worker] = []

    def run(self, told: Callable[[], None]) -> None:
        """Runs until a signal raises an error here."""
        for _ in range(self._options.workers):
            self._running.append(_Worker(self._options, self._listening, self._digest))
        for worker in self._running:
            if why := worker.failed():
                raise RunFailed(f"a worker cannot serve: {why}")
        told()
        short = 0
        while True:
            wait([worker.process.sentinel for worker in self._running])
            for worker in [one for one in self._running if not one.process.is_alive()]:
                self._running.remove(worker)
                short = short + 1 if time.monotonic() - worker.began < SHORT else 0
                why = _ending(worker.process.exitcode)
                if short >= MOST_SHORT:
                    raise RunFailed(f"workers end as soon as they are started, the last one by {why}")
                print(f"a worker ended by {why}; another one is started", file=sys.stderr, flush=True)
                self._running.append(_Worker(self._options, self._listening, self._digest))
                if why := self._running[-1].failed():
                    raise RunFailed(f"a worker cannot serve: {why}")

    def end(self) -> None:
        """Ends all workers, once they have answered what was asked before."""
        for worker in self._running:
            worker.process.terminate()
        last = time.monotonic() + LAST_SECONDS + 5
        for worker in self._running:
            worker.process.join(max(0.0, last - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _work(options: Options, listening: socket.socket, digest: str, says: Connection) -> None:
    """Is the whole work of a worker. It says an empty text once it accepts requests, or why it does not."""
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    for number in numbers:
        signal.signal(number, interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        try:
            tables = load(options.run)
            if tables.described.tree["digest"] != digest:
                raise ValueError("the export was replaced since the server was started; start it again")
        except ValueError as error:
            says.send(line(error))
            return
        server = Server(Service(tables, options, is_local(listening)), lambda: says.send(""))
        threading.Thread(target=_follow, args=(server,), daemon=True).start()
        server.run([listening])


def _follow(server: Server) -> None:
    """Ends the server when the process ends that has started this one, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        server.should_exit = True


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Holds back the signals that end a command, here and in processes that are started meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
