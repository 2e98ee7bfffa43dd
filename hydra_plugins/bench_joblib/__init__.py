"""Hydra's launcher for runs beside each other on one machine: ``hydra/launcher=joblib``."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class JoblibLauncher(Launcher):
    """Runs several jobs at once, each in a process with one thread.

    Args:
        n_jobs: how many at once; -1 for one a core.
        threads: of each run.
    """

    def __init__(self, n_jobs: int = -1, threads: int = 1) -> None:
        self.n_jobs, self.threads = n_jobs, threads

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what ``launch`` needs."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs all jobs; returns what became of each, in order."""
        from bench.sweeps import launch

        return launch.beside_each_other(
            self.context, self.config, self.task, job_overrides, initial_job_idx, self.n_jobs, self.threads
        )
