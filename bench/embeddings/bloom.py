"""Bloom embeddings: a vector is the mean of some hashed rows of one table.

Serra and Karatzoglou, "Getting deep recommenders fit: Bloom embeddings for sparse binary input/output networks", 2017
(arXiv 1706.03993).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Method, Vocabulary, check_positive
from bench.embeddings.forms.rows import num_rows, uniform
from bench.embeddings.hashing import array, below, coefficients, hashes
from bench.settings import Range


@dataclass
class BloomSettings:
    """Settings of ``bloom``."""

    num_rows: int | None = None
    """Rows of the table. None: a tenth of the vocabulary."""

    num_hashes: int = 2
    """How many rows a vector is the mean of."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Another seed makes other ids share a row."""


class Bloom(Method[BloomSettings]):
    """vector(id) = (table[h_1(id)] + ... + table[h_k(id)]) / k, with independent hashes h_j to num_rows.

    Two ids share a vector only where all their k rows agree. More rows than ids are not made. Rows begin sqrt(k) times
    as spread as those of a full table, so that their means begin as spread as its rows.
    """

    Settings = BloomSettings

    def resolve(self, settings: BloomSettings) -> BloomSettings:
        """Chooses num_rows."""
        check_positive(num_hashes=settings.num_hashes)
        return replace(settings, num_rows=num_rows(settings.num_rows, self.vocabulary))

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    def tables(self) -> tuple[Array, ...]:
        """The one table, (num_rows, embedding_dim)."""
        shape = (self.num_rows, self.embedding_dim)
        return (Array("table", shape, initializer=uniform(self.settings.num_hashes**0.5)),)

    def maps(self) -> tuple[Array, ...]:
        """``hash``: coefficients of the hashes, int64 (num_hashes, 4)."""
        return (array("hash", self.settings.num_hashes),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Coefficients by hash_seed and the field's name."""
        settings = self.settings
        return {"hash": coefficients(settings.num_hashes, settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """A row by each hash, (..., num_hashes)."""
        return {"table": below(hashes(ids, maps["hash"], xp), self.num_rows, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The rows' mean."""
        return xp.mean(rows["table"], axis=-2)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: BloomSettings, budget_bytes: int
    ) -> BloomSettings:
        """The most rows within the bytes; the hashes stay."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "num_rows", 1, vocabulary.size)
