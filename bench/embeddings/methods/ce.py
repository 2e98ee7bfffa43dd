"""Compositional embeddings: a vector is a few hashed pieces side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Method, Vocabulary, check_positive, int32
from bench.embeddings.families.rows import joined, num_rows
from bench.embeddings.hashing import array, below, coefficients, hashes


@dataclass
class CESettings:
    """Settings of ``ce``."""

    num_rows: int | None = None
    """Rows that each chunk has, at most one an id. None: a tenth of the vocabulary."""

    num_chunks: int | None = None
    """Number of pieces of a vector. None: 4, or 2 with one_table. Where it does not divide the width, see ``CE``."""

    one_table: bool = False
    """True lets all chunks read the rows of all, as the unified embedding does: the same bytes, and one table."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes. With another one, other ids share a row."""


class CE(Method[CESettings]):
    """vector(id) = table[h_0(id), 0], ..., table[h_{k-1}(id), k-1], side by side.

    h_c are k = num_chunks independent hashes to num_rows rows. Two ids share a whole vector only where all k hashes
    agree: num_rows ** k vectors can be told apart.

    With one_table, all chunks have one table of num_chunks num_rows rows, which each hash reaches as a whole. For all
    fields of the data (``share=all``) that is the unified embedding. One chunk is ``hash``.

    A chunk is ceil(embedding_dim / num_chunks) wide. There are only as many chunks as fill embedding_dim, and the
    columns of the last one beyond it are cut off. A width of 50 is 4 chunks of 13, with 2 columns of the last unused. A
    width of 5 is 3 chunks of 2. The resolved settings hold the number of chunks.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CEEmbedding
        >>> layer = CEEmbedding(6040, 64, num_rows=604, num_chunks=4)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154752

    Reference:
        Shi et al., "Compositional embeddings using complementary partitions for memory-efficient recommendation
        systems", 2019 (arXiv 1909.02107): its concatenation, with independent hashes as partitions. one_table: Coleman
        et al., "Unified embedding: battle-tested feature representations for web-scale ML systems", 2023 (arXiv
        2305.12102).
    """

    Settings = CESettings
    family = "shared rows"

    def resolve(self, settings: CESettings) -> CESettings:
        """Chooses num_rows, and the number of chunks that fill the width."""
        usual = 2 if settings.one_table else 4
        asked = usual if settings.num_chunks is None else settings.num_chunks
        check_positive(num_chunks=asked)
        width = -(-self.embedding_dim // asked)
        chunks = -(-self.embedding_dim // width)
        rows = num_rows(settings.num_rows, self.vocabulary, chunks)
        return replace(settings, num_rows=rows, num_chunks=chunks)

    @property
    def num_chunks(self) -> int:
        """Number of pieces of a vector."""
        assert self.settings.num_chunks is not None
        return self.settings.num_chunks

    @property
    def num_rows(self) -> int:
        """Rows of each chunk."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, (num_chunks * num_rows, width of a chunk): the rows of chunk 0, of chunk 1, ...

        With one_table, the rows are those of all chunks.
        """
        chunks = self.num_chunks
        return (Array("table", (chunks * self.num_rows, -(-self.embedding_dim // chunks))),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hash``, the coefficients of a hash for each chunk: int64 (num_chunks, 4)."""
        return (array("hash", self.num_chunks),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name."""
        return {"hash": coefficients(self.num_chunks, self.settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads one row of each chunk: (..., num_chunks)."""
        chunks, values = self.num_chunks, hashes(ids, maps["hash"], xp)
        if self.settings.one_table:
            return {"table": below(values, chunks * self.num_rows, xp)}
        first = np.arange(chunks, dtype=np.int32) * np.int32(self.num_rows)
        return {"table": int32(below(values, self.num_rows, xp) + first, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Puts the chunks side by side."""
        return joined(rows["table"], self.embedding_dim, xp)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: CESettings, budget_bytes: int
    ) -> CESettings:
        """Chooses the most rows within the bytes. The number of chunks stays."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "num_rows", 1, vocabulary.size)
