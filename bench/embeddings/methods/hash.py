"""The hashing trick: ids share the rows of one small table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Vocabulary
from bench.embeddings.families.hot import HotRows, HotSettings
from bench.embeddings.families.rows import num_rows
from bench.embeddings.hashing import array, below, coefficients, hashes


@dataclass
class HashSettings(HotSettings):
    """Settings of ``hash``."""

    num_rows: int | None = None
    """Rows of the table, at most one an id. None: a tenth of the vocabulary."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes. With another one, other ids share a row."""


class Hash(HotRows[HashSettings]):
    """vector(id) = table[h(id)], with a random hash h to num_rows rows.

    Ids with the same row share their vector.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import HashEmbedding
        >>> layer = HashEmbedding(6040, 64, num_rows=604)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 604 rows of 64 float32 numbers, and the hash
        154656

    Reference:
        Weinberger et al., "Feature hashing for large scale multitask learning", 2009 (arXiv 0902.2206).
    """

    Settings = HashSettings
    family = "shared rows"

    def resolve(self, settings: HashSettings) -> HashSettings:
        """Chooses num_rows."""
        return replace(self.resolve_hot(settings), num_rows=num_rows(settings.num_rows, self.vocabulary))

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    def tables(self) -> tuple[Array, ...]:
        """Describes one table, (num_rows, embedding_dim), and hot rows."""
        return (Array("table", (self.num_rows, self.embedding_dim)), *self.hot_tables())

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hash``, the coefficients of one hash: int64 (1, 4)."""
        return (array("hash", 1), *super().maps())

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name."""
        drawn = coefficients(1, self.settings.hash_seed, self.vocabulary.name)
        return {"hash": drawn, **super().build_maps()}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the hash of the id."""
        row = below(hashes(ids, maps["hash"], xp), self.num_rows, xp)[..., 0]
        return {"table": row, **self.hot_lookups(ids, maps, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is."""
        return self.hot_or(rows["table"], rows, indices, xp)

    @classmethod
    def fit_cold(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: HashSettings, budget_bytes: int
    ) -> HashSettings:
        """Chooses the most rows within the bytes."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "num_rows", 1, vocabulary.size)
