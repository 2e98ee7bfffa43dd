"""Starting a sweep's runs beside each other, as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext
from omegaconf import DictConfig

from bench import tracking
from bench.config import Settings, check
from bench.errors import BenchError
from bench.jobs import Job
from bench.measure.environment import cores
from bench.sweeps import room, workers


def prepare(settings: Settings) -> None:
    """Begins to import what runs with such settings take, while the others are still checked; returns at once."""
    workers.prepare()
    tracking.warm_up(settings.tracking.uri)


def beside_each_other(
    context: HydraContext,
    config: DictConfig,
    job: Any,
    overrides: Sequence[Sequence[str]],
    first: int,
    n_jobs: int,
    threads: int,
) -> list[JobReturn]:
    """What the joblib launcher does; its arguments are the launcher's.

    Raises:
        RequestError: so many runs do not fit into memory at once.
    """
    needed = [needed_bytes(context, config, job, own) for own in overrides]
    at_once = room.workers(n_jobs, needed, cores(), room.free_bytes())
    return workers.run_all(context, config, job, overrides, first, at_once, threads)


def needed_bytes(context: HydraContext, config: DictConfig, job: Job, overrides: Sequence[str]) -> int:
    """Bytes that a run will take at most; 0 where it cannot be said, as of one that will be refused."""
    if job.memory is None:
        return 0
    composed = context.config_loader.load_sweep_config(config, list(overrides))
    try:
        return job.memory(check(composed, composed.hydra.runtime.choices, context.config_loader))
    except BenchError:
        return 0  # the run itself will say it
