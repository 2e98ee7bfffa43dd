"""How many runs fit into memory at once, before the first of them starts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import psutil

from bench.errors import RequestError
from bench.results import short_size

log = logging.getLogger(__name__)

CGROUP = Path("/sys/fs/cgroup")


def free_bytes(cgroup: Path = CGROUP) -> int:
    """Memory that can still be had: what the system has, or what is left of a container's limit."""
    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        free = min(free, limit - used + int(stat.get("inactive_file", 0)))  # caches of files give way
    return free


def workers(n_jobs: int, needed: Sequence[int], cores: int, free: int) -> int:
    """How many runs to start at once.

    Args:
        n_jobs: as many as were asked for; -1 for one a core, or for as many as fit if that is fewer.
        needed: bytes that each run will take at most.
        cores: of the machine.
        free: bytes that can be had.

    Raises:
        RequestError: ``n_jobs`` runs at once may not fit; shows the sum.
    """
    if n_jobs == 0 or n_jobs < -1:
        raise RequestError(f"hydra.launcher.n_jobs={n_jobs}: give 1 or more, or -1 for one a core")
    wanted = min(cores if n_jobs == -1 else n_jobs, len(needed))
    largest = sorted(needed, reverse=True)
    fit = sum(sum(largest[: n + 1]) <= free for n in range(wanted))
    if fit >= wanted:
        return wanted
    if n_jobs == -1 and fit:
        log.warning(
            "%d runs at once, not %d: %s each at most, %s free",
            fit,
            wanted,
            short_size(largest[0]),
            short_size(free),
        )
        return fit
    total = sum(largest[:wanted])
    each = (
        f"{wanted} x {short_size(largest[0])}"
        if len(set(largest[:wanted])) == 1
        else "the largest runs together"
    )
    advice = f"give hydra.launcher.n_jobs={fit}" if fit else "smaller tables, or a machine with more memory"
    raise RequestError(
        f"hydra.launcher.n_jobs={n_jobs}: {each} = {short_size(total)} of memory at the peak, and "
        f"{short_size(free)} are free; {advice}"
    )
