"""The number of runs that fit into memory at once, computed before the first run starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bench.errors import RequestError
from bench.measure.units import short_size

log = logging.getLogger(__name__)


def workers(n_jobs: int, needed: Sequence[int], cores: int, free: int) -> int:
    """The number of runs to start at once.

    Args:
        n_jobs: the requested number. -1 for one run for each core, or for as many as fit if that is fewer.
        needed: the most bytes that each run will take.
        cores: the number of the machine's cores.
        free: the free memory in bytes.

    Raises:
        RequestError: ``n_jobs`` runs at once may not fit. The message has the sum of their bytes.
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
