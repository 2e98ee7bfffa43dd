"""CERP: an id's vector is the sum of rows of two small tables, which are pruned while they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range, checked
from bench.embeddings.base import Array, Arrays, Change, Kind, Lookups, Method, Progress, Vocabulary, int32
from bench.embeddings.families.pruned import SPREAD, limits, shrunk
from bench.embeddings.methods.qr import smallest_num_buckets
from bench.embeddings.served.sparse import Sparse, SparseSettings, largest_entries, most_entries
from bench.errors import RequestError

PARTS = ("p", "q")
"""Names of the two tables: ``p`` is read by the remainder of an id, ``q`` by its quotient."""

STEEPNESS = 100
"""The factor of a number within tanh, so that the reward of a number above some hundredths is that of any."""

FADES = 40
"""Number of times in a run that the weight of the reward falls."""

Density = Annotated[float, Range(above=0, high=1)]
Share = Annotated[float, Range(above=0, high=1)]


@dataclass
class CERPSettings:
    """Settings of ``cerp``."""

    num_rows: int | None = None
    """Rows b of each table, at most one an id. None: vocabulary // 50, and at least the smallest number that tells all
    ids apart; under a budget, as many as fit."""

    density: Density = 0.5
    """Share of the weights of each table that is kept."""

    search_share: Share = 0.3
    """Share of the run's steps in which thresholds look for the weights to keep. The rest trains these."""

    threshold: Annotated[float, Range(above=0, below=1)] = 0.02
    """Thresholds at the start, in units of the weights, which begin below 0.05."""

    threshold_rate: Annotated[float, Range(above=0)] = 100.0
    """Learning rate of the thresholds, as a multiple of the run's."""

    reward: Annotated[float, Range(low=0)] = 1.0
    """Weight of the reward for sums without zeros at the start. It falls to 0 by the end of the search."""


class CERP(Method[CERPSettings]):
    """vector(id) = P[id mod b] + Q[id // ceil(vocabulary / b)], with b = num_rows and two sparse tables.

    No two ids read the same two rows, because b * b is at least the vocabulary.

    During the search, each weight v is shrunk to sign(v) max(|v| - s, 0), with the threshold s of its table and column;
    see ``pep``. To the loss is added - gamma mean(tanh(100 vector)^2), a reward for sums without zeros. So the zeros of
    one table fall where the other has none. gamma falls from ``reward`` to 0 by the end of the search.

    Then the weights with the largest |v| - s are kept, the same number in each table, and of equal ones the first. The
    tables and their moments start anew from U(-0.05, 0.05), and the rest of the run trains the weights that are kept.
    Where the search lasts to the end of the run, they stay as the search has left them.

    The paper has a threshold for each weight, adds up the reward over a batch, halves gamma in each epoch, and begins
    anew from the first values.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CERPEmbedding
        >>> layer = CERPEmbedding(6040, 64, num_rows=120)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # of each table: 3,840 numbers, a bit for each place, and where each row begins
        33600

    Reference:
        Liang, Chen, Nguyen, Li and Yin, "Learning compact compositional embeddings via regularized pruning for
        recommendation", 2023 (arXiv 2309.03518).
    """

    Settings = CERPSettings
    family = "pruning"

    def resolve(self, settings: CERPSettings) -> CERPSettings:
        """Chooses num_rows. A number that gives two ids the same rows is refused."""
        size = self.vocabulary.size
        smallest = smallest_num_buckets(size)
        checked("density", settings.density, Density)
        checked("search_share", settings.search_share, Share)
        buckets = max(size // 50, smallest) if settings.num_rows is None else settings.num_rows
        if buckets < smallest:
            raise RequestError(
                f"num_rows={buckets}: too few to tell apart the {size} ids of {self.vocabulary.name}; "
                f"the smallest that works is {smallest}"
            )
        return replace(settings, num_rows=min(buckets, size))

    @property
    def num_rows(self) -> int:
        """Rows of each table."""
        assert self.settings.num_rows is not None
        return self.settings.num_rows

    @property
    def nnz(self) -> int:
        """Number of weights that are kept of each table."""
        most = most_entries(self.num_rows, self.embedding_dim)
        return min(max(1, round(self.settings.density * self.num_rows * self.embedding_dim)), most)

    def tables(self) -> tuple[Array, ...]:
        """Describes the tables, and which of their weights are not kept: uint8, 1 if so."""
        shape = (self.num_rows, self.embedding_dim)
        pruned = [Array(f"{part}_pruned", shape, "uint8", kind=Kind.OTHER) for part in PARTS]
        return (*(Array(part, shape) for part in PARTS), *pruned)

    def weights(self) -> tuple[Array, ...]:
        """Describes the thresholds of the columns of both tables, and two numbers that say how far training is.

        ``thresholds`` is (2, embedding_dim). ``faded`` (1,) is the share of the reward that is gone. ``searched`` (1,)
        is 1 after the search.
        """
        return (
            Array("thresholds", (2, self.embedding_dim), initializer="zeros"),
            Array("faded", (1,), kind=Kind.OTHER, trainable=False),
            Array("searched", (1,), "int32", kind=Kind.OTHER),
        )

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row of ``p`` by the remainder of the id, and that of ``q`` by the quotient."""
        p, q = digits(ids, self.vocabulary.size, self.num_rows, xp)
        return {"p": p, "p_pruned": p, "q": q, "q_pruned": q}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Adds the two rows, shrunk by the thresholds during the search, and masked afterwards."""
        zero, parts = np.float32(0), []
        for number, part in enumerate(PARTS):
            masked = xp.where(rows[f"{part}_pruned"] > 0, zero, rows[part])
            found = shrunk(rows[part], self._limits(weights["thresholds"][number], xp), xp)
            parts.append(xp.where(weights["searched"] > 0, masked, found))
        return parts[0] + parts[1]

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """Computes - gamma mean(tanh(100 vector)^2)."""
        if not self.settings.reward:
            return None
        gamma = np.float32(self.settings.reward) * (1 - weights["faded"][0])
        vectors = self.combine(rows, indices, weights, xp, True)
        weight = gamma * len(self.vocabulary.members)
        return -weight * xp.mean(xp.square(xp.tanh(vectors * STEEPNESS)))

    def is_due(self, progress: Progress) -> bool:
        """Returns True during the search where the weight of the reward falls, and at the end of the search."""
        share = self.settings.search_share
        ends = progress.share >= share
        return progress.previous < share * progress.steps and (ends or progress.passed(FADES))

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Lowers the weight of the reward. At the end of the search, prunes both tables.

        Raises:
            RunFailed: a weight or a threshold is NaN or infinite.
        """
        share = self.settings.search_share
        if arrays["searched"][0]:
            return Change({})
        if progress.share < share:
            return Change({"faded": np.array([progress.share / share], np.float32)})
        anew = progress.step < progress.steps  # at the end of the run nothing would be learned
        new: dict[str, np.ndarray] = {"searched": np.ones(1, np.int32), "faded": np.ones(1, np.float32)}
        for part, (found, kept) in self._kept(arrays).items():
            pruned = np.ones(found.shape, np.uint8)
            pruned.reshape(-1)[kept] = 0
            first = rng.uniform(-SPREAD, SPREAD, found.shape).astype(np.float32) if anew else found
            new |= {part: first, f"{part}_pruned": pruned}
        return Change(new, reset_moments=anew)

    def _kept(self, arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns the shrunk tables, and the places of the weights with the largest |v| - s, by part."""
        out = {}
        for number, part in enumerate(PARTS):
            table = arrays[part]
            bounds = self._limits(arrays["thresholds"][number], np)
            kept = largest_entries(np.abs(table) - bounds, self.nnz, self.vocabulary.name)
            out[part] = shrunk(table, bounds, np), kept
        return out

    def _limits(self, trained: Any, xp: Any) -> Any:
        return limits(trained, self.settings.threshold, self.settings.threshold_rate, xp)

    def served(self) -> SparseSum:
        """Describes two sparse tables."""
        return SparseSum(self.vocabulary, self.embedding_dim, SparseSumSettings(self.num_rows, self.nnz))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Keeps the weights that the search has chosen; before the end of the search, its choice for now, shrunk.

        Raises:
            RunFailed: a weight or a threshold is NaN or infinite.
        """
        if arrays["searched"][0]:
            kept = {
                part: (arrays[part], np.flatnonzero(arrays[f"{part}_pruned"].reshape(-1) == 0))
                for part in PARTS
            }
        else:
            kept = self._kept(arrays)
        form = self.served()
        out: dict[str, np.ndarray] = {}
        for part, sparse in form.parts.items():
            out |= {f"{part}_{name}": array for name, array in sparse.stored(*kept[part]).items()}
        return {array.name: out[array.name] for array in form.arrays()}

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: CERPSettings, budget_bytes: int
    ) -> CERPSettings:
        """Chooses the most buckets within the bytes."""
        smallest = smallest_num_buckets(vocabulary.size)
        return cls.fit_size(
            vocabulary, embedding_dim, settings, budget_bytes, "num_rows", smallest, vocabulary.size
        )


def digits(ids: Any, size: int, num_rows: int, xp: Any) -> tuple[Any, Any]:
    """Returns id mod b and id // ceil(size / b), int32 of the ids' shape."""
    ids = int32(ids, xp)
    return ids - ids // num_rows * num_rows, ids // -(-size // num_rows)


@dataclass
class SparseSumSettings:
    """Settings of ``SparseSum``."""

    num_rows: int = 1
    """Rows of each table."""

    nnz: int = 1
    """Number of numbers that are kept of each table."""


class SparseSum(Method[SparseSumSettings]):
    """The form that serves: the sum of a row of each of two sparse tables, see ``bench.embeddings.served.sparse``.

    The arrays of each are called as there, after ``p_`` and ``q_``.
    """

    Settings = SparseSumSettings

    def resolve(self, settings: SparseSumSettings) -> SparseSumSettings:
        """Returns the settings as they are: no size is open."""
        return settings

    @property
    def parts(self) -> dict[str, Sparse]:
        """The sparse tables."""
        rows, nnz = self.settings.num_rows, self.settings.nnz
        form = Sparse(Vocabulary(self.vocabulary.name, rows), self.embedding_dim, SparseSettings(nnz))
        return dict.fromkeys(PARTS, form)

    def tables(self) -> tuple[Array, ...]:
        """Describes the numbers of both tables."""
        parts = self.parts.items()
        return tuple(
            replace(array, name=f"{part}_{array.name}") for part, form in parts for array in form.tables()
        )

    def maps(self) -> tuple[Array, ...]:
        """Describes the places of the numbers of both tables."""
        parts = self.parts.items()
        return tuple(
            replace(array, name=f"{part}_{array.name}") for part, form in parts for array in form.maps()
        )

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Finds the numbers of the row of each table."""
        found: Lookups = {}
        rows = digits(ids, self.vocabulary.size, self.settings.num_rows, xp)
        for (part, form), row in zip(self.parts.items(), rows, strict=True):
            own = {array.name: maps[f"{part}_{array.name}"] for array in form.maps()}
            found |= {f"{part}_{name}": value for name, value in form.lookups(row, own, xp).items()}
        return found

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Adds the two rows."""
        first, second = (
            form.combine(
                {"values": rows[f"{part}_values"]}, {"found": indices[f"{part}_found"]}, {}, xp, False
            )
            for part, form in self.parts.items()
        )
        return first + second

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: SparseSumSettings, budget_bytes: int
    ) -> SparseSumSettings:
        """Returns the settings as they are: the method that is trained chooses the sizes."""
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
