"""What pruning methods share: how many weights are kept, and that they serve as a sparse table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from bench.embeddings.base import Method, Vocabulary, check_positive
from bench.embeddings.forms.sparse import Sparse, SparseSettings, largest_nnz, most_entries
from bench.errors import RequestError
from bench.settings import Range

DENSITY = 0.1
"""The share of the weights that is kept where nothing else is said."""


@dataclass
class PrunedSettings:
    """Settings of every pruning method."""

    nnz: int | None = None
    """How many weights are kept. None: by ``density``, or the most within the budget."""

    density: Annotated[float, Range(above=0, high=1)] | None = None
    """The share of the weights that is kept. None: by ``nnz`` or the budget, or where neither is given 0.1."""


P = TypeVar("P", bound=PrunedSettings)


class Pruned(Method[P]):
    """A method that keeps exactly ``nnz`` weights of a table of vocabulary x embedding_dim and serves them sparse.

    A density is rounded to the nearest count, at least 1; no more are kept than there are, nor than 2^31 - 1.
    """

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
        """How many weights are kept."""
        assert self.settings.nnz is not None
        return self.settings.nnz

    def served(self) -> Sparse:
        """The sparse table of nnz numbers."""
        return Sparse(self.vocabulary, self.embedding_dim, SparseSettings(self.nnz))

    @classmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: P, budget_bytes: int) -> P:
        """The most weights within the bytes."""
        if settings.nnz is None and settings.density is None:
            nnz = largest_nnz(vocabulary.size, embedding_dim, budget_bytes)
            settings = replace(settings, nnz=nnz)
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
