"""Says how far the preparation of a data set is, where it takes time."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from bench.measure.units import duration

QUIET_SECONDS = 3.0
"""Seconds before the first line."""

EVERY_SECONDS = 1.0, 15.0
"""Seconds between lines on a terminal, where a line takes the place of the one before, and elsewhere."""


class Progress:
    """Lines on standard error; use it in a ``with`` block.

    Args:
        name: of the data set.
        stream: where to.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name, self._stream = name, stream or sys.stderr
        self._began = self._last = time.monotonic()
        self._rows, self._first_share, self._shown = 0, 0.0, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._stream.isatty():
            self._stream.write("\n")

    def read(self, rows: int, share: float) -> None:
        """Takes the news of rows that were read, and the share of the source by then."""
        if not self._rows:
            self._first_share = share
            self._since = time.monotonic()
            self._first_rows = rows
        self._rows += rows
        seconds = time.monotonic() - self._since
        if self._rows == rows or seconds <= 0:
            return
        speed = (self._rows - self._first_rows) / seconds
        new = share - self._first_share
        left = f", {duration((1 - share) * seconds / new)} left to read" if new > 0 and share < 1 else ""
        self._say(f"{self._rows:,} rows read, {speed:,.0f} rows/s{left}")

    def numbered(self, done: int, fields: int) -> None:
        """Takes the news that so many fields are numbered."""
        self._say(f"ids of {done} of {fields} fields numbered")

    def _say(self, text: str) -> None:
        now, terminal = time.monotonic(), self._stream.isatty()
        if now - self._began < QUIET_SECONDS or now - self._last < EVERY_SECONDS[not terminal]:
            return
        self._last, line = now, f"preparing {self._name}: {text}"
        self._stream.write(f"\r{line.ljust(len(self._shown))}" if terminal else f"{line}\n")
        self._stream.flush()
        self._shown = line
