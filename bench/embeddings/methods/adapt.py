"""Hot and cold ids: own rows for the most frequent ids, shared rows for the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Kind, Lookups, Method, Vocabulary, int32, places
from bench.embeddings.families.hot import Divided


@dataclass
class AdaptSettings:
    """Settings of ``adapt``."""

    num_hot: Annotated[int, Range(low=0)] | None = None
    """Number of hot ids, the most frequent in training: each has its own row. None: just under half of a tenth of the
    vocabulary, or a twentieth of it where num_cold is given."""

    num_cold: int | None = None
    """Number of rows that all other ids share. None: the rest of a tenth of the vocabulary, or a tenth of the cold ids
    where num_hot is given; at least 1."""


class Adapt(Method[AdaptSettings]):
    """vector(id) = table[p] for the p-th hot id, and table[num_hot + j mod num_cold] for the j-th cold id.

    The hot ids are the most frequent in training, of equally frequent ones the smallest. p and j count from 0 in the
    order of ids. The only map is the ascending list of hot ids: the number of them below an id gives both p and j.
    Where all ids are hot, or all are cold, there is no list.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AdaptEmbedding
        >>> counts = np.random.default_rng(0).zipf(1.2, 6040)  # how often each id is trained on
        >>> layer = AdaptEmbedding(6040, 64, counts=counts, num_hot=300, num_cold=300)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154800

    Reference:
        Zhang et al., "Model size reduction using frequency based double hashing for recommender systems", 2020 (arXiv
        2007.14523), with one remainder in place of the double hash.
    """

    Settings = AdaptSettings
    family = "by popularity"

    def resolve(self, settings: AdaptSettings) -> AdaptSettings:
        """Chooses num_hot and num_cold."""
        given = Divided(settings.num_hot, settings.num_cold)
        hot, cold = given.resolved(self.vocabulary, partial(_hot_of, self.embedding_dim), "are cold")
        return replace(settings, num_hot=hot, num_cold=cold)

    @property
    def num_hot(self) -> int:
        """Number of ids with their own row."""
        assert self.settings.num_hot is not None
        return self.settings.num_hot

    @property
    def num_cold(self) -> int:
        """Number of shared rows; 0 if all ids are hot."""
        assert self.settings.num_cold is not None
        return self.settings.num_cold

    def tables(self) -> tuple[Array, ...]:
        """Describes one table, (num_hot + num_cold, embedding_dim), with the rows of hot ids first."""
        return (Array("table", (self.num_hot + self.num_cold, self.embedding_dim)),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hot``, the hot ids, ascending: int32 (num_hot,)."""
        if self.num_hot in (0, self.vocabulary.size):
            return ()
        return (Array("hot", (self.num_hot,), "int32", kind=Kind.MAPS),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Lists the most frequent ids."""
        if not self.maps():
            return {}
        return {"hot": np.sort(self.vocabulary.by_frequency()[: self.num_hot]).astype(np.int32)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads row p for the p-th hot id, and row num_hot + j mod num_cold for the j-th cold id."""
        ids = int32(ids, xp)
        if self.num_hot == self.vocabulary.size:
            return {"table": ids}
        if self.num_hot == 0:
            return {"table": ids % self.num_cold}
        hot = maps["hot"]
        place = places(hot, ids, xp)
        is_hot = xp.take(hot, xp.minimum(place, self.num_hot - 1), axis=0) == ids
        return {"table": int32(xp.where(is_hot, place, self.num_hot + (ids - place) % self.num_cold), xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is."""
        return rows["table"]

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: AdaptSettings, budget_bytes: int
    ) -> AdaptSettings:
        """Chooses the most rows within the bytes. Hot rows and the list of hot ids take just under half of them.

        If one of the sizes is given, the other takes all bytes that are left. If neither is given and the bytes are
        enough for a row an id, every id is hot.
        """
        given, hot_of = Divided(settings.num_hot, settings.num_cold), partial(_hot_of, embedding_dim)
        hot, cold = given.fitted(vocabulary.size, 4 * embedding_dim, 0, hot_of, budget_bytes)
        return cls(vocabulary, embedding_dim, replace(settings, num_hot=hot, num_cold=cold)).within(
            budget_bytes
        )


def _hot_of(embedding_dim: int, rows: int) -> int:
    """Returns the most hot rows of ``rows`` that, with the list of their ids, take at most half of all bytes."""
    return rows * embedding_dim // (2 * embedding_dim + 1)
