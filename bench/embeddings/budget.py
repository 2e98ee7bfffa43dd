"""The choice of the sizes of each field's embedding, from settings and a budget."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
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
    split: str = "equal",
) -> dict[str, Method[Any]]:
    """Chooses the method of each field with all its sizes.

    With a budget, a search by halving finds the bytes that each field may take, see ``SPLITS``: by ``equal`` one share
    of its own full bytes. A field takes the largest size of its method within them. If even the smallest size is
    larger, the field takes the smallest size. If ``full`` is smaller still, the field stays full. The search finds the
    most bytes with which all fields together stay within ``budget`` times the full bytes of all. A budget has no effect
    if the methods of all fields ignore it (``full``).

    A given size that is too large for every field is refused. If it is too large for some fields only, one line of the
    log names these fields.

    Args:
        choices: method and settings by field.
        vocabularies: the ids by field.
        embedding_dim: width of the vectors.
        budget: bytes to serve the embeddings as a share of the full float32 tables, above 0 and at most 1; or bytes
            with a unit, such as ``12MB``; or ``smallest`` for the smallest sizes that there are; None for the sizes in
            the settings.
        split: how a budget is divided over the fields, a name of ``SPLITS``.

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
    each = [field.full.nbytes for field in fields.values()]
    full = sum(each)

    def shares(step: int) -> dict[str, int]:
        return dict(zip(fields, SPLITS[split](each, step), strict=True))

    def total(step: int) -> int:
        return sum(fields[f].method(allowed, split).nbytes for f, allowed in shares(step).items())

    if budget == "smallest":
        allowed = total(0)
    elif isinstance(budget, str):
        allowed = number_of_bytes(budget)
    else:  # the decimal that was typed: 0.29 of 100 bytes is 29
        allowed = int(Fraction(str(budget)) * full)
    step = largest(0, STEPS, lambda step: total(step) <= allowed)
    if step is None:
        smallest = total(0)
        parts = ", ".join(f"{f} {fields[f].method(own, split).nbytes}" for f, own in shares(0).items())
        raise OverBudget(
            f"budget={budget}: {allowed} bytes of {full} cannot be met with these methods and sizes "
            f"(at their smallest: {parts}); the smallest that can is budget="
            f"{f'{smallest}B' if isinstance(budget, str) else _share_above(smallest, full)}",
            smallest,
        )
    _judge_sizes(choices, {f: fields[f].sized(own) for f, own in shares(step).items()})
    return {f: fields[f].method(own, split) for f, own in shares(step).items()}


def _equal(full: Sequence[int], step: int) -> list[int]:
    """Gives each field one share of its full bytes."""
    return [one * step // STEPS for one in full]


def _size(full: Sequence[int], step: int) -> list[int]:
    """Gives each field its full bytes, but no more than one bound for all: the largest fields pay."""
    bound = max(full) * step // STEPS
    return [min(one, bound) for one in full]


def _alpha(full: Sequence[int], step: int) -> list[int]:
    """Gives each field the share (smallest / own size) ** alpha of its full bytes, with alpha from 1 to 0.

    At alpha = 1 all fields take as many bytes as the smallest. Below that they all take the same part of it. See Ginart
    et al., "Mixed dimension embeddings with application to memory-efficient recommendation systems", 2019: width
    d_f = d (p_f / max p) ** alpha, with p_f = 1 / size.
    """
    least, half = min(full), STEPS // 2
    alpha, part = (2 * (STEPS - step) / STEPS, 1.0) if step >= half else (1.0, step / half)
    return [int(part * one * (least / one) ** alpha) for one in full]


SPLITS: Mapping[str, Callable[[Sequence[int], int], list[int]]] = {
    "equal": _equal,
    "alpha": _alpha,
    "size": _size,
}
"""How a budget is divided, by the values of ``budget_split``: from each field's full bytes and a step from 0 to
``STEPS`` to the bytes that each field may take. More steps never give a field fewer bytes."""


class _Field:
    """The sizes of a field as a function of the bytes that it may take."""

    def __init__(
        self, vocabulary: Vocabulary, embedding_dim: int, method: type[Method[Any]], settings: Any
    ) -> None:
        self.vocabulary, self.embedding_dim = vocabulary, embedding_dim
        self.chosen, self.settings = method, settings
        self.full: Method[Any] = Full(vocabulary, embedding_dim)

    def method(self, allowed: int, split: str) -> Method[Any]:
        """Returns the method within some bytes, or ``full`` if that takes fewer bytes than the method.

        Unless all fields get one share, a field that may take its full bytes stays full.
        """
        if split != "equal" and allowed >= self.full.nbytes:
            return self.full
        made = self.sized(allowed)
        return made if made.nbytes <= self.full.nbytes else self.full

    def sized(self, allowed: int) -> Method[Any]:
        """Returns the method within some bytes, or its smallest size if even that takes more."""
        try:
            settings = self._fit(allowed)
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
    """Gives what a result says of an embedding: method, settings, the shape of each table, and who shares them."""
    tables = {table.name: list(table.shape) for table in method.tables()}
    vocabulary = method.vocabulary
    fields = {"fields": [one.name for one in vocabulary.members]} if vocabulary.is_shared else {}
    return {"method": method.name(), **dataclasses.asdict(method.settings), **fields, "tables": tables}
