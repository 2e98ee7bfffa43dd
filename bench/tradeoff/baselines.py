"""What compressed embeddings are compared with beside full tables: the best constant, and biases alone.

Biases alone are runs of ``model=bias`` with full tables. They are a baseline of every set of equal data, split and
training. Their own set is shown only if it has compressed groups too, or if there is no set to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.records.fingerprint import canonical
from bench.tradeoff.groups import Group
from bench.tradeoff.sets import Common, Comparable, delta

MODEL = "bias"
"""The model whose runs are biases alone, see ``bench.models.bias``."""

HARDLY = 0.05
"""The share of the best constant's metric by which full tables must be better. Otherwise they hardly beat it.

For biases alone it is a share of what these are better than the constant.
"""


def with_biases(sets: Sequence[Comparable]) -> tuple[list[Comparable], list[Group]]:
    """Gives each set its biases alone, if such runs are among the sets.

    Returns:
        The sets that are shown, and the groups of biases whose own set is not shown.
    """
    biases = {without_model(one.common): one for one in sets if _is_bias(one)}
    others = {without_model(one.common) for one in sets if not _is_bias(one)}
    shown: list[Comparable] = []
    hidden: list[Group] = []
    for one in sets:
        found = biases.get(without_model(one.common))
        if _is_bias(one):
            if without_model(one.common) in others and all(group.baseline for group in one.groups):
                hidden += one.groups
            else:
                shown.append(one)
        elif found is None or (group := _uncompressed(found)) is None:
            shown.append(one)
        else:
            shown.append(replace(one, biases=replace(group, pareto=False, delta=delta(group, one.baseline))))
    return shown, hidden


def _is_bias(one: Comparable) -> bool:
    return one.settings.get("model.name") == MODEL


def without_model(common: Common) -> str:
    """Gives a text that is equal for sets that differ in the model only."""
    settings = {name: value for name, value in common.settings.items() if not name.startswith("model.")}
    return canonical([common.task, common.data_digest, settings])


def _uncompressed(one: Comparable) -> Group | None:
    """Gives the group of full tables of the fewest bytes: wider ones predict nothing more."""
    return min(
        (group for group in one.groups if group.baseline),
        key=lambda group: group.embedding_bytes,
        default=None,
    )


def hardly(one: Comparable) -> Iterator[str]:
    """Gives a sentence if full tables hardly beat the best constant, and one if they hardly beat biases alone."""
    full = one.baseline.leading.mean if one.baseline else None
    biases = one.biases.leading.mean if one.biases else None
    if full is None or one.constant is None:
        return
    if (words := _beats(one, full, one.constant, abs(one.constant))) is not None:
        yield (
            f"Full tables {words} the best constant: {one.headline.short} {full:.4f} against {one.constant:.4f}. "
            "Differences between methods say little here."
        )
    if biases is not None and (words := _beats(one, full, biases, abs(one.constant - biases))) is not None:
        yield (
            f"Full tables {words} biases alone: {one.headline.short} {full:.4f} against {biases:.4f}. Vectors matter "
            "little here, and so does their compression."
        )


def _beats(one: Comparable, full: float, other: float, scale: float) -> str | None:
    """Gives ``hardly beat`` or ``do not beat``; None if full tables are clearly better than another value."""
    if not one.headline.worse(other, full):
        return "do not beat"
    return "hardly beat" if abs(other - full) < HARDLY * scale else None
