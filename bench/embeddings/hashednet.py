"""Hashed networks: every number of a virtual full table is hashed into one array.

Chen, Wilson, Tyree, Weinberger and Chen, "Compressing neural networks with the hashing trick", 2015
(arXiv 1504.04788), for the weights of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Method, Vocabulary, float32
from bench.embeddings.forms.rows import num_weights, once_each
from bench.embeddings.hashing import array, below, coefficients, hashes, signs
from bench.settings import Range


@dataclass
class HashedNetSettings:
    """Settings of ``hashednet``."""

    num_weights: int | None = None
    """Numbers in the array. None: a tenth of those of a full table."""

    signs: bool = False
    """Whether each number read is multiplied by 1 or -1, by its hash, as in the paper. Products of vectors of random
    signs have no common mean, so that a model that scores by them learns late or not at all."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Another seed makes other numbers shared."""


class HashedNet(Method[HashedNetSettings]):
    """vector(id)[j] = s(id, j) M[h(id, j)], M an array of num_weights numbers, s 1, or with ``signs`` 1 or -1.

    Hashes are of two levels, so that few coefficients make embedding_dim of them: u = f(id) of degree 3, then
    v_j = (b_j + a_j u) mod p with a_j = f_a(j) and b_j = f_b(j). h is v_j scaled to num_weights, s its lowest bit. The
    places of any two numbers of the virtual table are independent, but for ids whose u agree: 1 pair in 2^31.

    The array has no more numbers than a full table, and at most 2^31 - 1.
    """

    Settings = HashedNetSettings

    def resolve(self, settings: HashedNetSettings) -> HashedNetSettings:
        """Chooses num_weights."""
        count = num_weights(settings.num_weights, self.vocabulary, self.embedding_dim)
        return replace(settings, num_weights=count)

    @property
    def num_weights(self) -> int:
        """Numbers in the array."""
        assert self.settings.num_weights is not None
        return self.settings.num_weights

    def tables(self) -> tuple[Array, ...]:
        """``array``: rows of one number, (num_weights, 1)."""
        return (Array("array", (self.num_weights, 1)),)

    def maps(self) -> tuple[Array, ...]:
        """``hash``: coefficients of f, f_a and f_b, int64 (3, 4)."""
        return (array("hash", 3),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Coefficients by hash_seed and the field's name."""
        return {"hash": coefficients(3, self.settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """A place in the array for each number, and with signs ``sign``, both (..., embedding_dim)."""
        return once_each(ids, partial(self._places, maps=maps, xp=xp), xp)

    def _places(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        first, second = maps["hash"][:1], maps["hash"][1:]
        slopes = hashes(np.arange(self.embedding_dim), second, xp)  # (embedding_dim, 2): a_j, b_j
        lines = xp.flip(slopes, axis=1)
        values = hashes(hashes(ids, first, xp)[..., 0], lines, xp)
        out = {"array": below(values, self.num_weights, xp)}
        if self.settings.signs:
            out["sign"] = signs(values, xp)
        return out

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The numbers side by side, with their signs."""
        vectors = rows["array"][..., 0]
        if not self.settings.signs:
            return vectors
        return vectors * float32(indices["sign"], xp)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: HashedNetSettings, budget_bytes: int
    ) -> HashedNetSettings:
        """As many numbers as the bytes are, less those of the coefficients."""
        if settings.num_weights is None:
            spare = budget_bytes - array("hash", 3).nbytes
            settings = replace(settings, num_weights=max(1, spare // 4))
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
