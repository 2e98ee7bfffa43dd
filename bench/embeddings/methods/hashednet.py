"""Hashed networks: every number of a virtual full table is hashed into one array."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Method, Vocabulary, float32
from bench.embeddings.families.rows import num_weights, once_each
from bench.embeddings.hashing import array, below, coefficients, hashes, signs


@dataclass
class HashedNetSettings:
    """Settings of ``hashednet``."""

    num_weights: int | None = None
    """Numbers in the array, at most those of a full table. None: a tenth of these."""

    signs: bool = False
    """True multiplies each number by 1 or -1, by its hash, as in the paper. Products of vectors with random signs
    have no common mean, so that a model that scores by such products learns late or not at all."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes. With another one, other numbers are shared."""


class HashedNet(Method[HashedNetSettings]):
    """vector(id)[j] = s(id, j) M[h(id, j)], with an array M of num_weights numbers.

    s is 1, or with ``signs`` 1 or -1.

    The hashes have two levels, so that a few coefficients make embedding_dim of them. First u = f(id), with f of degree
    3. Then v_j = (b_j + a_j u) mod p, with a_j = f_a(j) and b_j = f_b(j). h is v_j scaled to num_weights, and s its
    lowest bit. The places of any two numbers of the virtual table are independent, except for ids with the same u: 1
    pair in 2^31.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import HashedNetEmbedding
        >>> layer = HashedNetEmbedding(6040, 64, num_weights=38_656)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154720

    Reference:
        Chen, Wilson, Tyree, Weinberger and Chen, "Compressing neural networks with the hashing trick", 2015 (arXiv
        1504.04788), for the weights of an embedding.
    """

    Settings = HashedNetSettings
    family = "shared rows"

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
        """Describes ``array``, M in rows of one number: (num_weights, 1)."""
        return (Array("array", (self.num_weights, 1)),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hash``, the coefficients of f, f_a and f_b: int64 (3, 4)."""
        return (array("hash", 3),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name."""
        return {"hash": coefficients(3, self.settings.hash_seed, self.vocabulary.name)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads one place of the array for each number, (..., embedding_dim); with signs also gives each ``sign``."""
        return once_each(ids, partial(self._places, maps=maps, xp=xp), xp)

    def _places(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        first, second = maps["hash"][:1], maps["hash"][1:]
        slopes = hashes(np.arange(self.embedding_dim), second, xp)  # (embedding_dim, 2): a_j, b_j
        lines = xp.flip(slopes, axis=1)
        values = hashes(hashes(ids, first, xp)[..., 0], lines, xp)
        out = {"array": below(values, self.num_weights, xp)}
        if self.settings.signs:
            out["sign"] = signs(values, xp)
        return out

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Puts the numbers side by side, with their signs."""
        vectors = rows["array"][..., 0]
        if not self.settings.signs:
            return vectors
        return vectors * float32(indices["sign"], xp)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: HashedNetSettings, budget_bytes: int
    ) -> HashedNetSettings:
        """Chooses the most numbers within the bytes that the coefficients leave."""
        if settings.num_weights is None:
            spare = budget_bytes - array("hash", 3).nbytes
            settings = replace(settings, num_weights=max(1, spare // 4))
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
