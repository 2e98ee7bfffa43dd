"""AdaEmbed: rows for the ids that matter, which are found while training; all other vectors are zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Method, Rows, Vocabulary, float32, int32
from bench.embeddings.families.scored import ROW_OF, SCORES, Scored, ScoredSettings
from bench.embeddings.served.hot import HotCold, HotColdSettings
from bench.errors import RequestError


@dataclass
class AdaEmbedSettings(ScoredSettings):
    """Settings of ``adaembed``."""

    num_hot: Annotated[int, Range(low=0)] | None = None
    """Number of ids with a row, at least 1. None: a tenth of the vocabulary."""

    decay: Annotated[float, Range(above=0, high=1)] = 0.9
    """Factor that multiplies all scores at each check."""

    advantage: Annotated[float, Range(low=1)] = 1.0
    """Factor that multiplies the scores of hot ids, only to be compared."""

    min_change: Annotated[float, Range(low=0, high=1)] = 0.05
    """Share of the hot ids. If no more of them would change, all stay."""


class AdaEmbed(Scored[AdaEmbedSettings]):
    """vector(id) = table[r] for an id with row r, and zero for all others.

    At first the num_hot most frequent ids of the training rows have rows. A step adds to the score of every id that it
    reads the norm of the gradient at its vector, over the mean norm of the batch: also where the vector is zero. At the
    first end of a chunk after each of num_checks equal parts of the run, up to ``change_end``, the num_hot highest
    scores are found. If more than ``min_change`` of the rows would go to other ids, they do: such rows become zero, and
    their moments start anew.

    Training holds one row more, which ids without a row read, and one score an id. Where all ids have rows the method
    is ``full``.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AdaEmbedEmbedding
        >>> layer = AdaEmbedEmbedding(6040, 64, num_hot=600)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        156000

    Reference:
        Lai et al., "AdaEmbed: adaptive embedding for large-scale recommendation models", 2023 (OSDI). The rows of its
        first ids are not defined there.
    """

    Settings = AdaEmbedSettings
    family = "by popularity"

    def resolve(self, settings: AdaEmbedSettings) -> AdaEmbedSettings:
        """Chooses num_hot."""
        size = self.vocabulary.size
        hot = max(1, size // 10) if settings.num_hot is None else settings.num_hot
        if hot < 1:
            raise RequestError(f"num_hot={hot}: give 1 or more")
        return replace(settings, num_hot=min(hot, size))

    def tables(self) -> tuple[Array, ...]:
        """Describes one table: the rows of hot ids, and one that the others read, (num_hot + 1, embedding_dim)."""
        return (Array("table", (self.num_hot + self.finds, self.embedding_dim)),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Gives rows to the most frequent ids."""
        if not self.finds:
            return {}
        row_of = np.full(self.vocabulary.size, -1, np.int32)
        row_of[np.sort(self.vocabulary.by_frequency()[: self.num_hot])] = np.arange(self.num_hot)
        return {ROW_OF: row_of}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row of a hot id, and the last one for another; ``is_hot`` is 1 for hot ids, else 0."""
        ids = int32(ids, xp)
        if not self.finds:
            return {"table": ids}
        row = xp.take(maps[ROW_OF], ids, axis=0)
        read = int32(xp.where(row < 0, np.int32(self.num_hot), row), xp)
        return {"table": read, "is_hot": int32(row >= 0, xp), SCORES: ids}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is, or zero for an id without a row."""
        if not self.finds:
            return rows["table"]
        return rows["table"] * float32(xp.expand_dims(indices["is_hot"], -1), xp)

    def taken(self, rows: np.ndarray, ids: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Rows:
        """Sets the rows to zero."""
        return Rows(rows, np.zeros((len(rows), self.embedding_dim), np.float32))

    def served(self) -> Method[Any]:
        """Describes rows by id, and their list."""
        if not self.finds:
            return self
        return HotCold(self.vocabulary, self.embedding_dim, HotColdSettings(self.num_hot))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Orders the rows by id."""
        if not self.finds:
            return dict(arrays)
        hot = self.listed(arrays)
        return {"table": arrays["table"][arrays[ROW_OF][hot]], "hot": hot.astype(np.int32)}

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: AdaEmbedSettings, budget_bytes: int
    ) -> AdaEmbedSettings:
        """Chooses the most rows within the bytes: all, where they are enough for a row an id without a list."""
        if settings.num_hot is None:
            size, row = vocabulary.size, 4 * embedding_dim
            hot = size if size * row <= budget_bytes else max(1, budget_bytes // (row + 4))
            settings = replace(settings, num_hot=hot)
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
