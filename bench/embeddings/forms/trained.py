"""What post-training methods have in common: they train nothing, they serve what ``full`` has learned."""

from __future__ import annotations

from typing import Any, TypeVar

from bench.embeddings.base import Array, Arrays, Method
from bench.embeddings.full import Full, FullSettings

S = TypeVar("S")


class OfFull(Method[S]):
    """A method whose trained form is the full table, trained in a run of its own.

    A subclass says what serves: ``served``, ``serve``, and the sizes of it by ``resolve`` and ``fit``.
    """

    def parent(self) -> Full:
        """The full table of the same ids and width, with the recipe's initial values."""
        return Full(self.vocabulary, self.embedding_dim, FullSettings())

    def tables(self) -> tuple[Array, ...]:
        """The one table of ``full``, (vocabulary, embedding_dim)."""
        return self.parent().tables()

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return self.parent().lookups(ids, maps, xp)

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row is the vector."""
        return rows["table"]
