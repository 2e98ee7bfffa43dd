"""Post-training methods: they compress a full table that another run has trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Lookups, Method, S
from bench.embeddings.methods.full import Full, FullSettings


class OfFull(Method[S]):
    """A method whose parent is ``full``. A subclass describes the served form, in ``served`` and ``serve``.

    A subclass that can be trained on also overrides ``trained`` and ``start``.
    """

    def parent(self) -> Full:
        """Returns ``full`` of the same vocabulary and width."""
        return Full(self.vocabulary, self.embedding_dim, FullSettings())

    def trained(self) -> Method[Any]:
        """Describes the arrays before they are served: those of the parent, or those that are trained on."""
        return self.parent()

    def is_trained(self) -> bool:
        """Returns True if ``trained`` is not the parent."""
        return not isinstance(self.trained(), Full)

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, float32 (vocabulary, embedding_dim), or the tables that are trained on."""
        return self.trained().tables()

    def weights(self) -> tuple[Array, ...]:
        """Describes the weights that are trained on."""
        return self.trained().weights()

    def maps(self) -> tuple[Array, ...]:
        """Describes the maps of what is trained on."""
        return self.trained().maps()

    def build_maps(self) -> dict[str, np.ndarray]:
        """Makes the maps that ``start`` replaces."""
        return self.trained().build_maps()

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id, or as what is trained on does."""
        return self.trained().lookups(ids, maps, xp)

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is, or combines as what is trained on does."""
        return self.trained().combine(rows, indices, weights, xp, training)
