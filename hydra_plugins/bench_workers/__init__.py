"""Hydra's launcher for several runs at once on one machine: ``hydra/launcher=workers``."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class WorkersLauncher(Launcher):
    """Runs several jobs at once, each in a process with one thread.

    Args:
        n_jobs: the number of jobs that run at once. -1 for one job for each core.
        threads: the number of threads of each run.
    """

    def __init__(self, n_jobs: int = -1, threads: int = 1) -> None:
        self.n_jobs, self.threads = n_jobs, threads

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps the arguments for ``launch``."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs all jobs, and gives the return of each, in order."""
        from bench.sweeps import launch
        from bench.sweeps.workers import Batch

        jobs = dict(enumerate(job_overrides, start=initial_job_idx))
        batch = Batch(self.context, self.config, self.task, jobs)
        return launch.beside_each_other(batch, self.n_jobs, self.threads)
