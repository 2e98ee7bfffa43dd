"""Hot and cold ids: rows of their own for the most frequent, shared rows for the rest.

Zhang et al., "Model size reduction using frequency based double hashing for recommender systems", 2020 (arXiv
2007.14523), with one remainder in place of the double hash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Method, Vocabulary, int32, largest, places
from bench.errors import RequestError
from bench.settings import Range


@dataclass
class AdaptSettings:
    """Settings of ``adapt``."""

    num_hot: Annotated[int, Range(low=0)] | None = None
    """Ids, the most frequent in training, that have rows of their own. None: just under half of a tenth of the
    vocabulary, or a twentieth of it where num_cold is given."""

    num_cold: int | None = None
    """Rows that all other ids share. None: what is left of a tenth of the vocabulary, or a tenth of the cold ids
    where num_hot is given; at least 1."""


class Adapt(Method[AdaptSettings]):
    """vector(id) = table[p] for the p-th hot id, table[num_hot + j mod num_cold] for the j-th cold one.

    Ids are hot by falling training frequency, equal ones by id; p and j count from 0 in the order of ids. The only
    map is the ascending list of hot ids: how many of them are below an id gives both p and j. Where all ids are
    hot, or none, there is no list. More cold rows than cold ids are as many as these.
    """

    Settings = AdaptSettings

    def resolve(self, settings: AdaptSettings) -> AdaptSettings:
        """Chooses num_hot and num_cold."""
        size, hot, cold = self.vocabulary.size, settings.num_hot, settings.num_cold
        if hot is not None and hot < 0:
            raise RequestError(f"num_hot={hot}: give 0 or more")
        if cold is not None and cold < 0:
            raise RequestError(f"num_cold={cold}: give 1 or more")
        if hot is None and cold is None:
            rows = max(1, size // 10)
            hot = _hot_of(rows, self.embedding_dim)
            cold = rows - hot
        elif hot is None:
            assert cold is not None
            hot = min(size // 20, max(0, size - cold))
        hot = min(hot, size)
        cold = -(-(size - hot) // 10) if cold is None else min(cold, size - hot)
        if hot < size and cold < 1:
            raise RequestError(
                f"num_cold=0: {size - hot} of the {size} ids of {self.vocabulary.name} are cold; "
                "give 1 or more"
            )
        return replace(settings, num_hot=hot, num_cold=cold)

    @property
    def num_hot(self) -> int:
        """Ids with rows of their own."""
        assert self.settings.num_hot is not None
        return self.settings.num_hot

    @property
    def num_cold(self) -> int:
        """Rows that are shared; 0 where all ids are hot."""
        assert self.settings.num_cold is not None
        return self.settings.num_cold

    def tables(self) -> tuple[Array, ...]:
        """The one table, (num_hot + num_cold, embedding_dim), the rows of hot ids first."""
        return (Array("table", (self.num_hot + self.num_cold, self.embedding_dim)),)

    def maps(self) -> tuple[Array, ...]:
        """``hot``: the hot ids, ascending, int32 (num_hot,)."""
        if self.num_hot in (0, self.vocabulary.size):
            return ()
        return (Array("hot", (self.num_hot,), "int32", kind=Kind.MAPS),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """The most frequent ids."""
        if not self.maps():
            return {}
        return {"hot": np.sort(self.vocabulary.by_frequency()[: self.num_hot]).astype(np.int32)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """A hot id's place among the hot ones; behind these rows, a cold id's among the cold ones."""
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
        """The row is the vector."""
        return rows["table"]

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: AdaptSettings, budget_bytes: int
    ) -> AdaptSettings:
        """The most rows within the bytes, just under half of which go to hot rows and the list of hot ids.

        Where one of the sizes is given, the other takes all that is left. Bytes for every row make every id hot.
        """
        size, hot, cold = vocabulary.size, settings.num_hot, settings.num_cold
        row = 4 * embedding_dim
        if hot is None and cold is None:
            if size * row <= budget_bytes:
                hot, cold = size, 0
            else:

                def fits(rows: int) -> bool:
                    return rows * row + 4 * _hot_of(rows, embedding_dim) <= budget_bytes

                rows = largest(1, size, fits) or 1
                hot = _hot_of(rows, embedding_dim)
                cold = rows - hot
        elif hot is None:
            assert cold is not None
            hot = min(max(0, (budget_bytes - cold * row) // (row + 4)), max(0, size - cold))
        elif cold is None:
            cold = max(1, (budget_bytes - hot * (row + 4)) // row)
        return cls(vocabulary, embedding_dim, replace(settings, num_hot=hot, num_cold=cold)).within(
            budget_bytes
        )


def _hot_of(rows: int, embedding_dim: int) -> int:
    """The most hot rows of ``rows`` that, with their ids, take at most half of the bytes of all."""
    return rows * embedding_dim // (2 * embedding_dim + 1)
