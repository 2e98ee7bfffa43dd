"""Methods without a size to choose: their bytes follow from the vocabulary, the width, and settings as given."""

from __future__ import annotations

from bench.embeddings.base import Method, S, Vocabulary


class OneSize(Method[S]):
    """A method without a size to choose. A budget that it does not meet is refused."""

    def resolve(self, settings: S) -> S:
        """Returns the settings as they are: no size is open."""
        return settings

    @classmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: S, budget_bytes: int) -> S:
        """Returns the settings as they are.

        Raises:
            OverBudget: the one size takes more than the budget.
        """
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
