"""Hydra's sweepers that find their runs as they go on: ``hydra/sweeper=optuna`` and ``hydra/sweeper=within``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Search(Sweeper):
    """A sweeper whose work a module of ``bench.sweeps`` does.

    Args:
        settings: the settings of the sweeper's file in ``conf/hydra/sweeper``. The module reads them from the
            configuration.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps the arguments for ``sweep``, and makes the launcher."""
        self.context, self.task, self.config = hydra_context, task_function, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @abstractmethod
    def module(self) -> Any:
        """Gives the module, whose function ``run`` searches."""

    def sweep(self, arguments: list[str]) -> Any:
        """Searches, and gives the returns of the runs, a list for each batch."""
        return self.module().run(self.context, self.config, self.launcher, self.task, arguments)


class OptunaSweeper(Search):
    """Lets Optuna choose the settings of each run: a search of memory against error."""

    def module(self) -> Any:
        """Gives ``bench.sweeps.search``."""
        from bench.sweeps import search

        return search


class WithinSweeper(Search):
    """Bisects the size of each method: a search of the smallest within a margin of full tables."""

    def module(self) -> Any:
        """Gives ``bench.sweeps.within``."""
        from bench.sweeps import within

        return within
