"""The sentences that recommend a choice and give the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.reporting.words import apart, leading, number, smaller
from bench.tradeoff.baselines import hardly
from bench.tradeoff.groups import Group
from bench.tradeoff.sets import Comparable, points
from bench.tradeoff.statistics import knee, pareto

NEAR = 1.25
"""Groups whose bytes differ by at most this factor count as equally large."""


def chosen(one: Comparable) -> Group | None:
    """Gives the group to choose: at the knee of the front, else on the front with the best headline metric.

    The baseline is never chosen. None if no other group is on the front.
    """
    at = _knee(one)
    if at is not None and at is not one.baseline:
        return at
    found = points(one.groups, one.validated)
    on_front = [
        (cost, place)
        for place, ((_, cost), best) in enumerate(zip(found, pareto(found), strict=True))
        if best and cost is not None and one.groups[place] is not one.baseline
    ]
    return one.groups[min(on_front)[1]] if on_front else None


def _knee(one: Comparable) -> Group | None:
    at = knee(points(one.groups, one.validated))
    return None if at is None else one.groups[at]


def sentences(one: Comparable, names: Sequence[str]) -> Iterator[str]:
    """Gives the sentences on what to choose in a set. The first sentence is for the top of the page.

    Args:
        one: the set.
        names: names of its groups, in their order.
    """
    if all(group.leading.mean is None for group in one.groups):
        yield (
            f"No group of runs here has {'a' if one.headline.higher else 'an'} {one.headline.word} that can be "
            "averaged, so there is nothing to choose by."
        )
        return
    pick = chosen(one)
    if pick is None:
        if one.baseline is not None and len(one.groups) == 1:
            yield (
                "Only full tables have been run here, so there is nothing to choose between; "
                "python -m bench.run -m strategy=qr,md budget=0.3,0.1,0.03 seed=0,1,2 gives compressed ones."
            )
        else:
            good = "as good a score" if one.headline.higher else "as small an error"
            yield f"Full tables need no more memory than any run here with {good}: keep them."
        yield from hardly(one)
        return
    named = dict(zip(map(id, one.groups), names, strict=True))
    yield (
        f"{named[id(pick)]} needs {_smaller(pick, one)} than full tables {_loss(pick, one)}"
        f"{_peer(pick, one, named)}."
    )
    yield from hardly(one)
    yield from _told(pick, one, named)


def times_smaller(group: Group, one: Comparable) -> float:
    """Gives the baseline's bytes divided by a group's; without a baseline the group's own compression ratio.

    The two differ if a group's vectors are narrower than the baseline's.
    """
    if one.baseline is None:
        return group.compression_ratio
    return one.baseline.embedding_bytes / group.embedding_bytes


def _smaller(group: Group, one: Comparable) -> str:
    return smaller(times_smaller(group, one))


def _loss(pick: Group, one: Comparable) -> str:
    headline = one.headline
    found = apart(pick, one.baseline)
    if found is None:
        reached = f"and reaches {leading(pick.leading)} {headline.short}"
        missing = "" if one.baseline else "; what it loses is not known without a run of strategy=full"
        return reached + missing
    size, half = found
    much = number(abs(size)) + ("" if half is None else f" ± {number(half)}")
    if headline.worse(size, 0):
        return f"and loses {much} {headline.short}"
    if size == 0:
        return f"at the same {headline.short}" + ("" if half is None else f" (± {number(half)})")
    return f"and {'raises' if headline.higher else 'lowers'} {headline.short} by {much}"


def _most_lost(group: Group) -> float:
    """Gives the end of the interval of a group's difference at which it loses most, as a loss."""
    low, high = group.delta.ci95 or (0.0, 0.0)
    return -low if group.headline.higher else high


def _peer(pick: Group, one: Comparable, named: Mapping[int, str]) -> str:
    """Names the best other strategy of about the same size."""
    headline = one.headline
    key = headline.validation if one.validated else headline.name
    near = [
        (mean, group)
        for group in one.groups
        for mean in [group.statistics[key].mean]
        if group.strategy != pick.strategy
        and group is not one.baseline
        and mean is not None
        and 1 / NEAR <= group.embedding_bytes / pick.embedding_bytes <= NEAR
    ]
    if not near:
        return ""
    theirs, best = min(near, key=lambda found: headline.cost(found[0]) or 0.0)
    mine = pick.statistics[key].mean or 0.0
    found = apart(best, one.baseline)
    much = f": {number(abs(found[0]))}" if found and headline.worse(found[0], 0) else ""
    return (
        f"; at that size {named[id(best)]} loses {'more' if headline.worse(theirs, mine) else 'less'}{much}"
    )


def _told(pick: Group, one: Comparable, named: Mapping[int, str]) -> Iterator[str]:
    """Gives the reasons for a choice."""
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
                f"The smallest whose interval of the difference to full tables holds 0, over {least.delta.n} seeds, is "
                f"{named[id(least)]}, which needs {_smaller(least, one)}; by that interval it may lose "
                f"{number(_most_lost(least))} {one.headline.short}."
            )
    if len(pick.runs) == 1:
        yield "That is one seed: nothing can be told apart; seed=0,1,2,3,4 gives intervals."
    best = "highest score" if one.headline.higher else "smallest error"
    how = "the knee of the front" if _knee(one) is pick else f"the {best} on the front beside full tables"
    if one.validated:
        yield f"Chosen on validation rows, as {how}; the {one.headline.word}s shown are those of the evaluation rows."
    else:
        yield (
            f"Chosen as {how}, on the rows that the {one.headline.word}s are reported for, so it is optimistic; "
            "dataset.split.validation_fraction=0.1 sets rows apart to choose on."
        )
