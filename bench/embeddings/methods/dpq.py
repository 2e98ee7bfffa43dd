"""Differentiable product quantization: codes and codebooks that are learned with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Method, Vocabulary, int32
from bench.embeddings.families.queries import BLOCK, best, fixed, nearest, scores
from bench.embeddings.served.codes import (
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

USUAL_PARTS, USUAL_CODES = 8, 32
"""Parts of a vector and entries of a codebook without a budget."""


@dataclass
class DPQSettings:
    """Settings of ``dpq``."""

    num_parts: int | None = None
    """Number D of parts of a vector, each with its own codebook. None: 8, at most embedding_dim; under a budget, as
    many as fit."""

    num_codes: int | None = None
    """Entries of a codebook, at most 256 and the vocabulary. None: 32."""

    form: Literal["vq", "softmax"] = "vq"
    """The choice of codes. ``vq``: the key nearest to the query, which is also what serves. ``softmax``: the key with
    the highest product with the query; a value of its own serves."""

    penalty_weight: Annotated[float, Range(low=0)] = 1.0
    """Weight in the loss of the squared distance between queries and their keys. Used by ``vq`` only."""


class DPQ(Method[DPQSettings]):
    """vector(id) = value_1[c_1(id)], ..., value_D[c_D(id)], with c_j(id) the key of part j that fits query[id] best.

    A full table of queries is trained together with the keys of each part. With ``vq``, the best key is the nearest,
    and the keys are the values. With ``softmax``, the best key has the highest product with the query, and the values
    are a codebook of their own. The codes and the values serve.

    The choice of a key has no gradient. With ``vq``, the query gets the gradient of the vector (straight through), and
    the key its own; penalty_weight |sg(query) - key|^2 is added to the loss, as a mean over the batch, where sg stops
    the gradient. With ``softmax``, the gradient is that of the mean of all values, weighted by the softmax of the
    scores.

    The paper normalizes scores by the statistics of batches. That needs state, which a method does not have. ``vq`` is
    not normalized here. ``softmax`` normalizes the scores of each query over the keys, which changes no choice.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import DPQEmbedding
        >>> layer = DPQEmbedding(6040, 64, num_parts=8, num_codes=32)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 5 bytes an id, and the codebooks; the queries do not serve
        38392

    Reference:
        Chen, Li and Sun, "Differentiable product quantization for end-to-end embedding compression", 2020 (arXiv
        1908.09756).
    """

    Settings = DPQSettings
    family = "codes"

    def resolve(self, settings: DPQSettings) -> DPQSettings:
        """Chooses the numbers of parts and codes."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        asked = min(USUAL_PARTS, self.embedding_dim) if settings.num_parts is None else settings.num_parts
        parts, _ = even_parts(self.embedding_dim, asked)
        codes = min(settings.num_codes or USUAL_CODES, self.vocabulary.size)
        return replace(settings, num_parts=parts, num_codes=codes)

    def served(self) -> Codes:
        """Describes packed codes and the values."""
        parts, codes = self.settings.num_parts, self.settings.num_codes
        assert parts is not None and codes is not None
        return Codes(self.vocabulary, self.embedding_dim, CodesSettings(parts, codes))

    def tables(self) -> tuple[Array, ...]:
        """Describes ``query``, (vocabulary, embedding_dim), which is trained and does not serve."""
        return (Array("query", (self.vocabulary.size, self.embedding_dim)),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``keys`` (num_parts, num_codes, width of a part), and for ``softmax`` ``values`` of that shape."""
        keys = Array("keys", self.served().shape)
        return (keys,) if self.settings.form == "vq" else (keys, Array("values", self.served().shape))

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the query whose row number is the id."""
        return {"query": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the values of the chosen keys."""
        shape = xp.shape(rows["query"])
        queries = xp.reshape(rows["query"], (-1, self.embedding_dim))
        if self.settings.form == "vq":
            vectors = nearest(queries, weights["keys"], xp)
            # The term is zero and has the gradient of the query. A query that is NaN makes the vector NaN.
            return xp.reshape(vectors + (queries - fixed(queries, xp)), shape)
        found = scores(queries, weights["keys"], False, xp)
        vectors = entries(weights["values"], best(found, xp), self.embedding_dim, xp)
        if training and xp is not np:
            centred = found - xp.mean(found, axis=-1, keepdims=True)
            spread = xp.sqrt(xp.mean(xp.square(centred), axis=-1, keepdims=True) + 1e-12)
            soft = self._mixed(xp.softmax(centred / spread, axis=-1), xp.stop_gradient(weights["values"]), xp)
            vectors = vectors + (soft - xp.stop_gradient(soft))
        same = fixed(queries, xp)
        return xp.reshape(vectors + (same - same), shape)  # zero, or NaN as above

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """Computes penalty_weight |sg(query) - key|^2, summed over parts, a mean over ids; for ``vq`` only."""
        if self.settings.form != "vq" or not self.settings.penalty_weight:
            return None
        queries = xp.reshape(rows["query"], (-1, self.embedding_dim))
        off = fixed(queries, xp) - nearest(queries, weights["keys"], xp)
        weight = self.settings.penalty_weight * len(self.vocabulary.members)
        return weight * xp.mean(xp.sum(xp.square(off), axis=-1))

    def _mixed(self, shares: Any, values: Any, xp: Any) -> Any:
        """Averages values (num_parts, num_codes, width) with the weights shares (n, num_parts, num_codes)."""
        by_part = xp.matmul(xp.transpose(shares, (1, 0, 2)), values)
        joined = xp.reshape(xp.transpose(by_part, (1, 0, 2)), (-1, values.shape[0] * values.shape[2]))
        return joined[:, : self.embedding_dim]

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Packs the number of each query's key in each part, and adds the values."""
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
        """Chooses the most parts within the bytes, with fewer or more codes if the parts are at their limit."""
        check_codes(embedding_dim, settings.num_parts, settings.num_codes)
        size = vocabulary.size
        given = None if settings.num_codes is None else min(settings.num_codes, size)
        steps = ladder(embedding_dim, settings.num_parts, given, min(USUAL_CODES, size), min(MAX_CODES, size))
        parts, codes = highest(
            steps, lambda parts, codes: codes_nbytes(size, embedding_dim, parts, codes), budget_bytes
        )
        chosen_sizes = replace(settings, num_parts=parts, num_codes=codes)
        return cls(vocabulary, embedding_dim, chosen_sizes).within(budget_bytes)
