"""Seconds of a run's phases, of its steps and of lookups."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

Chunk = tuple[float, int, int]
"""Wall seconds of a chunk (host preparation and row catch-up included), its steps, its examples."""


class Stopwatch:
    """Collects the seconds of named phases.

    >>> clock = Stopwatch()
    >>> with clock("data"):
    ...     pass
    >>> sorted(clock.seconds())
    ['data_s', 'total_s']

    Args:
        started: ``time.perf_counter()`` when the whole began; None for now.
    """

    def __init__(self, started: float | None = None) -> None:
        self.started = time.perf_counter() if started is None else started
        self._phases: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Adds the seconds of a block to ``phase``, also where it ends in an error."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - start)

    def add(self, phase: str, seconds: float) -> None:
        """Adds seconds that were taken elsewhere to ``phase``."""
        self._phases[phase] = self._phases.get(phase, 0.0) + seconds

    def add_earlier(self, seconds: float) -> None:
        """Adds seconds that an earlier process took for the same work to the whole."""
        self.started -= seconds

    def seconds(self) -> dict[str, float]:
        """``PHASE_s`` of each phase so far, and ``total_s`` since the start."""
        phases = {f"{phase}_s": seconds for phase, seconds in self._phases.items()}
        return {**phases, "total_s": time.perf_counter() - self.started}


STEP_STATISTICS = ("step_time_ms", "step_time_ms_p95", "examples_per_second")
"""The names that ``step_statistics`` gives."""


def step_statistics(chunks: Iterable[Chunk]) -> dict[str, float | None]:
    """Computes the time of a step from the chunks that a training loop ran after compilation.

    Args:
        chunks: seconds, steps and examples of each; a chunk without steps is passed over.

    Returns:
        ``step_time_ms`` and ``step_time_ms_p95``, median and 95th percentile over the chunks of milliseconds
        a step; ``examples_per_second``, all examples over all seconds. None without chunks.
    """
    rows = [chunk for chunk in chunks if chunk[1]]
    if not rows:
        return dict.fromkeys(STEP_STATISTICS)
    seconds, steps, examples = np.array(rows, np.float64).T
    median, p95 = np.percentile(1000.0 * seconds / steps, [50, 95])
    return {
        "step_time_ms": float(median),
        "step_time_ms_p95": float(p95),
        "examples_per_second": float(examples.sum() / seconds.sum()),
    }


def lookup_us(
    call: Callable[[], object], repeats: int = 50, warm_up: int = 5, seconds: float = math.inf
) -> float:
    """Median microseconds of a call.

    Args:
        call: does one lookup and returns only when its result is there.
        repeats: most calls that are timed.
        warm_up: calls before those, which compile and fill caches.
        seconds: no further call is timed after so long. One always is.
    """
    for _ in range(warm_up):
        call()
    taken: list[float] = []
    while len(taken) < repeats and (not taken or sum(taken) < seconds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1e6
