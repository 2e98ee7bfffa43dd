"""A process apart: what it imports is not in a run's memory, and what it does meanwhile is not in a run's seconds.

The process calls functions, one at a time, in the order it is asked to. It outlives a parent that is killed by the time
that it takes to clean up. Processes that are started beside each other can share the one of their parent.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import Pipe
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, NoReturn, TypeVar

import psutil

from bench.errors import BenchError
from bench.measure import machine

T = TypeVar("T")

PREFIX, SOCKET_BYTES = "embedding-bench-apart-", 100
"""The beginning of the name of a socket's folder, and the longest path of a socket on all systems, in bytes."""

_turn = threading.Lock()
_inside = threading.Event()
_folders: list[Path] = []


class ProcessDied(BenchError):  # noqa: N818 - named as what it says
    """The process apart has ended while it was asked for something."""


def inside() -> bool:
    """Tells whether this is a process apart."""
    return _inside.is_set()


def this_process() -> str:
    """Names the calling process for other ones: the machine's name, its number, and when it started."""
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time()}"


def has_ended(named: str) -> bool:
    """Tells whether a name is that of a process of this machine that has ended."""
    with contextlib.suppress(ValueError):
        host, pid, started = named.rsplit(" ", 2)
        return host == socket.gethostname() and not machine.is_alive(int(pid), float(started))
    return False


class Process:
    """Calls functions in a process apart. The first call starts it; after it died, the next call does.

    Args:
        does: what it is there for, for messages: ``logs to MLflow``.
        variable: the environment variable that names another process's own, to be used in its place.
        cleanup: module and name of a function that the process calls when the one that asked it is gone. It gets the
            number of the thread that answered a process beside others; None where the parent is gone.
    """

    def __init__(self, does: str, variable: str, cleanup: tuple[str, str]) -> None:
        self.variable, self.used = variable, False
        self._does, self._cleanup = does, cleanup
        self._calls: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._child: subprocess.Popen[bytes] | None = None
        self._link: Connection[Any, Any] | None = None
        self._printed: IO[bytes] | None = None

    def submit(self, call: Callable[..., T], *arguments: Any) -> Future[T]:
        """Has ``call(*arguments)`` called in the process; returns at once.

        Args:
            call: a function of a module.
            arguments: what can be pickled. What the function returns and raises is pickled too.

        Returns:
            What becomes of the call; ProcessDied if the process dies over it.
        """
        future: Future[T] = Future()
        self._calls.put((future, call, arguments))
        if not self.used:
            self.used = True
            # Python does not wait for it at exit: callers have waited for what matters.
            threading.Thread(target=self._work, name="apart", daemon=True).start()
            atexit.register(self._leave)
        return future

    def shared(self) -> dict[str, str]:
        """Gives the environment variable with which other processes of this user use this process apart."""
        return {self.variable: self.submit(listen, self._cleanup).result()}

    def _work(self) -> None:
        while True:
            future, call, arguments = self._calls.get()
            try:
                future.set_result(self._call(call, arguments))
            except Exception as error:
                future.set_exception(error)

    def _call(self, call: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        if self._link is None:
            self._link = self._of_parent() or self._own()
        try:
            self._link.send((call, arguments))
            succeeded, value = self._link.recv()
        except (EOFError, OSError) as error:
            self._link.close()
            self._link, child, self._child = None, self._child, None
            how = "" if child is None else f" (exit code {child.wait()}){self._last_words()}"
            raise ProcessDied(f"the process that {self._does} has died{how}") from error
        if not succeeded:
            raise value
        result: T = value
        return result

    def _of_parent(self) -> Connection[Any, Any] | None:
        """Gives a link to the process apart of the process that started this one, if that lives."""
        address = os.environ.get(self.variable)
        with contextlib.suppress(OSError):
            return Client(address) if address else None
        return None

    def _own(self) -> Connection[Any, Any]:
        ours, theirs = Pipe()
        path, arguments = [*map(str, sys.path)], (theirs.fileno(), self._cleanup)
        code = f"import sys; sys.path[:] = {path}; from {__name__} import serve; serve(*{arguments})"
        # The command's output does not hold what libraries print, and its reader does not wait for this process.
        self._printed = out = tempfile.TemporaryFile()  # noqa: SIM115 - used as long as the process lives
        self._child = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=[theirs.fileno()]
        )  # fmt: skip
        theirs.close()
        return ours

    def _last_words(self) -> str:
        """Gives the last line that the process has printed, such as an import's error."""
        assert self._printed is not None
        self._printed.seek(0)
        said = self._printed.read().decode(errors="replace").splitlines()
        return next((f": {line.strip()}" for line in reversed(said) if line.strip()), "")

    def _leave(self) -> None:
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.close()  # the process ends after the call that it is at


def serve(descriptor: int, cleanup: tuple[str, str]) -> NoReturn:
    """Is the process apart: answers calls until the parent is gone, then cleans up.

    Args:
        descriptor: of the link to the parent.
        cleanup: see ``Process``.
    """
    _inside.set()
    # A signal that ends the parent ends this process a moment later, by the end of its input.
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
        signal.signal(number, signal.SIG_IGN)
    try:
        _answer(Connection(descriptor), cleanup, None)
    finally:
        _turn.acquire()
        for folder in _folders:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)  # everything is done, and libraries would take their time


def listen(cleanup: tuple[str, str]) -> str:
    """Has this process answer other processes of this user too; gives the address where they reach it.

    The socket's folder is removed when this process ends, and one that a killed process has left when the next listens.
    """
    longest = SOCKET_BYTES - len(f"/{PREFIX}{os.getpid()}-......../s")
    places = (machine.folder(), Path(tempfile.gettempdir()), Path("/tmp"))
    place = next(place for place in places if len(os.fsencode(place)) <= longest)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in place.glob(f"{PREFIX}*-*"):
        if not psutil.pid_exists(int(left.name.removeprefix(PREFIX).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    _folders.append(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place)))
    listener = Listener(str(_folders[-1] / "s"))

    def answer(link: Connection[Any, Any]) -> None:
        _answer(link, cleanup, threading.get_ident())

    def accept() -> NoReturn:
        while True:
            with contextlib.suppress(OSError, EOFError):
                threading.Thread(target=answer, args=(listener.accept(),), daemon=True).start()

    threading.Thread(target=accept, name="accept", daemon=True).start()
    return str(listener.address)


def _be_somewhere() -> None:
    """Leaves a current folder that has been removed: libraries ask for it and fail. Calls have absolute paths."""
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir(tempfile.gettempdir())


def _answer(link: Connection[Any, Any], cleanup: tuple[str, str], thread: int | None) -> None:
    """Makes the calls that it is sent, one at a time for all senders, until the other end is gone; then cleans up."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            call, arguments = link.recv()
            try:
                with _turn:
                    _be_somewhere()
                    reply = (True, call(*arguments))
            except Exception as error:
                error.add_note(f"In the process apart:\n{traceback.format_exc()}")
                reply = (False, error)
            link.send(reply)
    module, name = cleanup
    if module in sys.modules:  # else it has done nothing
        with _turn:
            getattr(sys.modules[module], name)(thread)
