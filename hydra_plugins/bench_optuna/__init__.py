"""Hydra's sweeper for a search of memory against error over a method's settings: ``hydra/sweeper=optuna``."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Lets Optuna choose the settings of each run; ``bench.sweeps.search`` does the work.

    Args:
        settings: those of ``conf/hydra/sweeper/optuna.yaml``; they are read from the configuration.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Takes what ``sweep`` needs, and makes the launcher."""
        self.context, self.task, self.config = hydra_context, task_function, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Searches; returns what became of the runs, a list for each batch of them."""
        from bench.sweeps import search

        return search.run(self.context, self.config, self.launcher, self.task, arguments)
