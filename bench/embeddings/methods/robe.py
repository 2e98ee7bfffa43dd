"""Random offset block embeddings: the blocks of a vector begin anywhere in one flat array that all ids share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Vocabulary, check_positive, float32, int32
from bench.embeddings.families.hot import HotRows, HotSettings
from bench.embeddings.families.rows import num_weights, once_each
from bench.embeddings.hashing import array, below, coefficients, hashes, signs


@dataclass
class ROBESettings(HotSettings):
    """Settings of ``robe``."""

    num_weights: int | None = None
    """P, the numbers in the flat array, at most those of a full table. None: a tenth of these."""

    block_size: int = 8
    """Z, the neighbouring numbers of the array that are one block, at most embedding_dim."""

    signs: bool = False
    """True multiplies each block of an id by 1 or -1, by its hash."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes. With another one, other ids share numbers."""


class ROBE(HotRows[ROBESettings]):
    """vector(id)[c Z + i] = s_c(id) M[(h_c(id) + i) mod P], with Z = block_size and M of P = num_weights numbers.

    h_c are independent hashes to P, one for each block. s_c is 1, or with ``signs`` 1 or -1. Where Z does not divide
    embedding_dim, the end of the last block is cut off.

    M is stored in rows of one number. Blocks begin anywhere, so that wider rows would have to be cut; XLA is faster at
    reading and adding single numbers.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import ROBEEmbedding
        >>> layer = ROBEEmbedding(6040, 64, num_weights=38_656, block_size=16)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154752

    Reference:
        Desai, Chou and Shrivastava, "Random offset block embedding (ROBE) for compressed embedding tables in deep
        learning recommendation systems", 2022 (arXiv 2108.02191).
    """

    Settings = ROBESettings
    family = "shared rows"

    def resolve(self, settings: ROBESettings) -> ROBESettings:
        """Chooses num_weights. A block_size above embedding_dim becomes embedding_dim."""
        check_positive(block_size=settings.block_size)
        count = num_weights(settings.num_weights, self.vocabulary, self.embedding_dim)
        block = min(settings.block_size, self.embedding_dim)
        return replace(self.resolve_hot(settings), num_weights=count, block_size=block)

    @property
    def num_weights(self) -> int:
        """P, the numbers in the flat array."""
        assert self.settings.num_weights is not None
        return self.settings.num_weights

    @property
    def num_blocks(self) -> int:
        """Number of blocks of a vector."""
        return -(-self.embedding_dim // self.settings.block_size)

    def tables(self) -> tuple[Array, ...]:
        """Describes ``array``, M in rows of one number: (num_weights, 1), and hot rows."""
        return (Array("array", (self.num_weights, 1)), *self.hot_tables())

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hash``, the coefficients of a hash for each block of a vector: int64 (blocks, 4)."""
        return (array("hash", self.num_blocks), *super().maps())

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name."""
        drawn = coefficients(self.num_blocks, self.settings.hash_seed, self.vocabulary.name)
        return {"hash": drawn, **super().build_maps()}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the place of each number, (..., embedding_dim); with signs also gives ``sign`` of each block."""
        found = once_each(ids, partial(self._places, maps=maps, xp=xp), xp)
        return {**found, **self.hot_lookups(ids, maps, xp)}

    def _places(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        values = hashes(ids, maps["hash"], xp)
        start = below(values, self.num_weights, xp)
        block = np.arange(self.embedding_dim) // self.settings.block_size
        within = np.arange(self.embedding_dim, dtype=np.int32) % self.settings.block_size % self.num_weights
        # This compares with the numbers left to the end of the array, because start + within might be beyond int32.
        left = self.num_weights - within
        start = xp.take(start, block, axis=-1)
        places = xp.where(start >= left, start - left, start + within)
        out = {"array": int32(places, xp)}
        if self.settings.signs:
            out["sign"] = signs(values, xp)
        return out

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Puts the numbers side by side, with the signs of their blocks."""
        vectors = rows["array"][..., 0]
        if self.settings.signs:
            block = np.arange(self.embedding_dim) // self.settings.block_size
            vectors = vectors * float32(xp.take(indices["sign"], block, axis=-1), xp)
        return self.hot_or(vectors, rows, indices, xp)

    @classmethod
    def fit_cold(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: ROBESettings, budget_bytes: int
    ) -> ROBESettings:
        """Chooses the longest array within the bytes. block_size stays."""
        if settings.num_weights is None:
            smallest = cls(vocabulary, embedding_dim, replace(settings, num_weights=1))
            settings = replace(settings, num_weights=max(1, 1 + (budget_bytes - smallest.nbytes) // 4))
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
