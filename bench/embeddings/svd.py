"""Truncated singular value decomposition of a trained full table.

Eckart and Young, "The approximation of one matrix by another of lower rank", 1936: no table of that rank is nearer in
squared error. Weights by row are those of Srebro and Jaakkola, "Weighted low-rank approximations", 2003, in the case
of one weight a row, where the solution is still in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.embeddings.base import Vocabulary
from bench.embeddings.forms.lowrank import Factors, FactorsSettings, chosen_rank
from bench.embeddings.forms.trained import OfFull


@dataclass
class SVDSettings:
    """Settings of ``svd``."""

    rank: int | None = None
    """How many singular vectors are kept, at most embedding_dim. None: embedding_dim // 4, at least 1, and no more
    than there are ids."""

    row_weights: Literal["none", "counts"] = "none"
    """What each id's squared error weighs: 1, or 1 + its training frequency, so that popular ids are kept best."""


class SVD(OfFull[SVDSettings]):
    """vector(id) = factors[id] projection, the nearest table of that rank to one that is trained as ``full``'s.

    With the table A (vocabulary x d), weights w and the first ``rank`` eigenvectors V of A^T diag(w) A: factors = A V
    and projection = V^T. For equal weights that is the truncated SVD U S V^T, with factors U S.
    """

    Settings = SVDSettings

    def resolve(self, settings: SVDSettings) -> SVDSettings:
        """Chooses the rank; ranks above the number of ids cannot be."""
        return replace(settings, rank=chosen_rank(settings.rank, self.vocabulary, self.embedding_dim))

    @property
    def rank(self) -> int:
        """How many singular vectors are kept."""
        assert self.settings.rank is not None
        return self.settings.rank

    def served(self) -> Factors:
        """Narrow rows and one projection."""
        return Factors(self.vocabulary, self.embedding_dim, FactorsSettings(self.rank))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The table on the first eigenvectors of its Gram matrix, which has only d x d numbers."""
        table = arrays["table"].astype(np.float64)
        counts = self.vocabulary.counts if self.settings.row_weights == "counts" else None
        weighted = table if counts is None else table * (1.0 + counts[:, None])
        _, vectors = np.linalg.eigh(weighted.T @ table)
        kept = vectors[:, ::-1][:, : self.rank]
        return {
            "factors": (table @ kept).astype(np.float32),
            "projection": np.ascontiguousarray(kept.T, np.float32),
        }

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: SVDSettings, budget_bytes: int
    ) -> SVDSettings:
        """The largest rank within the bytes: 4 (vocabulary + embedding_dim) a rank."""
        return cls.fit_size(
            vocabulary, embedding_dim, settings, budget_bytes, "rank", 1, min(embedding_dim, vocabulary.size)
        )
