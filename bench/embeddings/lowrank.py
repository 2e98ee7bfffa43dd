"""Low rank: a narrow table and one projection to the vectors' width.

The table of all vectors as a product of two matrices, as in Lan et al., "ALBERT: a lite BERT for self-supervised
learning of language representations", 2019 (arXiv 1909.11942), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.embeddings.base import Array, Arrays, Kind, Method, Vocabulary, int32
from bench.embeddings.forms.lowrank import chosen_rank
from bench.embeddings.forms.rows import uniform

GAIN = 4.0
"""How many times larger than 1 / sqrt(rank) the projection begins, and smaller than U(-0.05, 0.05) the table."""


@dataclass
class LowRankSettings:
    """Settings of ``lowrank``."""

    rank: int | None = None
    """Width of the table, at most embedding_dim. None: embedding_dim // 4, and at least 1."""


class LowRank(Method[LowRankSettings]):
    """vector(id) = table[id] P, with a table of vocabulary x rank and P of rank x embedding_dim.

    The table begins as U(-0.05, 0.05) / 4 and P with a standard deviation of 4 / sqrt(rank): vectors begin as
    spread as a full table's, and a step of the table moves them four times as far. Both matrices are small at
    first, and at the rate that suits a full table their product would grow too slowly.

    The product of n rows has no rank above n: more than the vocabulary is as much as it.
    """

    Settings = LowRankSettings

    def resolve(self, settings: LowRankSettings) -> LowRankSettings:
        """Chooses the rank; refuses one above embedding_dim, which would take more than the full table."""
        return replace(settings, rank=chosen_rank(settings.rank, self.vocabulary, self.embedding_dim))

    @property
    def rank(self) -> int:
        """Width of the table."""
        assert self.settings.rank is not None
        return self.settings.rank

    def tables(self) -> tuple[Array, ...]:
        """The one table, (vocabulary, rank)."""
        return (Array("table", (self.vocabulary.size, self.rank), initializer=uniform(1 / GAIN)),)

    def weights(self) -> tuple[Array, ...]:
        """``projection``, (rank, embedding_dim)."""
        shape = (self.rank, self.embedding_dim)
        config = {"scale": GAIN**2, "mode": "fan_in", "distribution": "uniform"}
        wide = {"class_name": "VarianceScaling", "config": config}
        return (Array("projection", shape, initializer=wide, kind=Kind.NETWORKS),)

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
