"""Magnitude pruning of a trained full table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.embeddings.families.pruned import Pruned, PrunedSettings
from bench.embeddings.families.trained import OfFull
from bench.embeddings.served.sparse import largest_entries


@dataclass
class PruneSettings(PrunedSettings):
    """Settings of ``prune``."""


class Prune(OfFull[PruneSettings], Pruned[PruneSettings]):
    """vector(id)[j] = table[id, j] where that is one of the ``nnz`` largest magnitudes, and 0 elsewhere.

    ``full`` is trained, and gives the table. Of equal magnitudes the first are kept.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PruneEmbedding
        >>> layer = PruneEmbedding(6040, 64, density=0.5)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        845600

    Reference:
        Han et al., "Learning both weights and connections for efficient neural networks", 2015 (arXiv 1506.02626): the
        first pruning step, without training afterwards.
    """

    Settings = PruneSettings

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Keeps the weights with the largest magnitudes.

        Raises:
            RunFailed: a weight is NaN or infinite.
        """
        table = arrays["table"]
        kept = largest_entries(table, self.nnz, self.vocabulary.name, np.abs)
        return self.served().stored(table, kept)
