"""Clustered compositional embeddings: two small tables an id reads a row of each, one by learned clusters.

Tsang and Ahle, "Clustering the sketch: dynamic compression for embedding tables", 2023 (arXiv 2210.05974).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, isqrt
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Change, Kind, Method, Progress, Vocabulary, int32, largest
from bench.embeddings.forms.clusters import kmeans
from bench.embeddings.forms.codes import even_parts
from bench.embeddings.hashing import DEGREE, array, below, coefficients, hashes
from bench.errors import RequestError
from bench.settings import Range

USUAL_CHUNKS = (4, 2, 1)


@dataclass
class CCESettings:
    """Settings of ``cce``."""

    num_rows: int | None = None
    """Rows of each of the two tables, in each chunk. None: vocabulary // 20, and at least its square root, rounded
    up; under a budget, as many as fit."""

    num_chunks: int | None = None
    """Chunks of a vector, each with rows, clusters and hashes of its own. None: 4, at most embedding_dim; under a
    budget, the most of 4, 2 and 1 with which the tables take no less than the pointers."""

    clustering_end: Annotated[float, Range(low=0, high=1)] = 0.75
    """Ids are clustered after each epoch whose number is below this share of the epochs, and never after the last."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Of the hashes that training begins with."""


class CCE(Method[CCESettings]):
    """Chunk i of vector(id) = T0_i[pointer(id, i)] + T1_i[h_i(id)].

    At first the pointers are hashes too. After an epoch the current chunks of all ids are clustered by k-means into
    num_rows clusters: T0 is their centroids and an id's pointer its cluster. h_i is drawn anew, and T1 is the mean of
    what the centroids miss in each bucket of h_i, zero for an empty one. Both tables' moments start anew.

    A pointer is stored for each id and chunk, in the smallest of uint8, uint16 and int32 that holds num_rows; of h_i
    the coefficients are. Rows beyond the vocabulary are not made. Chunks are ceil(embedding_dim / num_chunks) wide;
    the last is narrower where that does not divide.
    """

    Settings = CCESettings

    def resolve(self, settings: CCESettings) -> CCESettings:
        """Chooses rows and chunks."""
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
        """Chunks, rows of a table in a chunk, and width of a chunk."""
        chunks, rows = self.settings.num_chunks, self.settings.num_rows
        assert chunks is not None and rows is not None
        return chunks, rows, even_parts(self.embedding_dim, chunks)[1]

    def tables(self) -> tuple[Array, ...]:
        """``rows`` (2 num_chunks num_rows, width of a chunk): T0 of all chunks, then T1 of all chunks."""
        chunks, rows, width = self.shape
        return (Array("rows", (2 * chunks * rows, width)),)

    def maps(self) -> tuple[Array, ...]:
        """``pointers`` (vocabulary, num_chunks) and ``hashes``, the coefficients of h_i: int64 (num_chunks, 4)."""
        chunks, rows, _ = self.shape
        return (
            Array("pointers", (self.vocabulary.size, chunks), pointer_dtype(rows), kind=Kind.MAPS),
            array("hashes", chunks),
        )

    def build_maps(self) -> dict[str, np.ndarray]:
        """Pointers that are hashes, and further hashes."""
        chunks, rows, _ = self.shape
        drawn = coefficients(2 * chunks, self.settings.hash_seed, self.vocabulary.name)
        pointers = below(hashes(np.arange(self.vocabulary.size), drawn[chunks:], np), rows, np)
        return {"pointers": pointers.astype(pointer_dtype(rows)), "hashes": drawn[:chunks]}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """For each id num_chunks rows of T0 and, behind them, num_chunks rows of T1."""
        chunks, rows, _ = self.shape
        pointers = int32(xp.take(maps["pointers"], ids, axis=0), xp)
        buckets = below(hashes(ids, maps["hashes"], xp), rows, xp)
        first = np.arange(0, 2 * chunks * rows, rows, dtype=np.int32)
        return {"rows": xp.concatenate([pointers, buckets], axis=-1) + first}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The rows of T0 side by side, plus those of T1."""
        chunks, _, width = self.shape
        read = rows["rows"]
        both = read[..., :chunks, :] + read[..., chunks:, :]
        return xp.reshape(both, (*xp.shape(read)[:-2], chunks * width))[..., : self.embedding_dim]

    def is_due(self, progress: Progress) -> bool:
        """At the end of epochs below ``clustering_end`` of all, while one more epoch trains."""
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
        """The most rows within the bytes, in the most chunks of 4, 2 and 1 that leave half of them to the tables."""
        if settings.num_rows is not None:
            return cls(vocabulary, embedding_dim, settings).within(budget_bytes)

        def nbytes(chunks: int, rows: int) -> int:
            return sum(_bytes(vocabulary.size, embedding_dim, chunks, rows))

        def half(chunks: int) -> int:
            """The fewest rows with which tables take no less than maps, or as many as can be made."""

            def fewer(rows: int) -> bool:
                tables, maps = _bytes(vocabulary.size, embedding_dim, chunks, rows)
                return tables < maps

            return min(vocabulary.size, (largest(1, vocabulary.size, fewer) or 0) + 1)

        chunks, rows = settings.num_chunks, 1
        if chunks is None:
            # A number of chunks begins at a size of its own, above all of fewer chunks: more bytes stay more.
            tried = [(n, half(n)) for n in USUAL_CHUNKS[:-1] if n <= embedding_dim]
            enough = [step for step in tried if nbytes(*step) <= budget_bytes]
            chunks, rows = enough[0] if enough else (1, 1)
        elif not 1 <= chunks <= embedding_dim:
            raise RequestError(f"num_chunks={chunks}: give 1 to embedding_dim={embedding_dim}")
        best = largest(rows, vocabulary.size, lambda rows: nbytes(chunks, rows) <= budget_bytes)
        chosen = replace(settings, num_chunks=chunks, num_rows=best or rows)
        return cls(vocabulary, embedding_dim, chosen).within(budget_bytes)


def _bytes(size: int, embedding_dim: int, num_chunks: int, num_rows: int) -> tuple[int, int]:
    """Of the two tables, and of pointers and coefficients."""
    chunks, width = even_parts(embedding_dim, num_chunks)
    pointer = 1 if num_rows <= 1 << 8 else 2 if num_rows <= 1 << 16 else 4
    return 8 * chunks * num_rows * width, chunks * (size * pointer + 8 * (DEGREE + 1))


def pointer_dtype(num_rows: int) -> str:
    """The smallest type that holds row numbers."""
    return "uint8" if num_rows <= 1 << 8 else "uint16" if num_rows <= 1 << 16 else "int32"


def bucket_means(values: np.ndarray, buckets: np.ndarray, count: int) -> np.ndarray:
    """The mean of the values in each bucket, zero for an empty one.

    Args:
        values: float32 (n, width).
        buckets: integers from 0 to count - 1, shape (n,).
        count: how many buckets.

    Returns:
        float32 (count, width).
    """
    sums = [np.bincount(buckets, column, count) for column in values.T]
    held = np.maximum(np.bincount(buckets, minlength=count), 1)
    return (np.stack(sums, axis=1) / held[:, None]).astype(np.float32)
