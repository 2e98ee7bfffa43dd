"""The sentence that says what to choose, and on what grounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.reporting.words import apart, error, number, smaller
from bench.tradeoff.grouping import Comparable, Group
from bench.tradeoff.showing import SIGNIFICANT
from bench.tradeoff.statistics import knee, pareto

NEAR = 1.25
"""Groups whose bytes differ by at most this factor count as of one size."""


def basis(one: Comparable) -> str:
    """The error that a choice goes by: that on validation rows where every group has it."""
    validated = all(group.statistics["validation_mae"].mean is not None for group in one.groups)
    return "validation_mae" if validated else "val_mae"


def chosen(one: Comparable) -> Group | None:
    """The group to choose: at the knee of the front, else on the front with the smallest error.

    The baseline is never chosen. None where no other group is on the front.
    """
    at = _knee(one)
    if at is not None and at is not one.baseline:
        return at
    points = _points(one)
    on_front = [
        (error, place)
        for place, ((_, error), best) in enumerate(zip(points, pareto(points), strict=True))
        if best and error is not None and one.groups[place] is not one.baseline
    ]
    return one.groups[min(on_front)[1]] if on_front else None


def _points(one: Comparable) -> list[tuple[float, float | None]]:
    return [(group.embedding_bytes, group.statistics[basis(one)].mean) for group in one.groups]


def _knee(one: Comparable) -> Group | None:
    at = knee(_points(one))
    return None if at is None else one.groups[at]


def sentences(one: Comparable, names: Sequence[str]) -> Iterator[str]:
    """What to choose in a set; the first sentence is for the top of the page.

    Args:
        one: the set.
        names: of its groups, in their order.
    """
    if all(group.statistics["val_mae"].mean is None for group in one.groups):
        yield "No group of runs here has an error that can be averaged, so there is nothing to choose by."
        return
    pick = chosen(one)
    if pick is None:
        if one.baseline is not None and len(one.groups) == 1:
            yield (
                "Only full tables have been run here, so there is nothing to choose between; "
                "python -m bench.run -m strategy=qr,md budget=0.3,0.1,0.03 seed=0,1,2 gives compressed ones."
            )
        else:
            yield "Full tables need no more memory than any run here with as small an error: keep them."
        return
    named = dict(zip(map(id, one.groups), names, strict=True))
    yield (
        f"{named[id(pick)]} needs {_smaller(pick, one)} than full tables {_loss(pick, one)}"
        f"{_peer(pick, one, named)}."
    )
    yield from _told(pick, one, named)


def times_smaller(group: Group, one: Comparable) -> float:
    """The baseline's bytes over a group's; without a baseline the group's own compression ratio.

    The two differ where a group's vectors are narrower than the baseline's.
    """
    return (
        group.compression_ratio
        if one.baseline is None
        else one.baseline.embedding_bytes / group.embedding_bytes
    )


def _smaller(group: Group, one: Comparable) -> str:
    return smaller(times_smaller(group, one))


def _loss(pick: Group, one: Comparable) -> str:
    found = apart(pick, one.baseline)
    if found is None:
        reached = f"and reaches {error(pick.statistics['val_mae'])} MAE"
        missing = "" if one.baseline else "; what it loses is not known without a run of strategy=full"
        return reached + missing
    size, half = found
    text = f"and {'loses' if size > 0 else 'gains'} {number(abs(size))} MAE"
    if half is not None:
        text += f" ± {number(half)}"
        if pick.p_value is not None and pick.p_value >= SIGNIFICANT:
            text += f" (not told apart from no difference, p = {pick.p_value:.2g})"
    return text


def _peer(pick: Group, one: Comparable, named: dict[int, str]) -> str:
    key = basis(one)
    near = [
        group
        for group in one.groups
        if group.strategy != pick.strategy
        and group is not one.baseline
        and group.statistics[key].mean is not None
        and 1 / NEAR <= group.embedding_bytes / pick.embedding_bytes <= NEAR
    ]
    if not near:
        return ""
    best = min(near, key=lambda group: group.statistics[key].mean or 0.0)
    mine, theirs = pick.statistics[key].mean or 0.0, best.statistics[key].mean or 0.0
    found = apart(best, one.baseline)
    much = f": {number(found[0])}" if found and found[0] > 0 else ""
    return f"; at that size {named[id(best)]} loses {'less' if theirs < mine else 'more'}{much}"


def _told(pick: Group, one: Comparable, named: dict[int, str]) -> Iterator[str]:
    equal = [
        group
        for group in one.groups
        if group is not one.baseline and group.delta.ci95 and group.delta.ci95[0] <= 0 <= group.delta.ci95[1]
        and one.baseline is not None and group.embedding_bytes < one.baseline.embedding_bytes
    ]  # fmt: skip
    if equal:
        least = min(equal, key=lambda group: group.embedding_bytes)
        if least is not pick:
            yield (
                "The smallest whose difference to full tables may be none, by its interval over "
                f"{least.delta.n} seeds, is {named[id(least)]}, which needs {_smaller(least, one)}."
            )
    if len(pick.runs) == 1:
        yield "That is one seed: nothing can be told apart; seed=0,1,2,3,4 gives intervals."
    how = (
        "the knee of the front"
        if _knee(one) is pick
        else "the smallest error on the front beside full tables"
    )
    if basis(one) == "validation_mae":
        yield f"Chosen on validation rows, as {how}; the errors shown are those of the evaluation rows."
    else:
        yield (
            f"Chosen as {how}, on the rows that the errors are reported for, so it is optimistic; "
            "dataset.split.validation_fraction=0.1 sets rows apart to choose on."
        )
