"""The runs that MLflow's process has opened and that have not ended: their leases are renewed."""

from __future__ import annotations

import contextlib
import functools
import threading
import time

from bench.tracking import lease
from bench.tracking.client import connected
from bench.tracking.target import Target

open_runs: dict[str, tuple[Target, int | None]] = {}
"""Where each is, and in the thread of which process's calls it was opened; None: for the process that has this one."""


def keep(target: Target, run_id: str, thread: int | None = None) -> None:
    """Renews a run's lease from now on, and has the run marked when the process is gone that it was opened for."""
    open_runs[run_id] = target, thread
    _start_heart()


def forget(run_id: str) -> None:
    """The run has ended."""
    open_runs.pop(run_id, None)


@functools.cache
def _start_heart() -> None:
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


def _beat() -> None:
    """Renews the leases of the open runs, for as long as the process lives."""
    while True:
        time.sleep(lease.HEARTBEAT_SECONDS)
        for run_id, (target, _) in list(open_runs.items()):
            with contextlib.suppress(Exception), connected(target) as client:  # the next one may get through
                client.set_tag(run_id, lease.HEARTBEAT_TAG, str(time.time()))
