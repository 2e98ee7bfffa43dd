"""Hash embeddings: a few hashed rows of one table, weighted by importances that are learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Method, Vocabulary, check_positive, int32
from bench.embeddings.families.rows import num_rows, uniform
from bench.embeddings.hashing import array, below, coefficients, hashes


@dataclass
class HashEmbeddingSettings:
    """Settings of ``hash_embedding``."""

    num_rows: int | None = None
    """Rows of the table of vectors, at most one an id. None: a tenth of the vocabulary."""

    num_weight_rows: int | None = None
    """Rows of the table of importances, at most one an id. None: one an id; where that takes more numbers than the
    table of vectors, as many as take no more."""

    num_hashes: int = 2
    """Number k of hashes: how many rows of the table of vectors an id reads."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes. With another one, other ids share a row."""


class HashEmbedding(Method[HashEmbeddingSettings]):
    """vector(id) = w_1 table[h_1(id)] + ... + w_k table[h_k(id)], with w = importance[g(id)].

    h_j are k independent hashes to num_rows rows, and g is a hash to num_weight_rows rows. Where every id has its own
    row of importances, g(id) = id.

    Importances begin at 1. Rows begin such that their sums are as spread as the rows of a full table.

    By default num_weight_rows is the vocabulary or num_rows * embedding_dim // k, whichever is smaller, and at least
    1. Importances take k numbers an id. They tell apart the ids that share their rows, and take at most half of the
    bytes.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import HashEmbeddingEmbedding
        >>> layer = HashEmbeddingEmbedding(6040, 64, num_rows=604)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        203040

    Reference:
        Svenstrup, Hansen and Winther, "Hash embeddings for efficient word representations", 2017 (arXiv 1709.03933).
    """

    Settings = HashEmbeddingSettings
    family = "shared rows"

    def resolve(self, settings: HashEmbeddingSettings) -> HashEmbeddingSettings:
        """Chooses the number of rows of both tables."""
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
        """Describes ``table`` (num_rows, embedding_dim) and ``importance`` (num_weight_rows, num_hashes)."""
        k = self.settings.num_hashes
        return (
            Array("table", (self.num_rows, self.embedding_dim), initializer=uniform(k**-0.5)),
            Array("importance", (self.num_weight_rows, k), initializer="ones"),
        )

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hash``, the coefficients of the hashes h_1, ..., h_k and g: int64 (num_hashes + 1, 4)."""
        return (array("hash", self.settings.num_hashes + 1),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name."""
        settings = self.settings
        return {"hash": coefficients(settings.num_hashes + 1, settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads one row by each h_j, (..., num_hashes), and one row of importances by g."""
        values = hashes(ids, maps["hash"], xp)
        k = self.settings.num_hashes
        if self.num_weight_rows == self.vocabulary.size:
            own = int32(ids, xp)
        else:
            own = below(values[..., k], self.num_weight_rows, xp)
        return {"table": below(values[..., :k], self.num_rows, xp), "importance": own}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Adds the rows, each times its importance."""
        return xp.sum(rows["table"] * xp.expand_dims(rows["importance"], -1), axis=-2)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: HashEmbeddingSettings, budget_bytes: int
    ) -> HashEmbeddingSettings:
        """Chooses the most rows within the bytes. Importances follow from them; a number that was given stays."""
        open_size = "num_weight_rows" if settings.num_rows is not None else "num_rows"
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, open_size, 1, vocabulary.size)
