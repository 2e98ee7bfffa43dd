"""Quotient-remainder embeddings: two small tables instead of one large.

Shi et al., "Compositional embeddings using complementary partitions for memory-efficient recommendation
systems", 2019 (arXiv 1909.02107).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import Any, Literal

from bench.embeddings.base import Array, Arrays, Method, Vocabulary, int32, largest
from bench.errors import RequestError

QuotientRows = Literal["recipe", "needed"]
Combine = Literal["product", "sum", "concat"]


@dataclass
class QRSettings:
    """Settings of ``qr``."""

    num_buckets: int | None = None
    """Rows of the remainder table. None: vocabulary // 50, and at least the smallest that tells all ids
    apart."""

    quotient_rows: QuotientRows = "recipe"
    """Rows of the quotient table: ``recipe``, as many as buckets, or ``needed``, ceil(vocabulary /
    num_buckets)."""

    combine: Combine = "product"
    """``product``, ``sum``, or ``concat`` of two rows of embedding_dim / 2."""


class QR(Method[QRSettings]):
    """vector(id) = quotient[id // b] (*) remainder[id mod b], with b = num_buckets.

    Each id has a pair of rows of its own as long as b squared is not below the vocabulary; a smaller b is
    refused. Buckets beyond the vocabulary can never be read: more than it are as many as it.
    """

    Settings = QRSettings

    def resolve(self, settings: QRSettings) -> QRSettings:
        """Chooses num_buckets; refuses one that gives two ids the same pair of rows."""
        size = self.vocabulary.size
        if settings.combine == "concat" and self.embedding_dim % 2:
            raise RequestError(
                f"combine=concat halves embedding_dim={self.embedding_dim}, which is odd: give an even one"
            )
        smallest = smallest_num_buckets(size)
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
        """Rows of the remainder table."""
        assert self.settings.num_buckets is not None
        return self.settings.num_buckets

    def tables(self) -> tuple[Array, ...]:
        """``quotient`` and ``remainder``, each as wide as the vectors, or half as wide for concat."""
        buckets = self.num_buckets
        needed = self.settings.quotient_rows == "needed"
        rows = -(-self.vocabulary.size // buckets) if needed else buckets
        width = self.embedding_dim // 2 if self.settings.combine == "concat" else self.embedding_dim
        return Array("quotient", (rows, width)), Array("remainder", (buckets, width))

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The two digits of the id in base num_buckets."""
        ids = int32(ids, xp)
        quotient = ids // self.num_buckets
        return {"quotient": quotient, "remainder": ids - quotient * self.num_buckets}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The two rows multiplied, added or joined."""
        quotient, remainder = rows["quotient"], rows["remainder"]
        match self.settings.combine:
            case "product":
                return quotient * remainder
            case "sum":
                return quotient + remainder
            case _:
                return xp.concatenate([quotient, remainder], axis=-1)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: QRSettings, budget_bytes: int
    ) -> QRSettings:
        """The most buckets within the bytes."""

        def sized(buckets: int) -> QR:
            return cls(vocabulary, embedding_dim, replace(settings, num_buckets=buckets))

        if settings.num_buckets is not None:
            return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
        # From the vocabulary's square root on, a bucket more saves one quotient row at most: no fewer bytes.
        smallest = smallest_num_buckets(vocabulary.size)
        best = largest(smallest, vocabulary.size, lambda b: sized(b).nbytes <= budget_bytes)
        return sized(best or smallest).within(budget_bytes)


def smallest_num_buckets(size: int) -> int:
    """The smallest b with b squared >= size: the square root, rounded up."""
    return isqrt(size - 1) + 1
