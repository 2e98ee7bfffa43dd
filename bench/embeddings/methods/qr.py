"""Quotient-remainder embeddings: a few small tables in place of one large table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from math import ceil
from operator import add, mul
from typing import Annotated, Any, Literal

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Method, Vocabulary, int32
from bench.errors import RequestError

QuotientRows = Literal["recipe", "needed"]
Combine = Literal["product", "sum", "concat"]

FACTOR = {"class_name": "RandomUniform", "config": {"minval": 0.5, "maxval": 1.5}}
"""The initializer of all tables but one if three rows or more are multiplied: near 1. The product of three rows of
U(-0.05, 0.05) would be too small to learn from."""


@dataclass
class QRSettings:
    """Settings of ``qr``."""

    num_buckets: int | None = None
    """Rows of the remainder table, at most one an id. None: vocabulary // 50, and at least the smallest number that
    tells all ids apart."""

    num_partitions: Annotated[int, Range(low=2)] = 2
    """Number of tables. An id reads one row of each, by its digits in base num_buckets. 2: quotient and remainder."""

    quotient_rows: QuotientRows = "recipe"
    """Rows of the table of the most significant digit. ``recipe``: as many as buckets. ``needed``: as many as are
    read, ceil(vocabulary / num_buckets ** (num_partitions - 1))."""

    combine: Combine = "product"
    """The operation that makes a vector of the rows. ``product`` and ``sum``: number by number. ``concat``: side
    by side, each row a part of embedding_dim; the parts are as even as possible."""


class QR(Method[QRSettings]):
    """vector(id) = quotient[id // b] (*) remainder[id mod b], with b = num_buckets.

    (*) is the product, the sum or the concatenation of two rows, as ``combine`` says.

    With k = num_partitions above 2, vector(id) = partition_0[a_0] (*) ... (*) partition_{k-1}[a_{k-1}]. The a_j are the
    digits of the id in base b, the most significant first. For k = 2 the tables have the names that the paper gives.

    No two ids read the same rows where b ** k is at least the vocabulary. A smaller b is refused. Buckets beyond the
    vocabulary are never read.

    ``concat`` needs an even embedding_dim for 2 tables. For more tables, the last embedding_dim mod k of them are one
    column wider than the others.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import QREmbedding
        >>> layer = QREmbedding(6040, 64, num_buckets=120)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # two tables of 120 rows
        61440

    Reference:
        Shi et al., "Compositional embeddings using complementary partitions for memory-efficient recommendation
        systems", 2019 (arXiv 1909.02107).
    """

    Settings = QRSettings
    family = "shared rows"

    def resolve(self, settings: QRSettings) -> QRSettings:
        """Chooses num_buckets. A number that gives two ids the same rows is refused."""
        size, k = self.vocabulary.size, settings.num_partitions
        smallest = smallest_num_buckets(size, k)
        if settings.combine == "concat" and k == 2 and self.embedding_dim % 2:
            raise RequestError(
                f"combine=concat halves embedding_dim={self.embedding_dim}, which is odd: give an even one"
            )
        if settings.combine == "concat" and k > self.embedding_dim:
            raise RequestError(
                f"num_partitions={k}: combine=concat cannot split embedding_dim={self.embedding_dim} into so "
                f"many; give {self.embedding_dim} or fewer"
            )
        buckets = settings.num_buckets
        if buckets is None:
            buckets = max(size // 50, smallest)
        if buckets < smallest:
            raise RequestError(
                f"num_buckets={buckets}: too few to tell apart the {size} ids of {self.vocabulary.name}; "
                f"the smallest that works is {smallest}"
            )
        return replace(settings, num_buckets=min(buckets, size))

    @property
    def num_buckets(self) -> int:
        """The base b: rows of every table but that of the most significant digit."""
        assert self.settings.num_buckets is not None
        return self.settings.num_buckets

    @property
    def names(self) -> list[str]:
        """Names of the tables, that of the most significant digit first."""
        k = self.settings.num_partitions
        return ["quotient", "remainder"] if k == 2 else [f"partition_{j}" for j in range(k)]

    def tables(self) -> tuple[Array, ...]:
        """Describes the tables, that of the most significant digit first.

        Each table is as wide as the vectors; with ``concat``, as wide as its part of them.
        """
        k, buckets, dim = self.settings.num_partitions, self.num_buckets, self.embedding_dim
        needed = self.settings.quotient_rows == "needed"
        rows = [-(-self.vocabulary.size // buckets ** (k - 1)) if needed else buckets] + [buckets] * (k - 1)
        concat = self.settings.combine == "concat"
        widths = [dim // k + (j >= k - dim % k) for j in range(k)] if concat else [dim] * k
        factors = k > 2 and self.settings.combine == "product"
        return tuple(
            Array(name, (rows[j], widths[j]), initializer=FACTOR if factors and j else "uniform")
            for j, name in enumerate(self.names)
        )

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the rows whose numbers are the digits of the id in base num_buckets."""
        rest, digits = int32(ids, xp), []
        for _ in range(self.settings.num_partitions - 1):
            quotient = rest // self.num_buckets
            digits.append(rest - quotient * self.num_buckets)
            rest = quotient
        return dict(zip(self.names, [rest, *reversed(digits)], strict=True))

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the rows, adds them, or puts them side by side."""
        parts = [rows[name] for name in self.names]
        match self.settings.combine:
            case "product":
                return reduce(mul, parts)
            case "sum":
                return reduce(add, parts)
            case _:
                return xp.concatenate(parts, axis=-1)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: QRSettings, budget_bytes: int
    ) -> QRSettings:
        """Chooses the most buckets within the bytes."""
        # From the smallest number on, more buckets never take fewer bytes: a bucket more adds k - 1 rows, and saves at
        # most k - 1 rows of the most significant digit's table, which is no wider.
        smallest = smallest_num_buckets(vocabulary.size, settings.num_partitions)
        return cls.fit_size(
            vocabulary, embedding_dim, settings, budget_bytes, "num_buckets", smallest, vocabulary.size
        )


def smallest_num_buckets(size: int, num_partitions: int = 2) -> int:
    """Finds the smallest b with b ** num_partitions >= size.

    Raises:
        RequestError: num_partitions is below 2.
    """
    if num_partitions < 2:
        raise RequestError(f"num_partitions={num_partitions}: give 2 or more")
    guess: int = max(
        1, ceil(float(size) ** (1.0 / num_partitions)) - 1
    )  # a float root may be too small or too large
    while guess**num_partitions < size:
        guess += 1
    while guess > 1 and (guess - 1) ** num_partitions >= size:
        guess -= 1
    return guess
