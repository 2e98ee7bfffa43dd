"""Methods whose bytes follow from the vocabulary and the width alone, or from settings that no budget chooses."""

from __future__ import annotations

from bench.embeddings.base import Method, S, Vocabulary


class OneSize(Method[S]):
    """A method that leaves no size open: a budget is met or refused with the bytes that it takes."""

    def resolve(self, settings: S) -> S:
        """Nothing is left open."""
        return settings

    @classmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: S, budget_bytes: int) -> S:
        """The settings as they are; ``OverBudget`` with the bytes of the one size where that is more."""
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)
