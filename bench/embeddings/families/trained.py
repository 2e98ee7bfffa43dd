"""Post-training methods: they compress a full table that another run has trained."""

from __future__ import annotations

from typing import Any

from bench.embeddings.base import Array, Arrays, Lookups, Method, S
from bench.embeddings.methods.full import Full, FullSettings


class OfFull(Method[S]):
    """A method whose parent is ``full``. A subclass describes the served form, in ``served`` and ``serve``."""

    def parent(self) -> Full:
        """Returns ``full`` of the same vocabulary and width."""
        return Full(self.vocabulary, self.embedding_dim, FullSettings())

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, float32 (vocabulary, embedding_dim)."""
        return self.parent().tables()

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return self.parent().lookups(ids, maps, xp)

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is."""
        return self.parent().combine(rows, indices, weights, xp, training)
