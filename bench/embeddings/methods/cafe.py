"""CAFE: ids that matter are found while training and get rows of their own, the rest share rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Method, Rows, Vocabulary, int32
from bench.embeddings.families.hot import Divided
from bench.embeddings.families.scored import ROW_OF, SCORES, Scored, ScoredSettings
from bench.embeddings.hashing import DEGREE, array, below, coefficients, hashes
from bench.embeddings.served.hot import HotCold, HotColdSettings

HASH_BYTES = 8 * (DEGREE + 1)
"""Bytes of the coefficients of a hash."""


@dataclass
class CAFESettings(ScoredSettings):
    """Settings of ``cafe``."""

    num_hot: Annotated[int, Range(low=0)] | None = None
    """Number of hot ids, each with its own row. None: as many as hot_share gives, of a tenth of the vocabulary or of
    the budget; where num_cold is given without a budget, a twentieth of the vocabulary."""

    num_cold: int | None = None
    """Number of rows that all other ids share. None: the rest of the rows; where num_hot is given without a budget, a
    tenth of the other ids; at least 1."""

    hot_share: Annotated[float, Range(above=0, below=1)] = 0.5
    """Share of the bytes of rows and list that hot ids take, where neither number is given."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hash. With another one, other ids share a row."""


class CAFE(Scored[CAFESettings]):
    """vector(id) = table[r] for a hot id with row r, and table[num_hot + h(id)] for all others.

    h is a hash to num_cold rows. No id is hot at first. A step adds to the score of an id the norm of the gradient at
    its vector, over the mean norm of the batch. At the first end of a chunk after each of num_checks equal parts of the
    run, up to ``change_end``, the ids with the num_hot highest scores become hot: of equal scores the smallest ids, and
    at the first check, of ids not read so far, the most frequent. An id that becomes hot begins with a copy of its
    shared row, so that its vector stays, and with new moments. An id that is hot no longer goes back to its shared row;
    its own values are lost.

    Scores are exact, one number an id while it is trained. The published sketch in place of them keeps scores of some
    ids alone, and a threshold decides in place of a rank.

    The list of hot ids is served as in ``adapt``. Where all ids are hot the method is ``full``, and where none is
    ``hash``.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CAFEEmbedding
        >>> layer = CAFEEmbedding(6040, 64, num_hot=300, num_cold=300)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154832

    Reference:
        Zhang et al., "CAFE: towards compact, adaptive, and fast embedding for large-scale recommendation models", 2024
        (arXiv 2312.03256).
    """

    Settings = CAFESettings
    family = "by popularity"

    def resolve(self, settings: CAFESettings) -> CAFESettings:
        """Chooses num_hot and num_cold."""
        given = Divided(settings.num_hot, settings.num_cold)
        hot_of = partial(_hot_of, self.embedding_dim, settings.hot_share)
        hot, cold = given.resolved(self.vocabulary, hot_of, "are not hot")
        return replace(settings, num_hot=hot, num_cold=cold)

    @property
    def num_cold(self) -> int:
        """Number of shared rows; 0 if all ids are hot."""
        assert self.settings.num_cold is not None
        return self.settings.num_cold

    def tables(self) -> tuple[Array, ...]:
        """Describes one table, (num_hot + num_cold, embedding_dim), with the rows of hot ids first."""
        return (Array("table", (self.num_hot + self.num_cold, self.embedding_dim)),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hash``, the coefficients of h, int64 (1, 4), and ``row_of``, the rows of hot ids."""
        return (array("hash", 1), *super().maps()) if self.num_cold else ()

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name; no id is hot."""
        if not self.num_cold:
            return {}
        drawn = {"hash": coefficients(1, self.settings.hash_seed, self.vocabulary.name)}
        return {**drawn, ROW_OF: np.full(self.vocabulary.size, -1, np.int32)} if self.finds else drawn

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the own row of a hot id and the shared row of another."""
        ids = int32(ids, xp)
        if not self.num_cold:
            return {"table": ids}
        cold = self.shared(ids, maps, xp)
        if not self.finds:
            return {"table": cold}
        row = xp.take(maps[ROW_OF], ids, axis=0)
        return {"table": int32(xp.where(row < 0, cold, row), xp), SCORES: ids}

    def shared(self, ids: Any, maps: Arrays, xp: Any) -> Any:
        """Returns the shared row of each id."""
        return self.num_hot + below(hashes(ids, maps["hash"], xp), self.num_cold, xp)[..., 0]

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is."""
        return rows["table"]

    def taken(self, rows: np.ndarray, ids: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Rows:
        """Copies the shared row of each id into its own."""
        return Rows(rows, copied=self.shared(ids, arrays, np))

    def served(self) -> Method[Any]:
        """Describes hot rows by id, their list, and shared rows."""
        if not self.finds:
            return self
        return HotCold(self.vocabulary, self.embedding_dim, HotColdSettings(self.num_hot, self.num_cold))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Orders the rows of hot ids by id."""
        if not self.finds:
            return dict(arrays)
        hot, table = self.listed(arrays), arrays["table"]
        own = table[self.lookups(hot, arrays, np)["table"]]
        rows = np.concatenate([own, table[self.num_hot :]])
        return {"table": rows, "hot": hot.astype(np.int32), "hash": arrays["hash"]}

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: CAFESettings, budget_bytes: int
    ) -> CAFESettings:
        """Chooses the most rows within the bytes. Hot rows and their list take hot_share of them.

        If one of the numbers is given, the other takes all bytes that are left. If neither is given and the bytes are
        enough for a row an id, every id is hot.
        """
        given, hot_of = (
            Divided(settings.num_hot, settings.num_cold),
            partial(_hot_of, embedding_dim, settings.hot_share),
        )
        hot, cold = given.fitted(vocabulary.size, 4 * embedding_dim, HASH_BYTES, hot_of, budget_bytes)
        return cls(vocabulary, embedding_dim, replace(settings, num_hot=hot, num_cold=cold)).within(
            budget_bytes
        )


def _hot_of(embedding_dim: int, share: float, rows: int) -> int:
    """Returns the most hot rows of ``rows`` that, with their list, take at most a share of all; one row is shared."""
    return min(int(rows * embedding_dim * share / (embedding_dim + 1 - share)), rows - 1)
