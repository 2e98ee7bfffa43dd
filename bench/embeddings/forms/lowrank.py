"""A table of low rank, as it serves: narrow rows and one projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.embeddings.base import Array, Arrays, Kind, Vocabulary, int32
from bench.embeddings.forms.onesize import OneSize
from bench.errors import RequestError


@dataclass
class FactorsSettings:
    """What describes a ``Factors``."""

    rank: int = 1
    """Width of the narrow rows."""


def chosen_rank(given: int | None, vocabulary: Vocabulary, embedding_dim: int) -> int:
    """A rank as given, or a quarter of the width; no product of n rows has one above n.

    Args:
        given: what the user asked for; None for embedding_dim // 4, and at least 1.
        vocabulary: more than it has ids is as much as it.
        embedding_dim: more would take more than the full table.

    Raises:
        RequestError: a rank that is not from 1 to embedding_dim.
    """
    rank = max(1, embedding_dim // 4) if given is None else given
    if not 1 <= rank <= embedding_dim:
        raise RequestError(f"rank={rank}: give 1 to embedding_dim={embedding_dim}")
    return min(rank, vocabulary.size)


class Factors(OneSize[FactorsSettings]):
    """vector(id) = factors[id] projection: (vocabulary, rank) times (rank, embedding_dim)."""

    Settings = FactorsSettings

    def tables(self) -> tuple[Array, ...]:
        """``factors``, float32 of shape (vocabulary, rank)."""
        return (Array("factors", (self.vocabulary.size, self.settings.rank), trainable=False),)

    def weights(self) -> tuple[Array, ...]:
        """``projection``, float32 of shape (rank, embedding_dim)."""
        shape = (self.settings.rank, self.embedding_dim)
        return (Array("projection", shape, kind=Kind.NETWORKS, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"factors": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The narrow row times the projection."""
        return xp.matmul(rows["factors"], weights["projection"])
