"""PEP: each weight is shrunk by a threshold that is trained with it; what is below its threshold is pruned.

Liu, Gao, Chen, Jin and Li, "Learnable embedding sizes for recommender systems", 2021 (arXiv 2101.07577).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Annotated, Any, Literal

import numpy as np

from bench.embeddings.base import Array, Arrays, Change, Kind, Progress, int32
from bench.embeddings.forms.pruned import Pruned, PrunedSettings
from bench.embeddings.forms.sparse import largest_entries
from bench.settings import Range

Granularity = Literal["global", "dimension", "feature", "feature_dimension"]
Retrain = Literal["anew", "learned"]

SPREAD = 0.05
"""Weights begin, and begin anew, as draws from U(-0.05, 0.05)."""

FAR = 80.0
"""exp of more than this, either way, is near float32's bounds."""


@dataclass
class PEPSettings(PrunedSettings):
    """Settings of ``pep``."""

    granularity: Granularity = "dimension"
    """Which weights share a threshold: ``global`` all, ``dimension`` a column's, ``feature`` an id's,
    ``feature_dimension`` none."""

    search_share: Annotated[float, Range(above=0, high=1)] = 0.2
    """The share of the run's steps after which the search for the weights to keep ends, if the density was not
    reached before."""

    threshold: Annotated[float, Range(above=0, below=1)] = 0.02
    """The thresholds at the start, in units of the weights, which begin below 0.05."""

    threshold_rate: Annotated[float, Range(above=0)] = 100.0
    """The learning rate of the thresholds, as a multiple of the run's."""

    retrain: Retrain = "anew"
    """What training begins from after the search: ``anew``, as published, from random weights, or ``learned``, from
    what the search has learned of the weights that are kept."""


class PEP(Pruned[PEPSettings]):
    """vector(id)[j] = sign(v) max(|v| - s, 0) at first, with v = table[id, j] and its threshold s.

    s = sigmoid(t), and t begins at logit(``threshold``): t = logit(threshold) + threshold_rate * what is trained,
    from 0 on, so that its learning rate is a multiple of the run's. (The published start, t = -150, is 0 in float32
    and stays there.)

    The search ends once no more than ``nnz`` weights are above their thresholds, or when ``search_share`` of the
    run's steps are done. Then the ``nnz`` weights with the largest |v| - s are kept, of equal ones the first. The
    table starts anew from U(-0.05, 0.05), its moments too, and the rest of the run trains vector(id)[j] = table[id, j]
    where it is kept, 0 elsewhere. With ``retrain=learned``, and where the search lasts to the end of the run, the
    table goes on from what the search has learned, shrunk.

    Training holds, beside ``full``'s table with its moments, a byte a weight and the thresholds with theirs: with
    ``feature_dimension`` that doubles it.
    """

    Settings = PEPSettings

    def tables(self) -> tuple[Array, ...]:
        """``table``, ``pruned`` (uint8, 1 where a weight is not kept) and, by ids, ``thresholds``."""
        shape = (self.vocabulary.size, self.embedding_dim)
        pruned = Array("pruned", shape, "uint8", kind=Kind.OTHER)
        by_ids = (self._thresholds(),) if self._by_ids else ()
        return (Array("table", shape), pruned, *by_ids)

    def weights(self) -> tuple[Array, ...]:
        """``searched``, int32 (1,): 1 once the search is over; ``thresholds`` where ids share them."""
        shared = () if self._by_ids else (self._thresholds(),)
        return (Array("searched", (1,), "int32", kind=Kind.OTHER), *shared)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        row = int32(ids, xp)
        return {table.name: row for table in self.tables()}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Shrunk by the thresholds during the search, masked after it."""
        table, zero = rows["table"], np.float32(0)
        trained = rows["thresholds"] if self._by_ids else weights["thresholds"][0]
        masked = xp.where(rows["pruned"] > 0, zero, table)
        return xp.where(weights["searched"] > 0, masked, _shrunk(table, self._limits(trained, xp), xp))

    def is_due(self, progress: Progress) -> bool:
        """Always: the density may be reached at any time."""
        return True

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Ends the search when it is time.

        Raises:
            RunFailed: a weight or a threshold that is no finite number.
        """
        if arrays["searched"][0]:
            return Change({})
        table = arrays["table"]
        limits = self._limits(arrays["thresholds"], np)
        ended = progress.step >= progress.steps
        above = np.count_nonzero(np.abs(table) > limits)
        if above > self.nnz and progress.share < self.settings.search_share and not ended:
            return Change({})
        pruned = np.ones(table.shape, np.uint8)
        pruned.reshape(-1)[self._kept(table, limits)] = 0
        anew = self.settings.retrain == "anew" and not ended  # at the end nothing could be learned any more
        first = rng.uniform(-SPREAD, SPREAD, table.shape) if anew else _shrunk(table, limits, np)
        new = {"table": first.astype(np.float32), "pruned": pruned, "searched": np.ones(1, np.int32)}
        return Change(new, reset_moments=anew)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The weights kept; before the search is over those that it would keep now, shrunk.

        Raises:
            RunFailed: a weight or a threshold that is no finite number.
        """
        table = arrays["table"]
        if arrays["searched"][0]:
            return self.served().stored(table, np.flatnonzero(arrays["pruned"] == 0))
        limits = self._limits(arrays["thresholds"], np)
        return self.served().stored(_shrunk(table, limits, np), self._kept(table, limits))

    def _kept(self, table: np.ndarray, limits: np.ndarray) -> np.ndarray:
        return largest_entries(np.abs(table) - limits, self.nnz, self.vocabulary.name)

    @property
    def _by_ids(self) -> bool:
        return self.settings.granularity in ("feature", "feature_dimension")

    def _thresholds(self) -> Array:
        rows = self.vocabulary.size if self._by_ids else 1
        width = self.embedding_dim if self.settings.granularity.endswith("dimension") else 1
        return Array("thresholds", (rows, width), initializer="zeros")

    def _limits(self, trained: Any, xp: Any) -> Any:
        start = self.settings.threshold
        t = log(start / (1 - start)) + self.settings.threshold_rate * trained
        return 1 / (1 + xp.exp(-xp.clip(t, -FAR, FAR)))


def _shrunk(values: Any, limits: Any, xp: Any) -> Any:
    """sign(v) max(|v| - s, 0): v less what of it lies within -s to s."""
    return values - xp.minimum(xp.maximum(values, -limits), limits)
