"""The form that serves a table of low rank: narrow rows and one projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.embeddings.base import Array, Arrays, Kind, Lookups, Vocabulary, int32
from bench.embeddings.families.onesize import OneSize
from bench.errors import RequestError


@dataclass
class FactorsSettings:
    """Settings of ``Factors``."""

    rank: int = 1
    """Width of the narrow rows."""


def chosen_rank(given: int | None, vocabulary: Vocabulary, embedding_dim: int) -> int:
    """Chooses a rank.

    Args:
        given: the user's rank; None for embedding_dim // 4, and at least 1.
        vocabulary: the field. A rank above its number of ids is of no use and becomes that number.
        embedding_dim: width of the vectors. A rank above it would take more bytes than the full table.

    Raises:
        RequestError: the rank is not from 1 to embedding_dim.
    """
    rank = max(1, embedding_dim // 4) if given is None else given
    if not 1 <= rank <= embedding_dim:
        raise RequestError(f"rank={rank}: give 1 to embedding_dim={embedding_dim}")
    return min(rank, vocabulary.size)


class Factors(OneSize[FactorsSettings]):
    """The form that serves: vector(id) = factors[id] projection."""

    Settings = FactorsSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``factors``, float32 (vocabulary, rank)."""
        return (Array("factors", (self.vocabulary.size, self.settings.rank), trainable=False),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``projection``, float32 (rank, embedding_dim)."""
        shape = (self.settings.rank, self.embedding_dim)
        return (Array("projection", shape, kind=Kind.NETWORKS, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"factors": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the narrow row by the projection."""
        return xp.matmul(rows["factors"], weights["projection"])
