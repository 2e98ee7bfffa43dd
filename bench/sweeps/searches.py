"""The searches: sweeps that find their runs as they go on."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from omegaconf import DictConfig

from bench.config import Settings

_HOMES = {
    "hydra_plugins.bench_searches.OptunaSweeper": "bench.sweeps.space",
    "hydra_plugins.bench_searches.WithinSweeper": "bench.sweeps.within",
}
"""The modules of the searches, by the names of their sweepers in a configuration."""


class Search(Protocol):
    """A module of a search.

    Attributes:
        CHOICE: the override that asks for the search.
        COUNTED: True if the number of its runs is known before.
    """

    CHOICE: str
    COUNTED: bool

    def prepare(
        self,
        cfg: DictConfig,
        loader: Any,
        checked: Callable[[Sequence[str]], Settings],
        sized: Callable[[Settings], object] | None,
    ) -> list[list[str]]:
        """Checks the search as far as possible, and gives the overrides that are known before, for each run.

        Raises:
            RequestError: the search can never come to a result.
        """

    def example(self, cfg: DictConfig, loader: Any) -> list[str]:
        """The overrides of a run that the search may start."""

    def identity(self, cfg: DictConfig, loader: Any) -> tuple[list[str], str]:
        """What tells the search from others, and its name."""


def asked_for(cfg: DictConfig) -> Search | None:
    """Gives the search that a sweep's configuration asks for, or None."""
    home = _HOMES.get(str(cfg.hydra.sweeper._target_))
    return cast(Search, importlib.import_module(home)) if home else None
