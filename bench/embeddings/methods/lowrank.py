"""Low rank: a narrow table and one projection to the width of the vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.embeddings.base import Array, Arrays, Kind, Lookups, Method, Vocabulary, int32
from bench.embeddings.families.rows import uniform
from bench.embeddings.served.lowrank import chosen_rank

GAIN = 4.0
"""The projection begins this many times as large as 1 / sqrt(rank), and the table this many times as small as
U(-0.05, 0.05)."""


@dataclass
class LowRankSettings:
    """Settings of ``lowrank``."""

    rank: int | None = None
    """Width of the table, at most embedding_dim and the vocabulary. None: embedding_dim // 4, and at least 1."""


class LowRank(Method[LowRankSettings]):
    """vector(id) = table[id] P, with a table of vocabulary x rank and a projection P of rank x embedding_dim.

    The table begins as U(-0.05, 0.05) / 4, and P with a standard deviation of 4 / sqrt(rank). So vectors begin as
    spread as those of a full table, and a step of the table moves them four times as far. Without that factor the
    product of two small matrices would grow too slowly at the learning rate that suits a full table.

    The rank of a table of n rows is at most n. So a rank above the vocabulary is of no use.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import LowRankEmbedding
        >>> layer = LowRankEmbedding(6040, 64, rank=16)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        390656

    Reference:
        Lan et al., "ALBERT: a lite BERT for self-supervised learning of language representations", 2019 (arXiv
        1909.11942), section 3.1.
    """

    Settings = LowRankSettings
    family = "low rank, computed"

    def resolve(self, settings: LowRankSettings) -> LowRankSettings:
        """Chooses the rank. A rank above embedding_dim would take more bytes than the full table, and is refused."""
        return replace(settings, rank=chosen_rank(settings.rank, self.vocabulary, self.embedding_dim))

    @property
    def rank(self) -> int:
        """Width of the table."""
        assert self.settings.rank is not None
        return self.settings.rank

    def tables(self) -> tuple[Array, ...]:
        """Describes one table, (vocabulary, rank)."""
        return (Array("table", (self.vocabulary.size, self.rank), initializer=uniform(1 / GAIN)),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``projection``, (rank, embedding_dim)."""
        shape = (self.rank, self.embedding_dim)
        config = {"scale": GAIN**2, "mode": "fan_in", "distribution": "uniform"}
        wide = {"class_name": "VarianceScaling", "config": config}
        return (Array("projection", shape, initializer=wide, kind=Kind.NETWORKS),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the row by the projection."""
        return xp.matmul(rows["table"], weights["projection"])

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: LowRankSettings, budget_bytes: int
    ) -> LowRankSettings:
        """Chooses the largest rank within the bytes. A rank more takes 4 (vocabulary + embedding_dim) bytes."""
        if settings.rank is None:
            rank = budget_bytes // (4 * (vocabulary.size + embedding_dim))
            settings = replace(settings, rank=min(max(1, rank), embedding_dim))
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
