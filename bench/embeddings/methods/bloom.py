"""Bloom embeddings: a vector is the mean of a few hashed rows of one table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Vocabulary, check_positive
from bench.embeddings.families.hot import HotRows, HotSettings
from bench.embeddings.families.rows import num_rows, uniform
from bench.embeddings.hashing import array, below, coefficients, hashes


@dataclass
class BloomSettings(HotSettings):
    """Settings of ``bloom``."""

    num_rows: int | None = None
    """Rows of the table, at most one an id. None: a tenth of the vocabulary."""

    num_hashes: int = 2
    """Number k of hashes: how many rows a vector is the mean of."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes. With another one, other ids share a row."""


class Bloom(HotRows[BloomSettings]):
    """vector(id) = (table[h_1(id)] + ... + table[h_k(id)]) / k, with k independent hashes h_j to num_rows rows.

    Two ids share a vector only where all their k rows are the same. Rows begin sqrt(k) times as spread as those of a
    full table. So their means begin as spread as its rows.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import BloomEmbedding
        >>> layer = BloomEmbedding(6040, 64, num_rows=604, num_hashes=3)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154720

    Reference:
        Serra and Karatzoglou, "Getting deep recommenders fit: Bloom embeddings for sparse binary input/output
        networks", 2017 (arXiv 1706.03993).
    """

    Settings = BloomSettings
    family = "shared rows"

    def resolve(self, settings: BloomSettings) -> BloomSettings:
        """Chooses num_rows."""
        check_positive(num_hashes=settings.num_hashes)
        return replace(self.resolve_hot(settings), num_rows=num_rows(settings.num_rows, self.vocabulary))

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    def tables(self) -> tuple[Array, ...]:
        """Describes one table, (num_rows, embedding_dim), and hot rows."""
        shape = (self.num_rows, self.embedding_dim)
        table = Array("table", shape, initializer=uniform(self.settings.num_hashes**0.5))
        return (table, *self.hot_tables())

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hash``, the coefficients of the hashes: int64 (num_hashes, 4)."""
        return (array("hash", self.settings.num_hashes), *super().maps())

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name."""
        settings = self.settings
        drawn = coefficients(settings.num_hashes, settings.hash_seed, self.vocabulary.name)
        return {"hash": drawn, **super().build_maps()}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads one row by each hash: (..., num_hashes)."""
        places = below(hashes(ids, maps["hash"], xp), self.num_rows, xp)
        return {"table": places, **self.hot_lookups(ids, maps, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the mean of the rows."""
        return self.hot_or(xp.mean(rows["table"], axis=-2), rows, indices, xp)

    @classmethod
    def fit_cold(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: BloomSettings, budget_bytes: int
    ) -> BloomSettings:
        """Chooses the most rows within the bytes. The number of hashes stays."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "num_rows", 1, vocabulary.size)
