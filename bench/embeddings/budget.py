"""From a budget to the sizes of each field's embedding."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from typing import Any

from bench.embeddings.base import Method, OverBudget, Vocabulary, largest
from bench.embeddings.full import Full
from bench.errors import RequestError

Choice = tuple[type[Method[Any]], Any]
"""A method and its settings, sizes open or given: what ``bench.embeddings.read`` makes."""

STEPS = 1 << 32
"""Shares that the search tells apart."""


def choose(
    choices: Mapping[str, Choice],
    vocabularies: Mapping[str, Vocabulary],
    embedding_dim: int,
    budget: float | None,
) -> dict[str, Method[Any]]:
    """The method of each field, its sizes chosen.

    One share for all fields is bisected. A field takes its method's largest size within that share of its own
    full bytes, its smallest where that is larger, and stays full where full is smaller still. The share is
    the largest with which all fields together stay within ``budget`` times the full bytes of all. Where every
    field's method ignores a budget (``full``), so does this.

    Args:
        choices: method and settings by field.
        vocabularies: by field.
        embedding_dim: width of the vectors.
        budget: bytes to serve the embeddings as a share of the full float32 tables, above 0 and at most 1;
            None for sizes as set.

    Raises:
        OverBudget: names the smallest budget that can be met.
        RequestError: a budget or a setting that cannot be.
    """
    if budget is not None and not 0 < budget <= 1:
        raise RequestError(f"budget={budget}: give a share of the uncompressed bytes, above 0 and at most 1")
    if budget is None or all(method.ignores_budget for method, _ in choices.values()):
        return {f: method(vocabularies[f], embedding_dim, s) for f, (method, s) in choices.items()}
    fields = {f: _Field(vocabularies[f], embedding_dim, *choice) for f, choice in choices.items()}
    full = sum(field.full.nbytes for field in fields.values())
    # As the decimal that was typed: 0.29 of 100 bytes is 29.
    allowed = int(Fraction(str(budget)) * full)

    def total(step: int) -> int:
        return sum(field.method(step).nbytes for field in fields.values())

    step = largest(0, STEPS, lambda step: total(step) <= allowed)
    if step is None:
        smallest = total(0)
        parts = ", ".join(f"{f} {field.method(0).nbytes}" for f, field in fields.items())
        raise OverBudget(
            f"budget={budget}: {allowed} bytes of {full} cannot be met with these methods and sizes "
            f"(at their smallest: {parts}); the smallest that can is budget={_share_above(smallest, full)}",
            smallest,
        )
    return {f: field.method(step) for f, field in fields.items()}


class _Field:
    """A field's sizes as a function of the share of its full bytes that it may take."""

    def __init__(
        self, vocabulary: Vocabulary, embedding_dim: int, method: type[Method[Any]], settings: Any
    ) -> None:
        self.vocabulary, self.embedding_dim, self.chosen, self.settings = (
            vocabulary,
            embedding_dim,
            method,
            settings,
        )
        self.full: Method[Any] = Full(vocabulary, embedding_dim)

    def method(self, step: int) -> Method[Any]:
        """The method with the share step / STEPS."""
        allowed = self.full.nbytes * step // STEPS
        try:
            settings = self._fit(allowed)
        except OverBudget as error:
            settings = self._fit(error.smallest_bytes)
        made = self.chosen(self.vocabulary, self.embedding_dim, settings)
        return made if made.nbytes <= self.full.nbytes else self.full

    def _fit(self, allowed: int) -> Any:
        return self.chosen.fit(self.vocabulary, self.embedding_dim, self.settings, allowed)


def _share_above(part: int, whole: int) -> float:
    """Gives part / whole, rounded up to four digits."""
    share = Fraction(part, whole)
    digits = 4
    while share * 10**digits < 1000:
        digits += 1
    return float(Fraction(ceil(share * 10**digits), 10**digits))
