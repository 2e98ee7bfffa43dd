"""Random offset block embeddings: blocks of a vector begin anywhere in one flat array that all ids share.

Desai, Chou and Shrivastava, "Random offset block embedding (ROBE) for compressed embedding tables in deep learning
recommendation systems", 2022 (arXiv 2108.02191).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import MAX_IDS, Array, Arrays, Method, Vocabulary, largest
from bench.embeddings.forms.rows import SHARE, check_positive, joined
from bench.embeddings.hashing import array, below, coefficients, hashes, signs
from bench.settings import Range


@dataclass
class ROBESettings:
    """Settings of ``robe``."""

    num_rows: int | None = None
    """The flat array's length in blocks: it has num_rows * block_size numbers. None: a tenth of the numbers of a full
    table."""

    block_size: int = 32
    """Z, how many neighbouring numbers of the array a block is; at most embedding_dim."""

    signs: bool = False
    """Whether each block of an id is multiplied by 1 or -1, by its hash."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Another seed makes other ids share numbers."""


class ROBE(Method[ROBESettings]):
    """vector(id)[c Z + i] = s_c(id) M[(h_c(id) + i) mod P], with Z = block_size and M of P = num_rows * Z numbers.

    h_c are independent hashes to P, one for each block; s_c is 1, or with ``signs`` 1 or -1. Where Z does not divide
    embedding_dim, what the last block has beyond is cut off. M has no more numbers than a full table, rounded up to
    whole blocks, and at most 2^31 - 1.

    M is stored as rows of Z numbers, so that it is read and updated by rows: a block lies in two neighbouring ones.
    It is cut out of them by shifts of 1, 2, 4, ... numbers, one for each bit of where it begins: XLA gathers single
    numbers far more slowly.
    """

    Settings = ROBESettings

    def resolve(self, settings: ROBESettings) -> ROBESettings:
        """Chooses num_rows, and a block_size within embedding_dim."""
        check_positive(num_rows=settings.num_rows, block_size=settings.block_size)
        block = min(settings.block_size, self.embedding_dim)
        numbers = self.vocabulary.size * self.embedding_dim
        rows = settings.num_rows
        if rows is None:
            rows = max(1, numbers // (SHARE * block))
        return replace(settings, num_rows=min(rows, -(-numbers // block), MAX_IDS // block), block_size=block)

    @property
    def num_rows(self) -> int:
        """Blocks in the flat array."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    @property
    def num_blocks(self) -> int:
        """Blocks of a vector."""
        return -(-self.embedding_dim // self.settings.block_size)

    def tables(self) -> tuple[Array, ...]:
        """``array``: the flat array as rows, (num_rows, block_size)."""
        return (Array("array", (self.num_rows, self.settings.block_size)),)

    def maps(self) -> tuple[Array, ...]:
        """``hash``: coefficients of a hash for each block of a vector, int64 (blocks, 4)."""
        return (array("hash", self.num_blocks),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Coefficients by hash_seed and the field's name."""
        return {"hash": coefficients(self.num_blocks, self.settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """For each block the row where it begins, then for each the row behind, (..., 2 blocks).

        Beside them ``offset``, where in its row a block begins, and with signs ``sign``, each (..., blocks).
        """
        size = self.settings.block_size
        values = hashes(ids, maps["hash"], xp)
        start = below(values, self.num_rows * size, xp)
        row = start // size
        behind = xp.where(row == self.num_rows - 1, 0, row + 1)
        out = {"array": xp.concatenate([row, behind], axis=-1), "offset": start - row * size}
        if self.settings.signs:
            out["sign"] = signs(values, xp)
        return out

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The blocks cut out of their two rows, side by side."""
        size, count = self.settings.block_size, self.num_blocks
        read = rows["array"]
        window = xp.concatenate([read[..., :count, :], read[..., count:, :]], axis=-1)
        offset = xp.expand_dims(indices["offset"], -1)
        # The largest shift first: behind it only so much is needed as the smaller ones can still reach.
        for bit in reversed(range((size - 1).bit_length())):
            shift = 1 << bit
            kept = min(size + shift - 1, window.shape[-1])
            moved = window[..., shift : shift + kept]
            short = kept - moved.shape[-1]  # past the end, which no block of this size can reach
            if short:
                moved = xp.concatenate([moved, window[..., :short]], axis=-1)
            window = xp.where(xp.bitwise_and(offset, shift) > 0, moved, window[..., :kept])
        blocks = window[..., :size]
        if self.settings.signs:
            blocks = blocks * xp.expand_dims(_floats(indices["sign"], xp), -1)
        return joined(blocks, self.embedding_dim, xp)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: ROBESettings, budget_bytes: int
    ) -> ROBESettings:
        """The longest array within the bytes, in whole blocks; block_size stays."""

        def sized(rows: int) -> ROBE:
            return cls(vocabulary, embedding_dim, replace(settings, num_rows=rows))

        if settings.num_rows is not None:
            return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
        most = vocabulary.size * embedding_dim
        best = largest(1, most, lambda rows: sized(rows).nbytes <= budget_bytes)
        return sized(best or 1).within(budget_bytes)


def _floats(values: Any, xp: Any) -> Any:
    return values.astype(np.float32) if xp is np else xp.cast(values, "float32")
