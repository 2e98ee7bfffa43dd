"""Multi-granular quantized embeddings: product quantization with more codes for popular ids than for rare ones.

Kang et al., "Learning multi-granular quantized embeddings for large-vocab categorical features in recommender systems",
2020 (arXiv 2002.08530).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Method, Vocabulary, int32
from bench.embeddings.forms.codes import (
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
from bench.embeddings.forms.queries import BLOCK, fixed, nearest, numbers
from bench.errors import RequestError
from bench.settings import Range

USUAL_PARTS = 4


@dataclass
class MGQESettings:
    """Settings of ``mgqe``."""

    num_parts: int | None = None
    """Parts of a vector, each with a codebook. None: 4, at most embedding_dim; under a budget, as many as fit."""

    num_codes: int | None = None
    """Entries of a codebook, at most 256; more than ids are as many as ids. None: the largest power of two that is
    no more than vocabulary / 16, and 16 to 256."""

    num_cold_codes: int | None = None
    """Of them, those that come first and that rare ids may have. None: a quarter."""

    hot_fraction: Annotated[float, Range(above=0, high=1)] = 0.1
    """Share of the ids, the most frequent in training, that may have all codes; one id at least."""

    penalty_weight: Annotated[float, Range(low=0)] = 1.0
    """Of the squared distance of chosen keys to their queries in the loss."""


class MGQE(Method[MGQESettings]):
    """vector(id) = key_1[c_1(id)], ..., key_D[c_D(id)], c_j(id) = the key of part j nearest to query[id].

    Trained as ``dpq`` in its form ``vq``, except that rare ids choose among the first num_cold_codes keys only. Hot
    are round(hot_fraction vocabulary) ids, a half up, of the highest training frequency, equal ones by id.

    What serves is the low bits of all ids' codes, log2 num_cold_codes a part; a list of the hot ids, their bits above;
    and the keys.
    """

    Settings = MGQESettings

    def resolve(self, settings: MGQESettings) -> MGQESettings:
        """Chooses parts and codes."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        asked = min(USUAL_PARTS, self.embedding_dim) if settings.num_parts is None else settings.num_parts
        size = self.vocabulary.size
        codes = min(settings.num_codes or usual_codes(size), size)
        cold = settings.num_cold_codes
        if cold is not None and settings.num_codes is not None and cold > settings.num_codes:
            raise RequestError(
                f"num_cold_codes={cold}: more than num_codes={settings.num_codes}; give 1 to {settings.num_codes}"
            )
        cold = max(1, codes // 4) if cold is None else min(cold, codes)
        parts, _ = even_parts(self.embedding_dim, asked)
        return replace(settings, num_parts=parts, num_codes=codes, num_cold_codes=cold)

    @property
    def num_hot(self) -> int:
        """How many ids may have all codes."""
        return hot_ids(self.vocabulary.size, self.settings.hot_fraction)

    @property
    def num_cold_codes(self) -> int:
        """Keys that rare ids choose among."""
        assert self.settings.num_cold_codes is not None
        return self.settings.num_cold_codes

    def served(self) -> TieredCodes:
        """Packed codes of two sizes and the keys."""
        parts, codes = self.settings.num_parts, self.settings.num_codes
        assert parts is not None and codes is not None
        sizes = TieredCodesSettings(parts, codes, self.num_cold_codes, self.num_hot)
        return TieredCodes(self.vocabulary, self.embedding_dim, sizes)

    def tables(self) -> tuple[Array, ...]:
        """``query``, (vocabulary, embedding_dim): trained, not served."""
        return (Array("query", (self.vocabulary.size, self.embedding_dim)),)

    def weights(self) -> tuple[Array, ...]:
        """``keys`` (num_parts, num_codes, width of a part)."""
        return (Array("keys", self.served().shape),)

    def maps(self) -> tuple[Array, ...]:
        """``hot``: the hot ids, ascending, int32."""
        return (Array("hot", (self.num_hot,), "int32", kind=Kind.MAPS),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """The ids of the highest training frequency, ascending."""
        return {"hot": np.sort(self.vocabulary.by_frequency()[: self.num_hot]).astype(np.int32)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row of its query; ``is_hot`` is 0 or 1."""
        ids = int32(ids, xp)
        return {"query": ids, "is_hot": find_hot(ids, maps["hot"], xp)[1]}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The nearest keys."""
        queries, allowed = self._flat(rows, indices, xp)
        vectors = nearest(queries, weights["keys"], xp, allowed)
        # Nothing, with the gradient of the query; and no number where the query is none, so that it shows.
        return xp.reshape(vectors + (queries - fixed(queries, xp)), xp.shape(rows["query"]))

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """penalty_weight |sg(query) - key|^2, summed over the parts, a mean over the ids."""
        if not self.settings.penalty_weight:
            return None
        queries, allowed = self._flat(rows, indices, xp)
        off = fixed(queries, xp) - nearest(queries, weights["keys"], xp, allowed)
        return self.settings.penalty_weight * xp.mean(xp.sum(xp.square(off), axis=-1))

    def _flat(self, rows: Arrays, indices: Arrays, xp: Any) -> tuple[Any, Any]:
        """Queries (n, embedding_dim), and how many keys each may have, int32 (n)."""
        allowed = self.num_cold_codes + indices["is_hot"] * (self.served().shape[1] - self.num_cold_codes)
        return xp.reshape(rows["query"], (-1, self.embedding_dim)), xp.reshape(allowed, (-1,))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The number of each query's key in each part, packed, the keys and the hot ids."""
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
        """The most parts within the bytes; codes are fewer where one part is too much, more where all parts fit."""
        check_codes(embedding_dim, settings.num_parts, settings.num_codes)
        size = vocabulary.size
        given = None if settings.num_codes is None else min(settings.num_codes, size)
        steps = ladder(embedding_dim, settings.num_parts, given, usual_codes(size), min(MAX_CODES, size))
        num_hot = hot_ids(size, settings.hot_fraction)

        def nbytes(parts: int, codes: int) -> int:
            cold = settings.num_cold_codes
            cold = max(1, codes // 4) if cold is None else min(cold, codes)
            return tiered_nbytes(size, embedding_dim, parts, codes, cold, num_hot)

        parts, codes = highest(steps, nbytes, budget_bytes)
        chosen = replace(settings, num_parts=parts, num_codes=codes)
        return cls(vocabulary, embedding_dim, chosen).within(budget_bytes)


def usual_codes(size: int) -> int:
    """The largest power of two up to size / 16, from 16 to 256; no more than ids."""
    power = 1 << max(4, (size // 16).bit_length() - 1)
    return min(power, MAX_CODES, size)


def hot_ids(size: int, fraction: float) -> int:
    """The share of ids rounded, a half up; one at least."""
    return min(size, max(1, int(fraction * size + 0.5)))
