"""PEP: each weight is shrunk by a threshold that is trained with it, and pruned where it is below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Change, Kind, Lookups, Progress, int32
from bench.embeddings.families.pruned import SPREAD, Pruned, PrunedSettings, limits, shrunk
from bench.embeddings.served.sparse import largest_entries

Granularity = Literal["global", "dimension", "feature", "feature_dimension"]
Retrain = Literal["anew", "learned"]


@dataclass
class PEPSettings(PrunedSettings):
    """Settings of ``pep``."""

    granularity: Granularity = "dimension"
    """The weights that share a threshold. ``global``: all. ``dimension``: those of a column. ``feature``: those of an
    id. ``feature_dimension``: each weight has its own."""

    search_share: Annotated[float, Range(above=0, high=1)] = 0.2
    """Share of the run's steps after which the search for the weights to keep ends at the latest. It ends earlier where
    no more than ``nnz`` weights are above their thresholds."""

    threshold: Annotated[float, Range(above=0, below=1)] = 0.02
    """Thresholds at the start, in units of the weights, which begin below 0.05."""

    threshold_rate: Annotated[float, Range(above=0)] = 100.0
    """Learning rate of the thresholds, as a multiple of the run's."""

    retrain: Retrain = "anew"
    """The weights from which training begins after the search. ``anew``: random weights, as published.
    ``learned``: the kept weights, as the search has left them."""


class PEP(Pruned[PEPSettings]):
    """vector(id)[j] = sign(v) max(|v| - s, 0) during the search, with v = table[id, j] and its threshold s.

    s = sigmoid(t) with t = logit(threshold) + threshold_rate * x. The trained number x begins at 0, so that the
    learning rate of t is a multiple of the run's. The published start t = -150 is 0 in float32 and stays there.

    The search ends once no more than ``nnz`` weights are above their thresholds, or when ``search_share`` of the run's
    steps are done. Then the ``nnz`` weights with the largest |v| - s are kept, of equal ones the first. The table and
    its moments start anew from U(-0.05, 0.05). The rest of the run trains vector(id)[j] = table[id, j] where the weight
    is kept, and 0 elsewhere. With ``retrain=learned``, and where the search lasts to the end of the run, the table
    goes on from the shrunk weights.

    Training holds one byte a weight and the thresholds with their moments, in addition to ``full``'s table with its
    moments. With ``feature_dimension`` that is twice as much.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PEPEmbedding
        >>> layer = PEPEmbedding(6040, 64, density=0.05, granularity="feature")
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120804

    Reference:
        Liu, Gao, Chen, Jin and Li, "Learnable embedding sizes for recommender systems", 2021 (arXiv 2101.07577).
    """

    Settings = PEPSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, ``pruned`` (uint8, 1 if a weight is not kept), and ``thresholds`` by ids."""
        shape = (self.vocabulary.size, self.embedding_dim)
        pruned = Array("pruned", shape, "uint8", kind=Kind.OTHER)
        by_ids = (self._thresholds(),) if self._by_ids else ()
        return (Array("table", shape), pruned, *by_ids)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``searched``, int32 (1,), which is 1 after the search, and ``thresholds`` if ids share them."""
        shared = () if self._by_ids else (self._thresholds(),)
        return (Array("searched", (1,), "int32", kind=Kind.OTHER), *shared)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        row = int32(ids, xp)
        return {table.name: row for table in self.tables()}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Shrinks the row by the thresholds during the search, and masks it afterwards."""
        table, zero = rows["table"], np.float32(0)
        trained = rows["thresholds"] if self._by_ids else weights["thresholds"][0]
        masked = xp.where(rows["pruned"] > 0, zero, table)
        return xp.where(weights["searched"] > 0, masked, shrunk(table, self._limits(trained, xp), xp))

    def is_due(self, progress: Progress) -> bool:
        """Returns True: the search may end at any time."""
        return True

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Ends the search if few enough weights are above their thresholds, or if its share of the steps is done.

        Raises:
            RunFailed: a weight or a threshold is NaN or infinite.
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
        anew = self.settings.retrain == "anew" and not ended  # at the end of the run nothing would be learned
        first = rng.uniform(-SPREAD, SPREAD, table.shape) if anew else shrunk(table, limits, np)
        new = {"table": first.astype(np.float32), "pruned": pruned, "searched": np.ones(1, np.int32)}
        return Change(new, reset_moments=anew)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Keeps the weights that the search has chosen; before the end of the search, its choice for now, shrunk.

        Raises:
            RunFailed: a weight or a threshold is NaN or infinite.
        """
        table = arrays["table"]
        if arrays["searched"][0]:
            return self.served().stored(table, np.flatnonzero(arrays["pruned"] == 0))
        limits = self._limits(arrays["thresholds"], np)
        return self.served().stored(shrunk(table, limits, np), self._kept(table, limits))

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
        return limits(trained, self.settings.threshold, self.settings.threshold_rate, xp)
