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
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

from bench.tracking.target import TrackingError

T = TypeVar("T")

_LEAVE_SECONDS = 10.0


class Process:
    """Calls functions in a child process, which is started by the first call and again if it should die."""

    def __init__(self) -> None:
        # One thread, so that calls keep their order; Python waits for it before it exits.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
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
        return self._thread.submit(self._call, call, arguments)

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
        if self._child is None or self._child.stdin is None:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._child.stdin.close()
            self._child.wait(_LEAVE_SECONDS)


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
