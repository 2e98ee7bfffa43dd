"""Signs of life for a command whose output is not a terminal: a line whenever nothing was said for some time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from bench.measure.units import duration

EVERY_SECONDS = 25.0
"""The longest silence, in seconds, before a line says what goes on."""


class Pulse:
    """Prints what goes on whenever nothing was said for ``EVERY_SECONDS``. It is a context manager.

    On a terminal it prints nothing, since bars move there.

    Args:
        stream: the stream to print on. None for standard error, as it is when a line is due.
        shown: False for silence.
        every: the longest silence, in seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, shown: bool = True, every: float = EVERY_SECONDS
    ) -> None:
        self._stream, self._shown, self._every = stream, shown, every
        self._doing: Callable[[], str] = lambda: ""
        self._last = self._since = time.monotonic()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.said()
        if self._shown and not self._out().isatty():
            self._over.clear()
            self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def doing(self, what: str | Callable[[], str]) -> None:
        """Notes what goes on from now on.

        Args:
            what: a text, to which the time so far is added, or a function that gives the whole line.
        """
        self._since = time.monotonic()
        self._doing = what if callable(what) else lambda: f"{what}, {self._so_far()} so far"

    def said(self) -> None:
        """Notes that somebody else has printed a line."""
        self._last = time.monotonic()

    def _so_far(self) -> str:
        return duration(max(1.0, round(time.monotonic() - self._since)))

    def _out(self) -> TextIO:
        return self._stream or sys.stderr

    def _beat(self) -> None:
        while not self._over.wait(max(0.0, self._last + self._every - time.monotonic())):
            if time.monotonic() - self._last < self._every:
                continue
            self.said()
            if text := self._doing():
                try:
                    print(text, file=self._out(), flush=True)
                except (OSError, ValueError):  # nobody reads any more, or the disk is full
                    return
