"""Hot ids, which have rows of their own: the search in their list, and hot rows in front of another method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import (
    Array,
    Arrays,
    Kind,
    Lookups,
    Method,
    OverBudget,
    Vocabulary,
    int32,
    largest,
    places,
)
from bench.errors import RequestError

HOT = "hot"
"""Name of the list of hot ids, ascending: int32 (num_hot,)."""

ROWS = "hot_rows"
"""Name of the table of hot rows, in the order of the list."""


def find_hot(hot: Any, ids: Any, xp: Any) -> tuple[Any, Any]:
    """Searches for ids in the list of hot ids.

    Args:
        hot: the hot ids, ascending, int32 (num_hot,), at least one.
        ids: int32, shape (...).
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        Places in the list, int32 (...), and True for the ids that are there. Other ids have some place.
    """
    place = xp.minimum(places(hot, ids, xp), np.int32(hot.shape[0] - 1))
    return int32(place, xp), xp.take(hot, place, axis=0) == ids


class Divided(NamedTuple):
    """How many ids have rows of their own, and how many rows all others share; None is to be chosen.

    Attributes:
        num_hot: number of hot ids.
        num_cold: number of shared rows.
    """

    num_hot: int | None
    num_cold: int | None

    def resolved(self, vocabulary: Vocabulary, hot_of: Callable[[int], int], are_cold: str) -> Divided:
        """Chooses what is open: a tenth of the vocabulary in all, and at most a row an id.

        Args:
            vocabulary: the field.
            hot_of: gives the number of hot ones among a number of rows.
            are_cold: the words for ids that are not hot, in the message.

        Raises:
            RequestError: a number is negative, or some ids have neither an own row nor one to share.
        """
        size, (hot, cold) = vocabulary.size, self
        if hot is not None and hot < 0:
            raise RequestError(f"num_hot={hot}: give 0 or more")
        if cold is not None and cold < 0:
            raise RequestError(f"num_cold={cold}: give 1 or more")
        if hot is None and cold is None:
            rows = max(1, size // 10)
            hot = hot_of(rows)
            cold = rows - hot
        elif hot is None:
            assert cold is not None
            hot = min(size // 20, max(0, size - cold))
        hot = min(hot, size)
        cold = -(-(size - hot) // 10) if cold is None else min(cold, size - hot)
        if hot < size and cold < 1:
            raise RequestError(
                f"num_cold=0: {size - hot} of the {size} ids of {vocabulary.name} {are_cold}; give 1 or more"
            )
        return Divided(hot, cold)

    def fitted(
        self, size: int, row: int, fixed: int, hot_of: Callable[[int], int], budget_bytes: int
    ) -> Divided:
        """Chooses the most rows within the bytes; each hot row takes 4 more, for its id.

        If one of the numbers is given, the other takes all bytes that are left. If neither is given and the bytes are
        enough for a row an id, every id is hot.

        Args:
            size: number of ids.
            row: bytes of a row.
            fixed: bytes that are taken if not all ids are hot.
            hot_of: as in ``resolved``.
            budget_bytes: the bytes.
        """
        hot, cold = self
        if hot is None and cold is None:
            if size * row <= max(budget_bytes, row + fixed):  # below it, no shared row is smaller
                return Divided(size, 0)

            def fits(rows: int) -> bool:
                return rows * row + 4 * hot_of(rows) + fixed <= budget_bytes

            rows = largest(1, size, fits) or 1
            return Divided(hot_of(rows), rows - hot_of(rows))
        if hot is None:
            assert cold is not None
            hot = min(max(0, (budget_bytes - fixed - cold * row) // (row + 4)), max(0, size - cold))
        elif cold is None:
            cold = max(1, (budget_bytes - fixed - hot * (row + 4)) // row)
        return Divided(hot, cold)


@dataclass(kw_only=True)
class HotSettings:
    """Settings of hot rows in front of another method."""

    num_hot: Annotated[int, Range(low=0)] = 0
    """Number of hot ids, the most frequent in training: each has its own row, in front of the method. 0: none; under a
    budget, by hot_share."""

    hot_share: Annotated[float, Range(low=0, below=1)] = 0.0
    """Share of a budget that hot rows take, with the list of their ids; the method takes the rest. 0: by num_hot."""


H = TypeVar("H", bound=HotSettings)


class HotRows(Method[H]):
    """A method with hot rows in front: vector(id) = hot_rows[p] for the p-th hot id, and the method's for all others.

    The hot ids are the most frequent in training, of equally frequent ones the smallest. p counts from 0 in the order
    of ids. Each hot row takes 4 embedding_dim bytes and 4 for its id. Without hot ids there are no such arrays.

    A subclass adds the parts here to its own: ``hot_tables``, ``hot_maps``, ``hot_lookups``, ``hot_or``. It has
    ``fit_cold`` in place of ``fit``, and ``resolve_hot`` is part of its ``resolve``.

    Reference:
        Yin et al., "TT-Rec: tensor train compression for deep learning recommendation models", 2021 (arXiv 2101.11714),
        whose cache of frequent rows is filled by hand; here it holds the same ids from the first step.
    """

    def resolve_hot(self, settings: H) -> H:
        """Takes at most one hot row an id.

        Raises:
            RequestError: hot_share without a budget, or beside num_hot.
        """
        if settings.num_hot < 0:
            raise RequestError(f"num_hot={settings.num_hot}: give 0 or more")
        if settings.hot_share and settings.num_hot:
            raise RequestError(
                f"hot_share={settings.hot_share}: num_hot={settings.num_hot} is given too; give one of them"
            )
        if settings.hot_share:
            raise RequestError(
                f"hot_share={settings.hot_share}: a share of a budget; give budget too, or num_hot in its place"
            )
        return replace(settings, num_hot=min(settings.num_hot, self.vocabulary.size))

    def hot_tables(self) -> tuple[Array, ...]:
        """Describes ``hot_rows``, (num_hot, embedding_dim), if there are any."""
        count = self.settings.num_hot
        return (Array(ROWS, (count, self.embedding_dim)),) if count else ()

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hot``, the hot ids, ascending: int32 (num_hot,), if there are any."""
        count = self.settings.num_hot
        return (Array(HOT, (count,), "int32", kind=Kind.MAPS),) if count else ()

    def build_maps(self) -> dict[str, np.ndarray]:
        """Lists the most frequent ids."""
        count = self.settings.num_hot
        return {HOT: np.sort(self.vocabulary.by_frequency()[:count]).astype(np.int32)} if count else {}

    def hot_lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row of the p-th hot id, and some row for other ids; ``is_hot`` is 1 for hot ids, else 0."""
        if not self.settings.num_hot:
            return {}
        place, is_hot = find_hot(maps[HOT], int32(ids, xp), xp)
        return {ROWS: place, "is_hot": int32(is_hot, xp)}

    def hot_or(self, vectors: Any, rows: Arrays, indices: Arrays, xp: Any) -> Any:
        """Puts hot rows in the place of the vectors that the method makes of hot ids."""
        if not self.settings.num_hot:
            return vectors
        return xp.where(xp.expand_dims(indices["is_hot"], -1) > 0, rows[ROWS], vectors)

    @classmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: H, budget_bytes: int) -> H:
        """Chooses the most hot rows within their share of the bytes, and the method's largest size within the rest.

        Where the method's smallest size takes more than the rest, hot rows take what it leaves.
        """
        row = 4 * (embedding_dim + 1)
        cold = replace(settings, num_hot=0, hot_share=0.0)
        share = int(settings.hot_share * budget_bytes)
        hot = min(settings.num_hot or share // row, vocabulary.size)
        rest = budget_bytes - (share if settings.hot_share else hot * row)
        try:
            cold = cls.fit_cold(vocabulary, embedding_dim, cold, rest)
        except OverBudget as error:
            cold = cls.fit_cold(vocabulary, embedding_dim, cold, error.smallest_bytes)
        if settings.hot_share:
            left = budget_bytes - cls(vocabulary, embedding_dim, cold).nbytes
            hot = max(0, min(hot, left // row))
        return cls(vocabulary, embedding_dim, replace(cold, num_hot=hot)).within(budget_bytes)

    @classmethod
    @abstractmethod
    def fit_cold(cls, vocabulary: Vocabulary, embedding_dim: int, settings: H, budget_bytes: int) -> H:
        """Does what ``fit`` does, for settings without hot rows."""
