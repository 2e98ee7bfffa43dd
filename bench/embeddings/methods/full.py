"""The uncompressed table: one row an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from bench.embeddings.base import Array, Arrays, Lookups, Method, Vocabulary, int32

TINY = {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 1e-4}}
"""The initial values of published click models."""


@dataclass
class FullSettings:
    """Settings of ``full``."""

    initializer: Literal["uniform", "normal", "tiny", "glorot_uniform", "glorot_normal", "zeros"] = "uniform"
    """The Keras initializer of the table; ``uniform`` is U(-0.05, 0.05), ``tiny`` N(0, 0.0001^2)."""


class Full(Method[FullSettings]):
    """vector(id) = table[id], with a table of vocabulary x embedding_dim float32 numbers.

    All other methods are compared with it.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import FullEmbedding
        >>> layer = FullEmbedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        1546240

    Reference:
        The layer is ``keras.layers.Embedding`` with the checks and the size of the others.
    """

    Settings = FullSettings
    family = "full"
    ignores_budget: ClassVar[bool] = True

    def resolve(self, settings: FullSettings) -> FullSettings:
        """Returns the settings as they are: no size is open."""
        return settings

    def tables(self) -> tuple[Array, ...]:
        """Describes one table, (vocabulary, embedding_dim)."""
        shape = (self.vocabulary.size, self.embedding_dim)
        named = self.settings.initializer
        return (Array("table", shape, initializer=TINY if named == "tiny" else named),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is."""
        return rows["table"]

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: FullSettings, budget_bytes: int
    ) -> FullSettings:
        """Returns the settings as they are: the table has one size."""
        method = cls(vocabulary, embedding_dim, settings)
        return method.within(budget_bytes)
