"""Clustered compositional embeddings: a vector is the sum of a hashed row and the row of a learned cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, isqrt
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import (
    Array,
    Arrays,
    Change,
    Kind,
    Lookups,
    Method,
    Progress,
    Vocabulary,
    int32,
    largest,
)
from bench.embeddings.families.clusters import kmeans
from bench.embeddings.hashing import DEGREE, array, below, coefficients, hashes
from bench.embeddings.served.atoms import pointer_dtype
from bench.embeddings.served.codes import even_parts
from bench.errors import RequestError

USUAL_CHUNKS = (4, 2, 1)
"""Numbers of chunks that are tried, the first one without a budget."""


@dataclass
class CCESettings:
    """Settings of ``cce``."""

    num_rows: int | None = None
    """Rows of each of the two tables, in each chunk, at most one an id. None: vocabulary // 20, and at least the square
    root of the vocabulary, rounded up; under a budget, as many as fit."""

    num_chunks: int | None = None
    """Chunks of a vector. Each has its own rows, clusters and hash. None: 4, at most embedding_dim; under a budget, the
    most of 4, 2 and 1 with which the tables take at least as many bytes as the pointers."""

    clustering_end: Annotated[float, Range(low=0, high=1)] = 0.75
    """Ids are clustered at the end of each epoch whose number is below this share of the epochs; never after the
    last."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes that training begins with."""


class CCE(Method[CCESettings]):
    """Chunk i of vector(id) = T0_i[pointer(id, i)] + T1_i[h_i(id)].

    At first the pointers are hashes too. At the end of an epoch, chunk i of all ids is clustered by k-means into
    num_rows clusters. The centroids become T0, and the pointer of an id is its cluster. h_i is drawn anew. In each of
    its buckets, T1 becomes the mean difference between vectors and centroids; an empty bucket is zero. The optimizer's
    moments of both tables start anew.

    A pointer is stored for each id and chunk, in the smallest of uint8, uint16 and int32 that holds num_rows. Of h_i
    the coefficients are stored. Chunks are ceil(embedding_dim / num_chunks) wide; where that does not divide, the last
    one is narrower.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CCEEmbedding
        >>> layer = CCEEmbedding(6040, 64, num_rows=200)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # two tables, a byte an id and chunk, four hashes
        126688

    Reference:
        Tsang and Ahle, "Clustering the sketch: dynamic compression for embedding tables", 2023 (arXiv 2210.05974).
    """

    Settings = CCESettings
    family = "codes"

    def resolve(self, settings: CCESettings) -> CCESettings:
        """Chooses the numbers of rows and chunks."""
        size, width = self.vocabulary.size, self.embedding_dim
        asked = min(USUAL_CHUNKS[0], width) if settings.num_chunks is None else settings.num_chunks
        if not 1 <= asked <= width:
            raise RequestError(f"num_chunks={asked}: give 1 to embedding_dim={width}")
        rows = (
            max(size // 20, isqrt(size - 1) + 1)
            if settings.num_rows is None
            else min(settings.num_rows, size)
        )
        return replace(settings, num_rows=rows, num_chunks=even_parts(width, asked)[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of chunks, rows of a table in a chunk, and width of a chunk."""
        chunks, rows = self.settings.num_chunks, self.settings.num_rows
        assert chunks is not None and rows is not None
        return chunks, rows, even_parts(self.embedding_dim, chunks)[1]

    def tables(self) -> tuple[Array, ...]:
        """Describes ``rows`` (2 num_chunks num_rows, width of a chunk): T0 of all chunks, then T1 of all chunks."""
        chunks, rows, width = self.shape
        return (Array("rows", (2 * chunks * rows, width)),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``pointers`` (vocabulary, num_chunks) and ``hashes`` (num_chunks, 4), the coefficients of h_i."""
        chunks, rows, _ = self.shape
        return (
            Array("pointers", (self.vocabulary.size, chunks), pointer_dtype(rows), kind=Kind.MAPS),
            array("hashes", chunks),
        )

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the hashes that make the first pointers, and the hashes h_i."""
        chunks, rows, _ = self.shape
        drawn = coefficients(2 * chunks, self.settings.hash_seed, self.vocabulary.name)
        pointers = below(hashes(np.arange(self.vocabulary.size), drawn[chunks:], np), rows, np)
        return {"pointers": pointers.astype(pointer_dtype(rows)), "hashes": drawn[:chunks]}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads num_chunks rows of T0 and, behind them, num_chunks rows of T1."""
        chunks, rows, _ = self.shape
        pointers = int32(xp.take(maps["pointers"], ids, axis=0), xp)
        buckets = below(hashes(ids, maps["hashes"], xp), rows, xp)
        first = np.arange(0, 2 * chunks * rows, rows, dtype=np.int32)
        return {"rows": xp.concatenate([pointers, buckets], axis=-1) + first}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Adds the rows of T0 and T1, and puts the chunks side by side."""
        chunks, _, width = self.shape
        read = rows["rows"]
        both = read[..., :chunks, :] + read[..., chunks:, :]
        return xp.reshape(both, (*xp.shape(read)[:-2], chunks * width))[..., : self.embedding_dim]

    def is_due(self, progress: Progress) -> bool:
        """Returns True at the end of each epoch whose number is below ``clustering_end`` times the epochs."""
        last = min(ceil(self.settings.clustering_end * progress.epochs), progress.epochs) - 1
        return progress.epoch_ended and progress.epoch <= last

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Clusters each chunk of the vectors, and draws the hashes anew."""
        chunks, rows, width = self.shape
        ids = np.arange(self.vocabulary.size)
        tables = arrays["rows"].reshape(2, chunks, rows, width)
        old = below(hashes(ids, arrays["hashes"], np), rows, np)
        drawn = coefficients(chunks, int(rng.integers(2**31)), self.vocabulary.name)
        buckets = below(hashes(ids, drawn, np), rows, np)
        new = np.empty_like(tables)
        pointers = np.empty_like(arrays["pointers"])
        for i in range(chunks):
            vectors = tables[0, i][arrays["pointers"][:, i]] + tables[1, i][old[:, i]]
            new[0, i], nearest = kmeans(vectors, rows, rng)
            pointers[:, i] = nearest
            new[1, i] = bucket_means(vectors - new[0, i][nearest], buckets[:, i], rows)
        maps = {"pointers": pointers, "hashes": drawn}
        return Change({"rows": new.reshape(arrays["rows"].shape), **maps}, reset_moments=True)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: CCESettings, budget_bytes: int
    ) -> CCESettings:
        """Chooses the most rows within the bytes, in as many chunks as leave half of the bytes to the tables."""
        if settings.num_rows is not None:
            return cls(vocabulary, embedding_dim, settings).within(budget_bytes)

        def nbytes(chunks: int, rows: int) -> int:
            return sum(_bytes(vocabulary.size, embedding_dim, chunks, rows))

        def half(chunks: int) -> int:
            """Finds the fewest rows with which tables take at least as many bytes as maps; at most one row an id."""

            def fewer(rows: int) -> bool:
                tables, maps = _bytes(vocabulary.size, embedding_dim, chunks, rows)
                return tables < maps

            return min(vocabulary.size, (largest(1, vocabulary.size, fewer) or 0) + 1)

        chunks, rows = settings.num_chunks, 1
        if chunks is None:
            # Each number of chunks has a smallest size, above the smallest of fewer chunks. So sizes never fall
            # as the budget grows.
            tried = [(n, half(n)) for n in USUAL_CHUNKS[:-1] if n <= embedding_dim]
            enough = [step for step in tried if nbytes(*step) <= budget_bytes]
            chunks, rows = enough[0] if enough else (1, 1)
        elif not 1 <= chunks <= embedding_dim:
            raise RequestError(f"num_chunks={chunks}: give 1 to embedding_dim={embedding_dim}")
        best = largest(rows, vocabulary.size, lambda rows: nbytes(chunks, rows) <= budget_bytes)
        chosen = replace(settings, num_chunks=chunks, num_rows=best or rows)
        return cls(vocabulary, embedding_dim, chosen).within(budget_bytes)


def _bytes(size: int, embedding_dim: int, num_chunks: int, num_rows: int) -> tuple[int, int]:
    """Counts the bytes of both tables, and of pointers and coefficients."""
    chunks, width = even_parts(embedding_dim, num_chunks)
    pointer = 1 if num_rows <= 1 << 8 else 2 if num_rows <= 1 << 16 else 4
    return 8 * chunks * num_rows * width, chunks * (size * pointer + 8 * (DEGREE + 1))


def bucket_means(values: np.ndarray, buckets: np.ndarray, count: int) -> np.ndarray:
    """Computes the mean of the values in each bucket; zero for an empty one.

    Args:
        values: float32 (n, width).
        buckets: the bucket of each value, integers from 0 to count - 1, shape (n,).
        count: number of buckets.

    Returns:
        float32 (count, width).
    """
    sums = [np.bincount(buckets, column, count) for column in values.T]
    held = np.maximum(np.bincount(buckets, minlength=count), 1)
    return (np.stack(sums, axis=1) / held[:, None]).astype(np.float32)
