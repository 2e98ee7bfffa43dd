"""Differentiable product quantization: codes and codebooks that are learned with the model.

Chen, Li and Sun, "Differentiable product quantization for end-to-end embedding compression", 2020 (arXiv 1908.09756).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np

from bench.embeddings.base import Array, Arrays, Method, Vocabulary, int32
from bench.embeddings.forms.codes import (
    MAX_CODES,
    Codes,
    CodesSettings,
    check_codes,
    codes_nbytes,
    entries,
    even_parts,
    highest,
    ladder,
)
from bench.embeddings.forms.queries import BLOCK, best, fixed, nearest, scores
from bench.settings import Range

USUAL_PARTS, USUAL_CODES = 8, 32


@dataclass
class DPQSettings:
    """Settings of ``dpq``."""

    num_parts: int | None = None
    """Parts of a vector, each with a codebook. None: 8, at most embedding_dim; under a budget, as many as fit."""

    num_codes: int | None = None
    """Entries of a codebook, at most 256; more than ids are as many as ids. None: 32."""

    form: Literal["vq", "softmax"] = "vq"
    """``vq``: the entry nearest to the query is chosen and is what serves; ``softmax``: a key is chosen by the
    product with the query, and a value of its own serves."""

    penalty_weight: Annotated[float, Range(low=0)] = 1.0
    """Of the squared distance of chosen keys to their queries in the loss; for ``vq`` alone."""


class DPQ(Method[DPQSettings]):
    """vector(id) = value_1[c_1(id)], ..., value_D[c_D(id)], c_j(id) = the key of part j that fits query[id] best.

    A full table of queries is trained together with the keys of each part. ``vq``: the best key is the nearest, and
    keys are values. ``softmax``: it has the highest product with the query, divided by the keys' standard deviation,
    and a codebook of values of its own. What serves is the codes and the values.

    The choice has no gradient. ``vq`` gives the query the gradient of the vector (straight through), the key its own,
    and adds penalty_weight |sg(query) - key|^2, a mean over the batch. ``softmax`` takes the gradient of the mean of
    values weighted by the softmax of the scores.

    The paper normalizes scores by the statistics of batches, which a method without state cannot. ``vq`` does
    without; ``softmax`` normalizes the scores of each query over the keys, which changes no choice.
    """

    Settings = DPQSettings

    def resolve(self, settings: DPQSettings) -> DPQSettings:
        """Chooses parts and codes."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        asked = min(USUAL_PARTS, self.embedding_dim) if settings.num_parts is None else settings.num_parts
        parts, _ = even_parts(self.embedding_dim, asked)
        codes = min(settings.num_codes or USUAL_CODES, self.vocabulary.size)
        return replace(settings, num_parts=parts, num_codes=codes)

    def served(self) -> Codes:
        """Packed codes and the values."""
        parts, codes = self.settings.num_parts, self.settings.num_codes
        assert parts is not None and codes is not None
        return Codes(self.vocabulary, self.embedding_dim, CodesSettings(parts, codes))

    def tables(self) -> tuple[Array, ...]:
        """``query``, (vocabulary, embedding_dim): trained, not served."""
        return (Array("query", (self.vocabulary.size, self.embedding_dim)),)

    def weights(self) -> tuple[Array, ...]:
        """``keys`` (num_parts, num_codes, width of a part), and for ``softmax`` ``values`` of the same shape."""
        keys = Array("keys", self.served().shape)
        return (keys,) if self.settings.form == "vq" else (keys, Array("values", self.served().shape))

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row of its query."""
        return {"query": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The values of the chosen keys."""
        shape = xp.shape(rows["query"])
        queries = xp.reshape(rows["query"], (-1, self.embedding_dim))
        if self.settings.form == "vq":
            vectors = nearest(queries, weights["keys"], xp)
            # Nothing, with the gradient of the query; and no number where the query is none, so that it shows.
            return xp.reshape(vectors + (queries - fixed(queries, xp)), shape)
        found = scores(queries, weights["keys"], False, xp)
        vectors = entries(weights["values"], best(found, xp), self.embedding_dim, xp)
        if training and xp is not np:
            centred = found - xp.mean(found, axis=-1, keepdims=True)
            spread = xp.sqrt(xp.mean(xp.square(centred), axis=-1, keepdims=True) + 1e-12)
            soft = self._mixed(xp.softmax(centred / spread, axis=-1), xp.stop_gradient(weights["values"]), xp)
            vectors = vectors + (soft - xp.stop_gradient(soft))
        same = fixed(queries, xp)
        return xp.reshape(vectors + (same - same), shape)  # as above

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """penalty_weight |sg(query) - key|^2, summed over the parts, a mean over the ids; ``vq`` alone."""
        if self.settings.form != "vq" or not self.settings.penalty_weight:
            return None
        queries = xp.reshape(rows["query"], (-1, self.embedding_dim))
        off = fixed(queries, xp) - nearest(queries, weights["keys"], xp)
        return self.settings.penalty_weight * xp.mean(xp.sum(xp.square(off), axis=-1))

    def _mixed(self, shares: Any, values: Any, xp: Any) -> Any:
        """The mean of values (num_parts, num_codes, width), weighted by shares (n, num_parts, num_codes)."""
        by_part = xp.matmul(xp.transpose(shares, (1, 0, 2)), values)
        joined = xp.reshape(xp.transpose(by_part, (1, 0, 2)), (-1, values.shape[0] * values.shape[2]))
        return joined[:, : self.embedding_dim]

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The number of each query's key in each part, packed, and the values."""
        queries, by_distance = arrays["query"], self.settings.form == "vq"
        codes = [
            best(scores(queries[first : first + BLOCK], arrays["keys"], by_distance, np), np)
            for first in range(0, len(queries), BLOCK)
        ]
        values = arrays["keys" if self.settings.form == "vq" else "values"]
        return self.served().packed(np.concatenate(codes), values)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: DPQSettings, budget_bytes: int
    ) -> DPQSettings:
        """The most parts within the bytes; codes are fewer where one part is too much, more where all parts fit."""
        check_codes(embedding_dim, settings.num_parts, settings.num_codes)
        size = vocabulary.size
        given = None if settings.num_codes is None else min(settings.num_codes, size)
        steps = ladder(embedding_dim, settings.num_parts, given, min(USUAL_CODES, size), min(MAX_CODES, size))
        parts, codes = highest(
            steps, lambda parts, codes: codes_nbytes(size, embedding_dim, parts, codes), budget_bytes
        )
        chosen_sizes = replace(settings, num_parts=parts, num_codes=codes)
        return cls(vocabulary, embedding_dim, chosen_sizes).within(budget_bytes)
