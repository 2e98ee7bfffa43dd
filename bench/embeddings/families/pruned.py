"""Parts that pruning methods share: the number of weights that are kept, and the sparse table that serves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import Annotated, Any, TypeVar

from bench.config.typed import Range
from bench.embeddings.base import Method, Vocabulary, check_positive
from bench.embeddings.served.sparse import Sparse, SparseSettings, largest_nnz, most_entries
from bench.errors import RequestError

DENSITY = 0.1
"""Share of the weights that is kept by default."""

SPREAD = 0.05
"""Bound of the weights at the start, which are drawn from U(-0.05, 0.05)."""

FAR = 80.0
"""Bound of the arguments of exp: beyond it, the result is near the bounds of float32."""


@dataclass
class PrunedSettings:
    """Settings of every pruning method."""

    nnz: int | None = None
    """Number of weights that are kept. None: by ``density``; under a budget, as many as fit."""

    density: Annotated[float, Range(above=0, high=1)] | None = None
    """Share of the weights that is kept. None: by ``nnz`` or the budget; without both 0.1."""


P = TypeVar("P", bound=PrunedSettings)


class Pruned(Method[P]):
    """A method that keeps exactly ``nnz`` weights of a table of vocabulary x embedding_dim, and serves them sparse.

    A density is rounded to the nearest number of weights, at least 1. At most all weights are kept, and at most
    2^31 - 1.
    """

    family = "pruning"

    def resolve(self, settings: P) -> P:
        """Chooses nnz."""
        nnz, density = settings.nnz, settings.density
        if nnz is not None and density is not None:
            raise RequestError(
                f"density={density}: nnz={nnz} says how many weights are kept; give one of them"
            )
        if density is not None and not 0 < density <= 1:
            raise RequestError(f"density={density}: give a share above 0 and at most 1")
        check_positive(nnz=nnz)
        size, width = self.vocabulary.size, self.embedding_dim
        if nnz is None:
            nnz = max(1, round((DENSITY if density is None else density) * size * width))
        return replace(settings, nnz=min(nnz, most_entries(size, width)), density=None)

    @property
    def nnz(self) -> int:
        """Number of weights that are kept."""
        assert self.settings.nnz is not None
        return self.settings.nnz

    def served(self) -> Sparse:
        """Describes a sparse table of nnz numbers."""
        return Sparse(self.vocabulary, self.embedding_dim, SparseSettings(self.nnz))

    @classmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: P, budget_bytes: int) -> P:
        """Chooses the most weights within the bytes."""
        if settings.nnz is None and settings.density is None:
            nnz = largest_nnz(vocabulary.size, embedding_dim, budget_bytes)
            settings = replace(settings, nnz=nnz)
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)


def limits(trained: Any, start: float, rate: float, xp: Any) -> Any:
    """Computes thresholds, sigmoid(logit(start) + rate * trained)."""
    return 1 / (1 + xp.exp(-xp.clip(log(start / (1 - start)) + rate * trained, -FAR, FAR)))


def shrunk(values: Any, limits: Any, xp: Any) -> Any:
    """Computes sign(v) max(|v| - s, 0), as v less its part within -s to s."""
    return values - xp.minimum(xp.maximum(values, -limits), limits)
