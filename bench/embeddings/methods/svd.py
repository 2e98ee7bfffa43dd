"""Truncated singular value decomposition of a trained full table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from bench.embeddings.base import Method, Vocabulary
from bench.embeddings.families.trained import OfFull
from bench.embeddings.methods.lowrank import LowRank, LowRankSettings
from bench.embeddings.served.lowrank import Factors, FactorsSettings, chosen_rank

BLOCK = 1 << 16
"""Number of rows that are worked on in float64 at once, which bounds the memory."""


@dataclass
class SVDSettings:
    """Settings of ``svd``."""

    rank: int | None = None
    """Number of singular vectors that are kept, at most embedding_dim and the vocabulary. None: embedding_dim // 4, and
    at least 1."""

    row_weights: Literal["none", "counts"] = "none"
    """Weight of each id's squared error. ``none``: 1. ``counts``: 1 + its training frequency, so that the vectors of
    popular ids are kept best."""

    fine_tune: bool = False
    """True trains on from the factors and the projection, and the model with them, for as many epochs again."""


class SVD(OfFull[SVDSettings]):
    """vector(id) = factors[id] projection: the table of that rank that is nearest to a trained full table.

    ``full`` is trained, and gives the table A (vocabulary x d). With the weights w of the ids, V are the first ``rank``
    eigenvectors of A^T diag(w) A. Then factors = A V and projection = V^T. For equal weights that is the truncated SVD
    U S V^T, with factors U S.

    With ``fine_tune``, the whole model goes on training from the parent's weights with these factors and this
    projection, as ``lowrank`` trains them. The optimizer starts anew.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import SVDEmbedding
        >>> layer = SVDEmbedding(6040, 64, rank=16)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        390656

    Reference:
        Eckart and Young, "The approximation of one matrix by another of lower rank", 1936: no table of that rank has a
        smaller squared error. Srebro and Jaakkola, "Weighted low-rank approximations", 2003: the weights, here one a
        row, where the solution is still in closed form.
    """

    Settings = SVDSettings
    family = "low rank, computed"

    def resolve(self, settings: SVDSettings) -> SVDSettings:
        """Chooses the rank, at most the number of ids."""
        return replace(settings, rank=chosen_rank(settings.rank, self.vocabulary, self.embedding_dim))

    @property
    def rank(self) -> int:
        """Number of singular vectors that are kept."""
        assert self.settings.rank is not None
        return self.settings.rank

    def served(self) -> Factors:
        """Describes narrow rows and one projection."""
        return Factors(self.vocabulary, self.embedding_dim, FactorsSettings(self.rank))

    def trained(self) -> Method[Any]:
        """Describes trained factors and projection with ``fine_tune``, else the full table."""
        if not self.settings.fine_tune:
            return self.parent()
        return LowRank(self.vocabulary, self.embedding_dim, LowRankSettings(self.rank))

    def start(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Projects the trained table."""
        factors, projection = self._factors(arrays["table"])
        return {"table": factors, "projection": projection}

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Projects the trained table, unless that was done at the start."""
        if self.settings.fine_tune:
            return {"factors": arrays["table"], "projection": arrays["projection"]}
        factors, projection = self._factors(arrays["table"])
        return {"factors": factors, "projection": projection}

    def _factors(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Projects a table on the first eigenvectors of its Gram matrix, which has only d x d numbers."""
        d = self.embedding_dim
        counts = self.vocabulary.counts if self.settings.row_weights == "counts" else None
        blocks = [slice(begin, begin + BLOCK) for begin in range(0, len(table), BLOCK)]
        gram = np.zeros((d, d))
        for block in blocks:
            rows = table[block].astype(np.float64)
            weighted = rows if counts is None else rows * (1.0 + counts[block, None])
            gram += weighted.T @ rows
        _, vectors = np.linalg.eigh(gram)
        kept = vectors[:, ::-1][:, : self.rank]
        factors = np.empty((len(table), self.rank), np.float32)
        for block in blocks:
            factors[block] = table[block].astype(np.float64) @ kept
        return factors, np.ascontiguousarray(kept.T, np.float32)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: SVDSettings, budget_bytes: int
    ) -> SVDSettings:
        """Chooses the largest rank within the bytes. A rank more takes 4 (vocabulary + embedding_dim) bytes."""
        return cls.fit_size(
            vocabulary, embedding_dim, settings, budget_bytes, "rank", 1, min(embedding_dim, vocabulary.size)
        )
