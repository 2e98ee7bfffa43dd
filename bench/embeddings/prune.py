"""Magnitude pruning of a trained table.

Han et al., "Learning both weights and connections for efficient neural networks", 2015 (arXiv 1506.02626): their
first pruning step, without training again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.embeddings.forms.pruned import Pruned, PrunedSettings
from bench.embeddings.forms.sparse import largest_entries
from bench.embeddings.forms.trained import OfFull


@dataclass
class PruneSettings(PrunedSettings):
    """Settings of ``prune``: those of every pruning method."""


class Prune(OfFull[PruneSettings], Pruned[PruneSettings]):
    """vector(id)[j] = table[id, j] where it is one of the ``nnz`` largest magnitudes, else 0.

    The table is ``full``'s, trained in a run of its own. Of equal magnitudes the first are kept.
    """

    Settings = PruneSettings

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The largest magnitudes.

        Raises:
            RunFailed: a weight that is no finite number.
        """
        table = arrays["table"]
        kept = largest_entries(np.abs(table), self.nnz, self.vocabulary.name)
        return self.served().stored(table, kept)
