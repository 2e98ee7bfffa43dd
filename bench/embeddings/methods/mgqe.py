"""Multi-granular quantized embeddings: product quantization with more codes for popular ids than for rare ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Kind, Lookups, Method, Vocabulary, int32
from bench.embeddings.families.queries import BLOCK, fixed, nearest, numbers
from bench.embeddings.served.codes import (
    MAX_CODES,
    TieredCodes,
    TieredCodesSettings,
    check_codes,
    even_parts,
    find_hot,
    highest,
    ladder,
    tiered_nbytes,
)
from bench.errors import RequestError

USUAL_PARTS = 4
"""Parts of a vector without a budget."""


@dataclass
class MGQESettings:
    """Settings of ``mgqe``."""

    num_parts: int | None = None
    """Number D of parts of a vector, each with its own codebook. None: 4, at most embedding_dim; under a budget, as
    many as fit."""

    num_codes: int | None = None
    """Entries of a codebook, at most 256 and the vocabulary. None: the largest power of two up to vocabulary / 16, from
    16 to 256, and at least num_cold_codes."""

    num_cold_codes: int | None = None
    """Number of entries that rare ids may have, the first of each codebook. None: a quarter."""

    hot_fraction: Annotated[float, Range(above=0, high=1)] = 0.1
    """Share of the ids that may have all codes, the most frequent in training; at least one id."""

    penalty_weight: Annotated[float, Range(low=0)] = 1.0
    """Weight in the loss of the squared distance between queries and their keys."""


class MGQE(Method[MGQESettings]):
    """vector(id) = key_1[c_1(id)], ..., key_D[c_D(id)], with c_j(id) the key of part j nearest to query[id].

    It is trained as ``dpq`` with ``form=vq``, except that rare ids choose among the first num_cold_codes keys only. The
    hot ids are the round(hot_fraction vocabulary) ids (a half up) with the highest training frequency, of equally
    frequent ones the smallest.

    What serves are the low bits of all codes, log2 num_cold_codes a part; the list of hot ids with their high bits; and
    the keys.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import MGQEEmbedding
        >>> counts = np.random.default_rng(0).zipf(1.2, 6040)  # how often each id is trained on
        >>> layer = MGQEEmbedding(6040, 64, counts=counts, num_parts=4, num_codes=256, num_cold_codes=64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        86676

    Reference:
        Kang et al., "Learning multi-granular quantized embeddings for large-vocab categorical features in recommender
        systems", 2020 (arXiv 2002.08530).
    """

    Settings = MGQESettings
    family = "codes"

    def resolve(self, settings: MGQESettings) -> MGQESettings:
        """Chooses the numbers of parts and codes."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        asked = min(USUAL_PARTS, self.embedding_dim) if settings.num_parts is None else settings.num_parts
        _check_cold_codes(settings)
        size, cold = self.vocabulary.size, settings.num_cold_codes
        codes = min(settings.num_codes or usual_codes(size, cold), size)
        cold = max(1, codes // 4) if cold is None else min(cold, codes)
        parts, _ = even_parts(self.embedding_dim, asked)
        return replace(settings, num_parts=parts, num_codes=codes, num_cold_codes=cold)

    @property
    def num_hot(self) -> int:
        """Number of hot ids, which may have all codes."""
        return hot_ids(self.vocabulary.size, self.settings.hot_fraction)

    @property
    def num_cold_codes(self) -> int:
        """Number of keys that rare ids choose among."""
        assert self.settings.num_cold_codes is not None
        return self.settings.num_cold_codes

    def served(self) -> TieredCodes:
        """Describes packed codes of two sizes, and the keys."""
        parts, codes = self.settings.num_parts, self.settings.num_codes
        assert parts is not None and codes is not None
        sizes = TieredCodesSettings(parts, codes, self.num_cold_codes, self.num_hot)
        return TieredCodes(self.vocabulary, self.embedding_dim, sizes)

    def tables(self) -> tuple[Array, ...]:
        """Describes ``query``, (vocabulary, embedding_dim), which is trained and does not serve."""
        return (Array("query", (self.vocabulary.size, self.embedding_dim)),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``keys`` (num_parts, num_codes, width of a part)."""
        return (Array("keys", self.served().shape),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hot``, the hot ids, ascending: int32 (num_hot,)."""
        return (Array("hot", (self.num_hot,), "int32", kind=Kind.MAPS),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Lists the ids with the highest training frequency, ascending."""
        return {"hot": np.sort(self.vocabulary.by_frequency()[: self.num_hot]).astype(np.int32)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the query whose row number is the id; ``is_hot`` is 0 or 1."""
        ids = int32(ids, xp)
        return {"query": ids, "is_hot": find_hot(ids, maps["hot"], xp)[1]}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the nearest keys."""
        queries, allowed = self._flat(rows, indices, xp)
        vectors = nearest(queries, weights["keys"], xp, allowed)
        # The term is zero and has the gradient of the query. A query that is NaN makes the vector NaN.
        return xp.reshape(vectors + (queries - fixed(queries, xp)), xp.shape(rows["query"]))

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """Computes penalty_weight |sg(query) - key|^2, summed over parts, a mean over ids."""
        if not self.settings.penalty_weight:
            return None
        queries, allowed = self._flat(rows, indices, xp)
        off = fixed(queries, xp) - nearest(queries, weights["keys"], xp, allowed)
        weight = self.settings.penalty_weight * len(self.vocabulary.members)
        return weight * xp.mean(xp.sum(xp.square(off), axis=-1))

    def _flat(self, rows: Arrays, indices: Arrays, xp: Any) -> tuple[Any, Any]:
        """Returns queries (n, embedding_dim), and the number of keys that each may have, int32 (n,)."""
        allowed = self.num_cold_codes + indices["is_hot"] * (self.served().shape[1] - self.num_cold_codes)
        return xp.reshape(rows["query"], (-1, self.embedding_dim)), xp.reshape(allowed, (-1,))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Packs the number of each query's key in each part, and adds the keys and the hot ids."""
        codes = []
        for first in range(0, self.vocabulary.size, BLOCK):
            ids = np.arange(first, min(first + BLOCK, self.vocabulary.size))
            found = self.lookups(ids, arrays, np)
            queries, allowed = self._flat({"query": arrays["query"][ids]}, found, np)
            codes.append(numbers(queries, arrays["keys"], np, allowed))
        return self.served().packed(np.concatenate(codes), arrays["keys"], arrays["hot"])

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: MGQESettings, budget_bytes: int
    ) -> MGQESettings:
        """Chooses the most parts within the bytes, with fewer or more codes if the parts are at their limit."""
        check_codes(embedding_dim, settings.num_parts, settings.num_codes)
        _check_cold_codes(settings)
        size, cold = vocabulary.size, settings.num_cold_codes
        given = None if settings.num_codes is None else min(settings.num_codes, size)
        usual = usual_codes(size, cold)
        steps = ladder(embedding_dim, settings.num_parts, given, usual, min(MAX_CODES, size))
        if cold is not None:  # a codebook holds at least the codes of rare ids
            cold = min(cold, given or usual)
            steps = [(parts, codes) for parts, codes in steps if codes >= cold]
        num_hot = hot_ids(size, settings.hot_fraction)

        def nbytes(parts: int, codes: int) -> int:
            fewer = max(1, codes // 4) if cold is None else cold
            return tiered_nbytes(size, embedding_dim, parts, codes, fewer, num_hot)

        parts, codes = highest(steps, nbytes, budget_bytes)
        chosen = replace(settings, num_parts=parts, num_codes=codes, num_cold_codes=cold)
        return cls(vocabulary, embedding_dim, chosen).within(budget_bytes)


def _check_cold_codes(settings: MGQESettings) -> None:
    codes, cold = settings.num_codes, settings.num_cold_codes
    if codes is not None and cold is not None and cold > codes:
        raise RequestError(f"num_cold_codes={cold}: more than num_codes={codes}; give 1 to {codes}")


def usual_codes(size: int, num_cold_codes: int | None = None) -> int:
    """Returns the largest power of two up to size / 16, from 16 to 256; at most ``size``.

    If ``num_cold_codes`` is given, the result is at least that number, rounded up to a power of two.
    """
    power = 1 << max(4, (size // 16).bit_length() - 1, ((num_cold_codes or 1) - 1).bit_length())
    return min(power, MAX_CODES, size)


def hot_ids(size: int, fraction: float) -> int:
    """Returns the number of hot ids: the share of the ids, rounded (a half up); at least one."""
    return min(size, max(1, int(fraction * size + 0.5)))
