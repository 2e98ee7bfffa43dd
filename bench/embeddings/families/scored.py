"""Hot ids that are found while training: those whose vectors get the largest gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, TypeVar

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Change, Kind, Method, Progress, Rows, Vocabulary
from bench.embeddings.served.sparse import largest_entries

SCORES, ROW_OF = "scores", "row_of"

READS = 2
"""Checks for as many reads as there are ids, at most. A check passes over the scores of all ids."""


@dataclass
class ScoredSettings:
    """Settings of methods that find their hot ids while they are trained."""

    num_hot: Annotated[int, Range(low=0)] | None = None
    """Number of hot ids."""

    num_checks: int = 40
    """The hot ids are chosen anew at the first end of a chunk after each of num_checks equal parts of the run. A run
    that reads few ids beside those that there are has fewer parts: 2 for as many reads as ids, and at least 2."""

    change_end: Annotated[float, Range(low=0, high=1)] = 0.9
    """Share of the run's steps after which the hot ids stay."""

    decay: Annotated[float, Range(above=0, high=1)] = 0.9974
    """Factor that multiplies all scores at each check."""

    advantage: Annotated[float, Range(low=1)] = 1.1
    """Factor that multiplies the scores of hot ids, only to be compared: it keeps ids of near equal scores where they
    are."""

    min_change: Annotated[float, Range(low=0, high=1)] = 0.0
    """Share of the hot ids. If no more of them would change, all stay."""


T = TypeVar("T", bound=ScoredSettings)


class Scored(Method[T]):
    """A method with num_hot rows for the ids of the largest scores, which may change while it is trained.

    Each step adds to an id's score the norm of the gradient at its vector, over the mean norm of the batch. At a check,
    ids with too small a score lose their rows to others.

    Where all ids are hot, or none is, there is nothing to find: no scores, and no rows by id.
    """

    @property
    def num_hot(self) -> int:
        """Number of ids with their own row."""
        assert self.settings.num_hot is not None
        return self.settings.num_hot

    @property
    def finds(self) -> bool:
        """True if some ids are hot, and some are not."""
        return 0 < self.num_hot < self.vocabulary.size

    @abstractmethod
    def taken(self, rows: np.ndarray, ids: np.ndarray, arrays: Mapping[str, np.ndarray]) -> Rows:
        """Returns the new values of rows of ``table`` that ids take over, each (k,)."""

    def weights(self) -> tuple[Array, ...]:
        """Describes ``scores``, float32 (vocabulary, 1), if there is something to find."""
        shape = (self.vocabulary.size, 1)
        scores = Array(SCORES, shape, initializer="zeros", kind=Kind.OTHER, trainable=False)
        return (scores,) if self.finds else ()

    def counter(self) -> str | None:
        """Names the scores."""
        return SCORES if self.finds else None

    def maps(self) -> tuple[Array, ...]:
        """Describes ``row_of``, int32 (vocabulary,): the row of each hot id, and -1 for others."""
        return (Array(ROW_OF, (self.vocabulary.size,), "int32", kind=Kind.MAPS),) if self.finds else ()

    def is_due(self, progress: Progress) -> bool:
        """Returns True after each of num_checks equal parts of the run, up to ``change_end``."""
        if not self.finds or progress.share > self.settings.change_end:
            return False
        reads = self._reads * progress.epochs
        most = max(2, READS * reads // self.vocabulary.size) if reads else self.settings.num_checks
        return progress.passed(min(self.settings.num_checks, most))

    @cached_property
    def _reads(self) -> int:
        """Reads of the field in an epoch; 0 where they are unknown."""
        return 0 if self.vocabulary.counts is None else int(self.vocabulary.counts.sum())

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Gives the rows of ids that are hot no longer to those that have become so."""
        scores, row_of = arrays[SCORES], arrays[ROW_OF]
        decayed = {SCORES: scores * np.float32(self.settings.decay)}
        hot = np.flatnonzero(row_of >= 0)
        chosen = highest(scores[:, 0], hot, self.num_hot, self.settings.advantage, self.vocabulary)
        new = chosen[row_of[chosen] < 0]
        if len(new) <= self.settings.min_change * self.num_hot:
            return Change(decayed)
        stays = np.zeros(self.vocabulary.size, bool)
        stays[chosen] = True
        old = hot[~stays[hot]]
        rows = row_of[old] if len(hot) else np.arange(self.num_hot, dtype=np.int32)
        moved = Rows(np.concatenate([old, new]), np.concatenate([np.full(len(old), -1, np.int32), rows]))
        return Change(decayed, rows={ROW_OF: moved, "table": self.taken(rows, new, arrays)})

    def listed(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Lists num_hot ids, ascending: the hot ones, and the first others where fewer are hot so far."""
        is_hot = arrays[ROW_OF] >= 0
        others = np.flatnonzero(~is_hot)[: self.num_hot - np.count_nonzero(is_hot)]
        return np.sort(np.concatenate([np.flatnonzero(is_hot), others]))


def highest(
    scores: np.ndarray, hot: np.ndarray, count: int, advantage: float, vocabulary: Vocabulary
) -> np.ndarray:
    """Finds the ids with the highest scores.

    Among equal scores above 0 the smallest ids count. Of ids with a score of 0 those in ``hot`` count, or the most
    frequent in training where none is hot.

    Args:
        scores: float32 (vocabulary,).
        hot: none, or ``count`` ids.
        count: number of ids to find, from 1 to the vocabulary.
        advantage: factor of the scores of ``hot``, 1 or more.
        vocabulary: the field.

    Returns:
        Ids, ascending, int64 (count,).
    """
    own = scores[hot] * np.float32(advantage)
    # None below the least hot one is found, so that few are sorted.
    least = own.min() if len(hot) else np.float32(0)
    is_found = scores >= least if least > 0 else scores > 0
    is_found[hot[own > 0]] = True
    found = np.flatnonzero(is_found)
    if missing := max(0, count - len(found)):
        others = hot[own <= 0] if len(hot) else np.flatnonzero(scores <= 0)
        if not len(hot) and vocabulary.counts is not None:
            counts = vocabulary.counts[others].astype(np.float32)
            others = others[largest_entries(counts, missing, vocabulary.name)]
        return np.sort(np.concatenate([found, others[:missing]]))
    compared = scores[found]
    is_hot = np.zeros(len(scores), bool)
    is_hot[hot] = True
    compared[is_hot[found]] *= np.float32(advantage)
    best: np.ndarray = found[largest_entries(compared, count, vocabulary.name)]
    return best
