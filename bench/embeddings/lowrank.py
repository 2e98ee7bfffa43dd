"""Low rank: a narrow table and one projection to the vectors' width.

The table of all vectors as a product of two matrices, as in Lan et al., "ALBERT: a lite BERT for self-supervised
learning of language representations", 2019 (arXiv 1909.11942), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.embeddings.base import Array, Arrays, Kind, Method, Vocabulary, int32
from bench.errors import RequestError


@dataclass
class LowRankSettings:
    """Settings of ``lowrank``."""

    rank: int | None = None
    """Width of the table, at most embedding_dim. None: embedding_dim // 4, and at least 1."""


class LowRank(Method[LowRankSettings]):
    """vector(id) = table[id] P, with a table of vocabulary x rank and P of rank x embedding_dim.

    Vectors begin with the variance of a full table's: P has the variance 1 / rank. The product of n rows has no
    rank above n: more than the vocabulary is as much as it.
    """

    Settings = LowRankSettings

    def resolve(self, settings: LowRankSettings) -> LowRankSettings:
        """Chooses the rank; refuses one above embedding_dim, which would take more than the full table."""
        rank = max(1, self.embedding_dim // 4) if settings.rank is None else settings.rank
        if not 1 <= rank <= self.embedding_dim:
            raise RequestError(f"rank={rank}: give 1 to embedding_dim={self.embedding_dim}")
        return replace(settings, rank=min(rank, self.vocabulary.size))

    @property
    def rank(self) -> int:
        """Width of the table."""
        assert self.settings.rank is not None
        return self.settings.rank

    def tables(self) -> tuple[Array, ...]:
        """The one table, (vocabulary, rank)."""
        return (Array("table", (self.vocabulary.size, self.rank)),)

    def weights(self) -> tuple[Array, ...]:
        """``projection``, (rank, embedding_dim)."""
        shape = (self.rank, self.embedding_dim)
        return (Array("projection", shape, initializer="lecun_uniform", kind=Kind.NETWORKS),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row, projected."""
        return xp.matmul(rows["table"], weights["projection"])

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: LowRankSettings, budget_bytes: int
    ) -> LowRankSettings:
        """The largest rank within the bytes; one more takes 4 (vocabulary + embedding_dim)."""
        if settings.rank is None:
            rank = budget_bytes // (4 * (vocabulary.size + embedding_dim))
            settings = replace(settings, rank=min(max(1, rank), embedding_dim))
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
