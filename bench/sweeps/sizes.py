"""The sizes that a run's embeddings can have under different budgets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench import data
from bench.config import Settings
from bench.embeddings.base import Method
from bench.measure import memory
from bench.models.fields import choose_methods


class Sizes:
    """Gives the bytes that serve a run's embeddings under a budget. The data is read once, and nothing is trained.

    Args:
        settings: the settings of the run.

    Attributes:
        full_bytes: bytes of the same embeddings uncompressed.

    Raises:
        RequestError: the sizes cannot be chosen.
        BenchError: the data is not available.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._data = settings, data.load(settings.dataset, settings.data_dir)
        self.full_bytes = int(memory.embedding_memory(self._methods("smallest"))["full_embedding_bytes"])

    def __call__(self, budget: str) -> int:
        """Gives the bytes under a budget, such as ``120000B`` or ``smallest``."""
        return int(memory.embedding_memory(self._methods(budget))["embedding_bytes"])

    def _methods(self, budget: str) -> dict[str, Method[Any]]:
        return choose_methods(replace(self._settings, budget=budget), self._data)
