"""The hashing trick: ids share the rows of one small table.

Weinberger et al., "Feature hashing for large scale multitask learning", 2009 (arXiv 0902.2206).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Method, Vocabulary
from bench.embeddings.forms.rows import num_rows
from bench.embeddings.hashing import array, below, coefficients, hashes
from bench.settings import Range


@dataclass
class HashSettings:
    """Settings of ``hash``."""

    num_rows: int | None = None
    """Rows of the table. None: a tenth of the vocabulary."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Another seed makes other ids share a row."""


class Hash(Method[HashSettings]):
    """vector(id) = table[h(id)], h a random hash to num_rows: ids of one row share a vector.

    More rows than ids are not made.
    """

    Settings = HashSettings

    def resolve(self, settings: HashSettings) -> HashSettings:
        """Chooses num_rows."""
        return replace(settings, num_rows=num_rows(settings.num_rows, self.vocabulary))

    @property
    def num_rows(self) -> int:
        """Rows of the table."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    def tables(self) -> tuple[Array, ...]:
        """The one table, (num_rows, embedding_dim)."""
        return (Array("table", (self.num_rows, self.embedding_dim)),)

    def maps(self) -> tuple[Array, ...]:
        """``hash``: coefficients of the one hash, int64 (1, 4)."""
        return (array("hash", 1),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Coefficients by hash_seed and the field's name."""
        return {"hash": coefficients(1, self.settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id's hash is the row."""
        return {"table": below(hashes(ids, maps["hash"], xp), self.num_rows, xp)[..., 0]}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row is the vector."""
        return rows["table"]

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: HashSettings, budget_bytes: int
    ) -> HashSettings:
        """The most rows within the bytes."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "num_rows", 1, vocabulary.size)
