"""Equal runs train once, also where they start at the same moment.

On one machine, the first takes a file lock and the others wait for its result. Between machines that log to one store,
a run says in a tag which process trains it, and in another when that was last alive: a lease, which MLflow's process
renews. Whose lease has run out is taken for dead, and marked so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil
from filelock import Timeout

from bench.measure import machine
from bench.tracking.target import Target

HEARTBEAT_SECONDS = 15.0
LEASE_SECONDS = 90.0
"""How long after its last sign a run on another machine counts as alive."""

PROCESS_TAG, HEARTBEAT_TAG, LEFTOVER_TAG, FOLDER_TAG = "process", "heartbeat", "leftover", "output_dir"

log = logging.getLogger(__name__)


@contextlib.contextmanager
def claim(target: Target, fingerprint: str) -> Iterator[None]:
    """Lets one process of this machine at a time train a run with this fingerprint; says so where it waits."""
    lock = machine.lock("claims", target.uri, target.experiment, fingerprint)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("an equal run is being trained by another process: waiting for its result")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Trainer:
    """The process that trains a run.

    Attributes:
        host: the machine's name.
        pid: of the process.
        started: when it started, in seconds since 1970; tells it from a later one of the same number.
    """

    host: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Trainer:
        """The calling process."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def read(cls, text: str) -> Trainer | None:
        """From a tag; None where there is none that can be read."""
        with contextlib.suppress(ValueError):
            host, pid, started = text.rsplit(" ", 2)
            return cls(host, int(pid), float(started))
        return None

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.started}"

    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == socket.gethostname()

    def is_alive_here(self) -> bool:
        """Whether it is a process of this machine that has not ended."""
        return self.is_here() and machine.is_alive(self.pid, self.started)


def alive_elsewhere(tags: Mapping[str, str], now: float | None = None) -> Trainer | None:
    """Who trains a run on another machine, by the tags of an open run; None where that has ended or is here."""
    trainer = Trainer.read(tags.get(PROCESS_TAG, ""))
    try:
        last = float(tags.get(HEARTBEAT_TAG, ""))
    except ValueError:
        return None
    if trainer is None or trainer.is_here():
        return None
    return trainer if (now or time.time()) - last < LEASE_SECONDS else None


def is_leftover(tags: Mapping[str, str]) -> bool:
    """Whether an open run is nobody's any more."""
    trainer = Trainer.read(tags.get(PROCESS_TAG, ""))
    alive_here = trainer is not None and trainer.is_alive_here()
    return not alive_here and alive_elsewhere(tags) is None
