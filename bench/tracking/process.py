"""MLflow's process: a child that imports MLflow, and calls it in the order it is asked to.

TensorFlow and MLflow take seconds to import, one at a time in one interpreter. Apart, they are imported together,
the memory of MLflow is not the run's, and somebody is left to mark the run of a process that was killed.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar

from bench.tracking.target import TrackingError

T = TypeVar("T")


class Process:
    """Calls functions in a child process, which is started by the first call and again if it should die."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
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

    def _work(self) -> None:
        while True:
            future, call, arguments = self._calls.get()
            try:
                future.set_result(self._call(call, arguments))
            except Exception as error:
                future.set_exception(error)

    def _call(self, call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            pickle.dump((call, arguments), self._child.stdin)
            self._child.stdin.flush()
            succeeded, value = pickle.load(self._child.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            with contextlib.suppress(OSError):
                self._child.stdin.close()
            code, self._child = self._child.wait(), None
            raise TrackingError(f"the process that logs to MLflow has died (exit code {code})") from error
        if not succeeded:
            raise value
        result: T = value
        return result

    def _leave(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()  # it ends once it has done what it is at


def serve() -> NoReturn:
    """The child: answers calls until the parent is gone, then marks the runs that it has left open."""
    # What ends the parent ends the child a moment later, by the end of its input.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            call, arguments = pickle.load(sys.stdin.buffer)
            try:
                reply = (True, call(*arguments))
            except Exception as error:
                error.add_note(f"In the process that logs to MLflow:\n{traceback.format_exc()}")
                reply = (False, error)
            pickle.dump(reply, replies)
            replies.flush()
    from bench.tracking import store

    store.end_all("KILLED")
    os._exit(0)  # nothing is left to do, and MLflow would take its time
