"""The parts that all commands share: streams, signals, one ``error:`` line, an exit code, and a quick end.

A command is a function that takes arguments and returns an exit code. It raises an error if something goes wrong.
``run`` calls the command. ``enter`` runs it as the whole of a process: ``python -m bench.NAME`` calls ``enter``.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from bench.cli import streams
from bench.errors import BenchError, interrupt, interrupted, line, unexpected

Call = Callable[[list[str]], int]
"""The type of a command: it takes arguments and returns an exit code."""

SIGNALS = ("SIGTERM", "SIGHUP")
"""Signals that end a command as Ctrl-C does. The exit code is 128 plus the signal's number."""


class Ended(Exception):  # noqa: N818 - an end, not an error
    """Ends a command with this message as its error line. The details have been shown before.

    Attributes:
        exit_code: the command's exit code.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def full_error() -> bool:
    """Returns True if the user asks for tracebacks with ``HYDRA_FULL_ERROR=1``."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def enter(module: str) -> NoReturn:
    """Runs a command as the whole of this process.

    Args:
        module: the name of the module whose ``main`` is the command.
    """
    end = _End()
    atexit.register(end)  # registered first, and so called last
    streams.prepare()
    for name in ("SIGINT", *SIGNALS):
        number = getattr(signal, name, None)
        # nohup ignores SIGHUP, and a shell SIGINT of what it starts in the background
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)
    end.exit_code = run(lambda _: int(importlib.import_module(module).main()))
    for name in ("SIGINT", *SIGNALS):  # all is done: another signal only hastens the end
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, frame: os._exit(end.exit_code))
    sys.exit(end.exit_code)


def run(call: Call, argv: Sequence[str] | None = None, kept: str = "nothing was changed") -> int:
    """Calls a command. If it fails, prints one line on standard error that says why.

    Args:
        call: the command.
        argv: the command's arguments. None for the process's own.
        kept: the end of the error line of a command that was interrupted.

    Returns:
        The command's exit code. After an error it is 2 if the request was wrong, 130 after Ctrl-C, 143 after SIGTERM,
        129 after SIGHUP, else 1.
    """
    try:
        code = call(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
        return code
    except Ended as end:
        return _say(str(end), end.exit_code)
    except (Exception, KeyboardInterrupt) as error:
        number = interrupted(error)
        if number:
            return _say(f"interrupted; {kept}", 128 + number)
        if full_error():
            traceback.print_exception(error)
        if isinstance(error, BenchError):
            return _say(line(error), error.exit_code)
        return _say(f"{unexpected(error)}; HYDRA_FULL_ERROR=1 shows the traceback", 1)


def _say(message: str, exit_code: int) -> int:
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C
        try:
            sys.stdout.flush()
        except OSError:  # the disk is full: without this, Python would fail again when it ends
            streams.drop(sys.stdout.fileno())
    with contextlib.suppress(OSError, KeyboardInterrupt):
        print(f"error: {message}", file=sys.stderr, flush=True)
    return exit_code


class _End:
    """Ends the process at once where Python's own end would be slow or lose the exit code.

    The shutdown of TensorFlow takes a second. And where Ctrl-C came while ``exec`` ran a text, as it does for each
    dataclass, Python remembers it and ends ``python -m`` by a signal of its own, whoever has caught it.
    """

    exit_code = 1

    def __call__(self) -> None:
        if "tensorflow" not in sys.modules and self.exit_code < 128:
            return
        if "logging" in sys.modules:
            sys.modules["logging"].shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(self.exit_code)
