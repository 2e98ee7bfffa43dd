"""The uncompressed table: one row an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bench.embeddings.base import Array, Arrays, Method, Vocabulary, int32


@dataclass
class FullSettings:
    """Settings of ``full``."""

    initializer: Literal["uniform", "normal", "glorot_uniform", "glorot_normal", "zeros"] = "uniform"
    """Keras initializer of the table; ``uniform`` is U(-0.05, 0.05)."""


class Full(Method[FullSettings]):
    """vector(id) = table[id], a table of vocabulary x embedding_dim."""

    Settings = FullSettings
    ignores_budget: ClassVar[bool] = True

    def resolve(self, settings: FullSettings) -> FullSettings:
        """Nothing is left open."""
        return settings

    def tables(self) -> tuple[Array, ...]:
        """The one table, (vocabulary, embedding_dim)."""
        shape = (self.vocabulary.size, self.embedding_dim)
        return (Array("table", shape, initializer=self.settings.initializer),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row is the vector."""
        return rows["table"]

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: FullSettings, budget_bytes: int
    ) -> FullSettings:
        """The settings as they are: the table has one size."""
        method = cls(vocabulary, embedding_dim, settings)
        return method.within(budget_bytes)
