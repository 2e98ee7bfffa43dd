"""The memory and the room on disk that preparing a data set takes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.data.delimited import BLOCK_BYTES
from bench.errors import RequestError
from bench.measure import environment, machine
from bench.measure.units import short_size

PROGRAM = 200 << 20
"""Bytes that the process itself takes: Python, NumPy and Arrow."""

PER_BYTE = 5
"""Bytes of memory for each byte of a file that is being read: the text, its columns, and what is written of them."""

PER_VALUE = 80
"""Bytes of memory for each distinct id of a block while a field is numbered, beside its text."""

PER_ROW = 32
"""Bytes of memory for each row while rows are split."""

LEAST_BLOCK = 1 << 20

KEEP = 1.1
"""So much more room than is expected must be on the disk."""


@dataclass(frozen=True)
class Room:
    """What preparing may take.

    Attributes:
        limit: bytes of memory, or None.
        threads: the most threads.
    """

    limit: int | None
    threads: int

    @classmethod
    def of(cls, limit: int | None) -> Room:
        """The room that ``dataset.memory_limit`` gives, on this machine.

        Raises:
            RequestError: the limit is too small for any data.
        """
        threads = machine.threads() or environment.cores()
        least = PROGRAM + LEAST_BLOCK * PER_BYTE * 3
        if limit is not None and limit < least:
            raise RequestError(
                f"dataset.memory_limit={short_size(limit)}: the program itself takes {short_size(PROGRAM)}; give at "
                f"least {short_size(least)}"
            )
        return cls(limit, threads)

    @property
    def block_bytes(self) -> int:
        """Bytes of a file that are read at once. As many blocks as threads are made, as many wait, one is read."""
        if self.limit is None:
            return BLOCK_BYTES
        share = (self.limit - PROGRAM) // (PER_BYTE * (2 * self.threads + 1))
        return max(LEAST_BLOCK, min(BLOCK_BYTES, share))

    def check_rows(self, rows: int) -> None:
        """Refuses more rows than can be split."""
        self._check(PROGRAM + rows * PER_ROW, f"splitting {rows:,} rows")

    def of_field(self, field: str, values: int, nbytes: int) -> int:
        """The bytes that numbering a field takes.

        Args:
            field: its name.
            values: how many ids its blocks list.
            nbytes: of these ids.

        Raises:
            RequestError: they are more than the limit.
        """
        need = values * PER_VALUE + 2 * nbytes
        advice = f", or dataset.transforms.{field}=hash:ROWS for fewer ids"
        self._check(PROGRAM + need, f"numbering {values:,} ids of field {field}", advice)
        return need

    def _check(self, need: int, what: str, advice: str = "") -> None:
        if self.limit is not None and need > self.limit:
            raise RequestError(
                f"dataset.memory_limit={short_size(self.limit)}: {what} takes {short_size(need)}; give as much{advice}"
            )

    def shares(self) -> Shares:
        """Gives the memory to threads that work on fields beside each other."""
        return Shares(None if self.limit is None else self.limit - PROGRAM)


class Shares:
    """Memory that threads take shares of; one waits until there is enough.

    Args:
        total: bytes, or None for no limit.
    """

    def __init__(self, total: int | None) -> None:
        self._total, self._taken, self._change = total, 0, threading.Condition()

    @contextmanager
    def taken(self, nbytes: int) -> Iterator[None]:
        """Holds a share; no larger than all."""
        with self._change:
            self._change.wait_for(lambda: self._total is None or not self._taken or
                                  self._taken + nbytes <= self._total)  # fmt: skip
            self._taken += nbytes
        try:
            yield
        finally:
            with self._change:
                self._taken -= nbytes
                self._change.notify_all()


def check_disk(data_dir: Path, written: int, share: float) -> None:
    """Refuses a preparation that the disk has no room for, once its first blocks are written.

    Args:
        data_dir: where they and the copy are.
        written: bytes of the blocks so far.
        share: of the source that they are.

    Raises:
        RequestError: with the bytes that are needed and those that are free.
    """
    expected = written / share
    need = int(KEEP * (2 * expected - written))  # the copy is as large as the blocks, and made beside them
    free = shutil.disk_usage(data_dir).free
    if need > free:
        raise RequestError(
            f"data_dir={data_dir}: preparing this data takes {short_size(need)} more, and {short_size(free)} "
            "are free there; make room, or give another data_dir"
        )
