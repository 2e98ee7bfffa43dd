"""Methods that train nothing of their own: they compress a trained full table."""

from __future__ import annotations

from typing import Any

from bench.embeddings.base import Array, Arrays, Method, S
from bench.embeddings.full import Full, FullSettings


class OfFull(Method[S]):
    """What is trained is ``full``'s table, in a run of its own; a subclass says what is kept of it for serving."""

    def parent(self) -> Full:
        """The full table of the same ids and width."""
        return Full(self.vocabulary, self.embedding_dim, FullSettings())

    def tables(self) -> tuple[Array, ...]:
        """``table``, float32 of shape (vocabulary, embedding_dim)."""
        return self.parent().tables()

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return self.parent().lookups(ids, maps, xp)

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row is the vector."""
        return self.parent().combine(rows, indices, weights, xp, training)
