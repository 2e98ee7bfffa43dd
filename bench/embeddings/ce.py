"""Compositional embeddings: a vector is some hashed pieces side by side.

Shi et al., "Compositional embeddings using complementary partitions for memory-efficient recommendation
systems", 2019 (arXiv 1909.02107), concatenated; with independent hashes as partitions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Method, Vocabulary, check_positive, int32
from bench.embeddings.forms.rows import joined, num_rows
from bench.embeddings.hashing import array, below, coefficients, hashes
from bench.settings import Range


@dataclass
class CESettings:
    """Settings of ``ce``."""

    num_rows: int | None = None
    """Rows that each chunk has. None: a tenth of the vocabulary."""

    num_chunks: int = 4
    """How many pieces a vector has. Of widths that it does not divide, see ``CE``."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Another seed makes other ids share a row."""


class CE(Method[CESettings]):
    """vector(id) = table[h_0(id), 0] .. table[h_{k-1}(id), k-1], side by side; h_c are independent hashes to num_rows.

    Two ids share a whole vector only where all k hashes agree: num_rows ** k vectors can be told apart.

    A chunk is ceil(embedding_dim / num_chunks) wide. There are no more chunks than it takes to fill embedding_dim, and
    what the last has beyond is cut off: 50 in 4 chunks of 13, 2 columns of the last unused; 5 in 3 chunks of 2.
    The resolved settings say how many chunks there are. More rows than ids are not made.
    """

    Settings = CESettings

    def resolve(self, settings: CESettings) -> CESettings:
        """Chooses num_rows, and the chunks that remain."""
        check_positive(num_chunks=settings.num_chunks)
        width = -(-self.embedding_dim // settings.num_chunks)
        chunks = -(-self.embedding_dim // width)
        rows = num_rows(settings.num_rows, self.vocabulary, chunks)
        return replace(settings, num_rows=rows, num_chunks=chunks)

    @property
    def num_rows(self) -> int:
        """Rows of each chunk."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    def tables(self) -> tuple[Array, ...]:
        """``table``, (num_chunks * num_rows, width of a chunk): the rows of chunk 0, then those of chunk 1, ..."""
        chunks = self.settings.num_chunks
        return (Array("table", (chunks * self.num_rows, -(-self.embedding_dim // chunks))),)

    def maps(self) -> tuple[Array, ...]:
        """``hash``: coefficients of a hash for each chunk, int64 (num_chunks, 4)."""
        return (array("hash", self.settings.num_chunks),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Coefficients by hash_seed and the field's name."""
        return {"hash": coefficients(self.settings.num_chunks, self.settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """One row of each chunk, (..., num_chunks)."""
        first = np.arange(self.settings.num_chunks, dtype=np.int32) * np.int32(self.num_rows)
        return {"table": int32(below(hashes(ids, maps["hash"], xp), self.num_rows, xp) + first, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The chunks side by side."""
        return joined(rows["table"], self.embedding_dim, xp)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: CESettings, budget_bytes: int
    ) -> CESettings:
        """The most rows within the bytes; the chunks stay."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "num_rows", 1, vocabulary.size)
