"""Hash embeddings: some hashed rows of one table, weighted by importances that are learned.

Svenstrup, Hansen and Winther, "Hash embeddings for efficient word representations", 2017 (arXiv 1709.03933).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Method, Vocabulary, check_positive, int32
from bench.embeddings.forms.rows import num_rows, uniform
from bench.embeddings.hashing import array, below, coefficients, hashes
from bench.settings import Range


@dataclass
class HashEmbeddingSettings:
    """Settings of ``hash_embedding``."""

    num_rows: int | None = None
    """Rows of the table of vectors. None: a tenth of the vocabulary."""

    num_weight_rows: int | None = None
    """Rows of the table of importances. None: one an id, unless that takes more numbers than the table of vectors;
    then as many as take no more."""

    num_hashes: int = 2
    """How many rows of the table of vectors an id reads."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Another seed makes other ids share a row."""


class HashEmbedding(Method[HashEmbeddingSettings]):
    """vector(id) = w_1 table[h_1(id)] + ... + w_k table[h_k(id)], with w = importance[g(id)].

    h_j are independent hashes to num_rows, g is one to num_weight_rows; where there is an importance row for every id,
    g(id) = id. More rows than ids are not made of either table.

    Importances begin at 1, the rows so that their sums begin as spread as the rows of a full table.

    Where none is given, num_weight_rows is the vocabulary or, if smaller, num_rows * embedding_dim // k (at least 1):
    importances cost k numbers an id, which tell ids apart that share all else, but they take no more than half.
    """

    Settings = HashEmbeddingSettings

    def resolve(self, settings: HashEmbeddingSettings) -> HashEmbeddingSettings:
        """Chooses the rows of both tables."""
        check_positive(num_hashes=settings.num_hashes, num_weight_rows=settings.num_weight_rows)
        rows, size = num_rows(settings.num_rows, self.vocabulary), self.vocabulary.size
        weight_rows = settings.num_weight_rows
        if weight_rows is None:
            weight_rows = max(1, rows * self.embedding_dim // settings.num_hashes)
        return replace(settings, num_rows=rows, num_weight_rows=min(weight_rows, size))

    @property
    def num_rows(self) -> int:
        """Rows of the table of vectors."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    @property
    def num_weight_rows(self) -> int:
        """Rows of the table of importances."""
        assert self.settings.num_weight_rows is not None
        return self.settings.num_weight_rows

    def tables(self) -> tuple[Array, ...]:
        """``table`` (num_rows, embedding_dim) and ``importance`` (num_weight_rows, num_hashes)."""
        k = self.settings.num_hashes
        return (
            Array("table", (self.num_rows, self.embedding_dim), initializer=uniform(k**-0.5)),
            Array("importance", (self.num_weight_rows, k), initializer="ones"),
        )

    def maps(self) -> tuple[Array, ...]:
        """``hash``: coefficients of the hashes of rows and of the one of importances, int64 (num_hashes + 1, 4)."""
        return (array("hash", self.settings.num_hashes + 1),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Coefficients by hash_seed and the field's name."""
        settings = self.settings
        return {"hash": coefficients(settings.num_hashes + 1, settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """A row by each of the first hashes, (..., num_hashes), and an importance row by the last."""
        values = hashes(ids, maps["hash"], xp)
        k = self.settings.num_hashes
        if self.num_weight_rows == self.vocabulary.size:
            own = int32(ids, xp)
        else:
            own = below(values[..., k], self.num_weight_rows, xp)
        return {"table": below(values[..., :k], self.num_rows, xp), "importance": own}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The rows, each times its importance, added."""
        return xp.sum(rows["table"] * xp.expand_dims(rows["importance"], -1), axis=-2)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: HashEmbeddingSettings, budget_bytes: int
    ) -> HashEmbeddingSettings:
        """The most rows within the bytes, importances by the rule; what is given of the two stays."""
        open_size = "num_weight_rows" if settings.num_rows is not None else "num_rows"
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, open_size, 1, vocabulary.size)
