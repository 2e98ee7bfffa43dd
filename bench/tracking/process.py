"""MLflow's process: a child that imports MLflow, and calls it in the order it is asked to.

TensorFlow and MLflow take seconds to import, one at a time in one interpreter. Apart, they are imported together,
the memory of MLflow is not the run's, and somebody is left to mark the run of a process that was killed. Runs beside
each other share the one of the process that started them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import Pipe
from multiprocessing.connection import Client, Connection, Listener
from queue import SimpleQueue
from typing import IO, Any, NoReturn, TypeVar

from bench.tracking.target import TrackingError

T = TypeVar("T")

ADDRESS_VARIABLE = "BENCH_MLFLOW_PROCESS"
"""Environment variable: where another process's MLflow process listens."""

_turn = threading.Lock()


class Process:
    """Calls functions in a child process, which is started by the first call and again if it should die."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._link: Connection[Any, Any] | None = None
        self._printed: IO[bytes] | None = None
        atexit.register(self._leave)

    def submit(self, call: Callable[..., T], *arguments: Any) -> Future[T]:
        """Has ``call(*arguments)`` called in the child; returns at once.

        Args:
            call: a function of a module.
            arguments: can be pickled, as must be what it returns and raises.

        Returns:
            What becomes of the call; TrackingError if the child dies over it.
        """
        future: Future[T] = Future()
        self._calls.put((future, call, arguments))
        if self._thread is None:
            # Python does not wait for it when it exits: what matters has been waited for.
            self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
            self._thread.start()
        return future

    @property
    def used(self) -> bool:
        """Whether anything has been called."""
        return self._thread is not None

    def address(self) -> str:
        """Where the child listens from now on; processes with it in ``ADDRESS_VARIABLE`` need no child of their own."""
        return self.submit(listen).result()

    def _work(self) -> None:
        while True:
            future, call, arguments = self._calls.get()
            try:
                future.set_result(self._call(call, arguments))
            except Exception as error:
                future.set_exception(error)

    def _call(self, call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        if self._link is None:
            self._link = self._shared() or self._own()
        try:
            self._link.send((call, arguments))
            succeeded, value = self._link.recv()
        except (EOFError, OSError) as error:
            self._link.close()
            self._link, child, self._child = None, self._child, None
            how = "" if child is None else f" (exit code {child.wait()}){self._last_words()}"
            raise TrackingError(f"the process that logs to MLflow has died{how}") from error
        if not succeeded:
            raise value
        result: T = value
        return result

    def _shared(self) -> Connection[Any, Any] | None:
        """A link to the child of the process that started this one, where it has one that lives."""
        address = os.environ.get(ADDRESS_VARIABLE)
        with contextlib.suppress(OSError):
            return Client(address) if address else None
        return None

    def _own(self) -> Connection[Any, Any]:
        ours, theirs = Pipe()
        # What libraries print is not the command's output, and who reads that need not wait for the child to end.
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - it is the child's as long as that lives
        self._child = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=self._printed,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        theirs.close()
        return ours

    def _last_words(self) -> str:
        """The last line that the child has printed, such as an import's error."""
        assert self._printed is not None
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip()]
        return f": {said[-1]}" if said else ""

    def _leave(self) -> None:
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.close()  # it ends once it has done what it is at


def serve(descriptor: int) -> NoReturn:
    """The child: answers calls until the parent is gone, then marks the runs that it has left open."""
    # What ends the parent ends the child a moment later, by the end of its input.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _answer(Connection(descriptor))
    from bench.tracking import store

    with _turn:
        store.end_all("KILLED")
        os._exit(0)  # nothing is left to do, and MLflow would take its time


def listen() -> str:
    """Has the child answer other processes too; returns the address where they reach it."""
    listener = Listener(os.path.join(tempfile.mkdtemp(prefix="embedding-bench-"), "mlflow"))  # noqa: PTH118

    def accept() -> NoReturn:
        while True:
            with contextlib.suppress(OSError, EOFError):
                link = listener.accept()
                threading.Thread(target=_answer_another, args=(link,), daemon=True).start()

    threading.Thread(target=accept, name="accept", daemon=True).start()
    return str(listener.address)


def _answer_another(link: Connection[Any, Any]) -> None:
    from bench.tracking import store

    _answer(link)
    with _turn:
        store.end_all("KILLED", threading.get_ident())


def _answer(link: Connection[Any, Any]) -> None:
    """Calls what it is asked to, one call at a time among all who ask, until the other end is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            call, arguments = link.recv()
            try:
                with _turn:
                    reply = (True, call(*arguments))
            except Exception as error:
                error.add_note(f"In the process that logs to MLflow:\n{traceback.format_exc()}")
                reply = (False, error)
            link.send(reply)
