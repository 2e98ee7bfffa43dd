"""The choice of the sizes of each field's embedding, from settings and a budget."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from typing import Any

from bench.config.typed import number_of_bytes, shown
from bench.embeddings.base import Clipped, Method, OverBudget, Vocabulary, as_typed, largest
from bench.embeddings.methods.full import Full
from bench.errors import RequestError

log = logging.getLogger(__name__)

Choice = tuple[type[Method[Any]], Any]
"""A method and its settings, as ``bench.embeddings.read`` makes them. Sizes may be open."""

STEPS = 1 << 32
"""Number of equal steps into which the search cuts the shares from 0 to 1."""


def choose(
    choices: Mapping[str, Choice],
    vocabularies: Mapping[str, Vocabulary],
    embedding_dim: int,
    budget: float | str | None,
) -> dict[str, Method[Any]]:
    """Chooses the method of each field with all its sizes.

    With a budget, a search by halving finds one share for all fields. A field takes the largest size of its method
    within that share of its own full bytes. If even the smallest size is larger, the field takes the smallest size. If
    ``full`` is smaller still, the field stays full. The share is the largest with which all fields together stay within
    ``budget`` times the full bytes of all. A budget has no effect if the methods of all fields ignore it (``full``).

    A given size that is too large for every field is refused. If it is too large for some fields only, one line of the
    log names these fields.

    Args:
        choices: method and settings by field.
        vocabularies: the ids by field.
        embedding_dim: width of the vectors.
        budget: bytes to serve the embeddings as a share of the full float32 tables, above 0 and at most 1; or bytes
            with a unit, such as ``12MB``; or ``smallest`` for the smallest sizes that there are; None for the sizes in
            the settings.

    Raises:
        OverBudget: the budget cannot be met; the message names the smallest one that can.
        RequestError: the budget is out of range, or a setting does not work.
    """
    if isinstance(budget, float | int) and not 0 < budget <= 1:
        raise RequestError(
            f"budget={budget}: give a share of the uncompressed bytes, above 0 and at most 1, or bytes with a unit, "
            "such as 12MB"
        )
    if budget is None or all(method.ignores_budget for method, _ in choices.values()):
        sized = {f: method(vocabularies[f], embedding_dim, s) for f, (method, s) in choices.items()}
        _judge_sizes(choices, sized)
        return sized
    fields = {f: _Field(vocabularies[f], embedding_dim, *choice) for f, choice in choices.items()}
    full = sum(field.full.nbytes for field in fields.values())

    def total(step: int) -> int:
        return sum(field.method(step).nbytes for field in fields.values())

    if budget == "smallest":
        allowed = total(0)
    elif isinstance(budget, str):
        allowed = number_of_bytes(budget)
    else:  # the decimal that was typed: 0.29 of 100 bytes is 29
        allowed = int(Fraction(str(budget)) * full)
    step = largest(0, STEPS, lambda step: total(step) <= allowed)
    if step is None:
        smallest = total(0)
        parts = ", ".join(f"{f} {field.method(0).nbytes}" for f, field in fields.items())
        raise OverBudget(
            f"budget={budget}: {allowed} bytes of {full} cannot be met with these methods and sizes "
            f"(at their smallest: {parts}); the smallest that can is budget="
            f"{f'{smallest}B' if isinstance(budget, str) else _share_above(smallest, full)}",
            smallest,
        )
    _judge_sizes(choices, {f: field.sized(step) for f, field in fields.items()})
    return {f: field.method(step) for f, field in fields.items()}


class _Field:
    """The sizes of a field as a function of the share of its full bytes that it may take."""

    def __init__(
        self, vocabulary: Vocabulary, embedding_dim: int, method: type[Method[Any]], settings: Any
    ) -> None:
        self.vocabulary, self.embedding_dim = vocabulary, embedding_dim
        self.chosen, self.settings = method, settings
        self.full: Method[Any] = Full(vocabulary, embedding_dim)

    def method(self, step: int) -> Method[Any]:
        """Returns the method with the share step / STEPS, or ``full`` if that takes fewer bytes."""
        made = self.sized(step)
        return made if made.nbytes <= self.full.nbytes else self.full

    def sized(self, step: int) -> Method[Any]:
        """Returns the method with the share step / STEPS, or its smallest size if even that takes more."""
        try:
            settings = self._fit(self.full.nbytes * step // STEPS)
        except OverBudget as error:
            settings = self._fit(error.smallest_bytes)
        return self.chosen(self.vocabulary, self.embedding_dim, settings)

    def _fit(self, allowed: int) -> Any:
        return self.chosen.fit(self.vocabulary, self.embedding_dim, self.settings, allowed)


def _judge_sizes(choices: Mapping[str, Choice], sized: Mapping[str, Method[Any]]) -> None:
    """Refuses a size that is too large for every field that reads it. Logs a size that is too large for some of them.

    Raises:
        RequestError: names the setting, its value, and what works in each field.
    """
    found: dict[tuple[str, str, float], dict[str, Clipped]] = {}
    for field, (_, settings) in choices.items():
        for one in sized[field].clipped(settings):
            key = one.setting, shown(as_typed(getattr(settings, one.setting))), one.value
            found.setdefault(key, {})[field] = one
    for (setting, given, value), by_field in found.items():
        first = next(iter(by_field.values()))
        entry = shown(as_typed(value))
        subject = first.why if entry == given else f"{entry} is {first.why}"
        readers = [f for f, (_, own) in choices.items() if _has(own, setting, given)]
        limits = ", ".join(f"{field} ({one.limit})" for field, one in by_field.items())
        if len(by_field) == len(readers):
            every = "every field: " if len(readers) > 1 else ""
            raise RequestError(f"{setting}={given}: {subject} {every}{limits}")
        _warn_once(f"{setting}={given}: {subject} {limits}; {first.instead}")


def _has(settings: Any, setting: str, given: str) -> bool:
    own = {field.name for field in dataclasses.fields(settings)}
    return setting in own and shown(as_typed(getattr(settings, setting))) == given


@functools.cache
def _warn_once(line: str) -> None:
    log.warning("%s", line)


def _share_above(part: int, whole: int) -> float:
    """Returns part / whole, rounded up to four digits."""
    share = Fraction(part, whole)
    digits = 4
    while share * 10**digits < 1000:
        digits += 1
    return float(Fraction(ceil(share * 10**digits), 10**digits))


def used(method: Method[Any]) -> dict[str, Any]:
    """Gives what a result says of a field's embedding: method, settings, and the shape of each table."""
    tables = {table.name: list(table.shape) for table in method.tables()}
    return {"method": method.name(), **dataclasses.asdict(method.settings), "tables": tables}
