"""The start of a sweep's runs in parallel processes, as many at once as fit into memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from bench import tracking
from bench.config import Settings, check_job
from bench.config.typed import Count, Range, build
from bench.errors import BenchError
from bench.measure import memory
from bench.measure.environment import cores
from bench.sweeps import room, workers
from bench.sweeps.jobs import Job, Watched, as_returned
from bench.sweeps.workers import Batch

TARGET = "hydra_plugins.bench_workers.WorkersLauncher"
"""The name of the launcher's class in a configuration."""


@dataclass(frozen=True)
class LauncherSettings:
    """The settings of ``hydra/launcher=workers``. ``conf/hydra/launcher/workers.yaml`` explains them."""

    n_jobs: Literal[-1] | Count
    threads: Annotated[int, Range(low=1, high=1024)]


def check(launcher: DictConfig) -> None:
    """Checks the settings of the launcher ``workers``, before a run begins.

    Args:
        launcher: the part ``hydra.launcher`` of a sweep's configuration.

    Raises:
        RequestError: a setting is wrong.
    """
    values: Any = OmegaConf.to_container(launcher, resolve=True)
    own = {name: value for name, value in values.items() if name != "_target_"}
    build(LauncherSettings, own, "hydra.launcher.{}".format)


def prepare(settings: Settings) -> None:
    """Begins to import the code that runs with such settings need, and returns at once.

    The check of other runs goes on meanwhile.
    """
    workers.prepare()
    tracking.warm_up(settings.tracking.uri)


def beside_each_other(batch: Batch, n_jobs: int, threads: int) -> list[JobReturn]:
    """Runs the jobs that Hydra gives to the launcher ``workers``, several at once.

    Args:
        batch: the jobs.
        n_jobs: the number of jobs that run at once. -1 for one job for each core.
        threads: the number of threads of each job.

    Returns:
        The return of each job, in order.

    Raises:
        RequestError: so many runs do not fit into memory at once.
    """
    known = batch.task.known if isinstance(batch.task, Watched) else {}
    left = replace(batch, jobs={number: own for number, own in batch.jobs.items() if number not in known})
    needed = [needed_bytes(left, number) for number in left.jobs]
    at_once = room.workers(n_jobs, needed, cores(), memory.free_bytes())
    returned = {
        **{number: as_returned(known[number]) for number in batch.jobs if number in known},
        **workers.run_all(left, at_once, threads),
    }
    return [returned[number] for number in batch.jobs]


def needed_bytes(batch: Batch, number: int) -> int:
    """The most bytes that a run will take. 0 if the number is not known, for example if the run will be refused."""
    job = batch.task.job if isinstance(batch.task, Watched) else batch.task
    if not isinstance(job, Job) or job.work.memory is None:
        return 0
    try:
        return job.work.memory(check_job(batch.config, batch.jobs[number], batch.context.config_loader))
    except BenchError:
        return 0  # the run itself will report the error
