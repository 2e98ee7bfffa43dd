"""Who pays for compression: the difference to full tables by popularity of each field's ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.records.popularity import ITEM, Tenths, tenths
from bench.records.result import Result
from bench.tradeoff import statistics
from bench.tradeoff.groups import Group
from bench.tradeoff.sets import Comparable

GROUPS = 8
"""Most groups that sentences are given for."""

FIELDS = 3
"""Most fields that a sentence names."""

ByField = dict[str, list[float | None]]
"""One number for each tenth of each field's ids, the most popular first."""


@dataclass(frozen=True)
class Loss:
    """What a tenth of a field's ids loses beside full tables.

    Attributes:
        tenth: its number from 0, the most popular.
        value: the difference of the headline metric as a loss, above 0 if it is worse; mean over the seeds that both
            have.
        half: half the interval of that mean; None with one seed.
    """

    tenth: int
    value: float
    half: float | None


Pairs = list[tuple[float, float]]
"""The numbers of a group and of the baseline, for each seed that both have."""


def fields(group: Group) -> list[str]:
    """Gives the fields that all runs of a group have numbers of."""
    return list(_columns(group.runs))


def means(group: Group) -> ByField:
    """Gives the mean over a group's runs; None for a tenth that has no evaluation rows in some run."""
    return {name: [mean(column) for column in own] for name, own in _columns(group.runs).items()}


def differences(group: Group, baseline: Group | None) -> ByField:
    """Gives the mean difference to the baseline, paired by seed; nothing for the baseline itself and without one."""
    return {
        name: [mean([a - b for a, b in pairs]) for pairs in own]
        for name, own in _pairs(group, baseline).items()
    }


def ends(group: Group, baseline: Group) -> dict[str, tuple[Loss, Loss]]:
    """Gives what the rarest and the most popular tenth of each field's ids lose, of those with evaluation rows.

    A field of which fewer than two tenths have rows is left out.
    """
    found = {}
    for name, own in _pairs(group, baseline).items():
        known = [(place, pairs) for place, pairs in enumerate(own) if pairs]
        if len(known) > 1:
            found[name] = _loss(group, *known[-1]), _loss(group, *known[0])
    return found


def _loss(group: Group, tenth: int, pairs: Sequence[tuple[float, float]]) -> Loss:
    sign = -1 if group.headline.higher else 1
    found = statistics.difference([a for a, _ in pairs], [b for _, b in pairs], group.ci)
    if found.mean is None or found.ci95 is None:
        ((mine, theirs),) = pairs
        return Loss(tenth, sign * (mine - theirs), None)
    return Loss(tenth, sign * found.mean, (found.ci95[1] - found.ci95[0]) / 2)


def _columns(runs: Sequence[Result]) -> dict[str, list[Tenths]]:
    """Gives for each field that all runs have the numbers of each tenth, one a run."""
    every = [tenths(run) for run in runs]
    return {
        name: [list(column) for column in zip(*(own[name] for own in every), strict=False)]
        for name in (every[0] if every else ())
        if all(name in own for own in every)
    }


def mean(values: Sequence[float | None]) -> float | None:
    """Gives the mean of some numbers; None if there are none, or if one is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _pairs(group: Group, baseline: Group | None) -> dict[str, list[Pairs]]:
    """Gives for each tenth of each field the numbers of both; no pairs if a run lacks the number.

    Nothing is given for the baseline itself, without one, and without a seed in common.
    """
    if baseline is None or group is baseline:
        return {}
    mine, theirs = ({run.seed or 0: run for run in one.runs} for one in (group, baseline))
    common = [seed for seed in mine if seed in theirs]
    ours = _columns([mine[seed] for seed in common])
    full = _columns([theirs[seed] for seed in common])
    return {
        name: [_whole(a, b) for a, b in zip(ours[name], full[name], strict=False)]
        for name in ours
        if name in full
    }


def _whole(ours: Tenths, full: Tenths) -> Pairs:
    pairs = [(a, b) for a, b in zip(ours, full, strict=True) if a is not None and b is not None]
    return pairs if len(pairs) == len(ours) else []


def sentences(one: Comparable, names: Sequence[str]) -> Iterator[str]:
    """Gives a line on how to read what follows, and a sentence for each group beside full tables.

    If there are many groups, each method's best is shown. Of many fields those are named whose rarest ids lose the most
    more than the most popular. Nothing is given without a baseline, or if the runs hold no numbers by popularity.

    Args:
        one: the set.
        names: names of its groups, in their order.
    """
    baseline = one.baseline
    if baseline is None:
        return
    shown = _shown(one)
    found = {place: ends(one.groups[place], baseline) for place in shown}
    told = named_fields(list(found.values()))
    if not told:
        return
    every = dict.fromkeys(name for own in found.values() for name in own)
    of = "" if len(every) <= len(told) else f"; of {len(every)} fields those with the widest gap"
    seeds = max((len(set(one.groups[place].seeds) & set(baseline.seeds)) for place in shown), default=1)
    interval = ", ± half the 95 % interval" if seeds > 1 else ""
    yield (
        f"Who pays, in {one.headline.short} beside full tables (mean over paired seeds{interval}; tenths of the ids by "
        f"popularity in training rows{of}):"
    )
    for place in shown:
        clauses = [_clause(name, *found[place][name]) for name in told if name in found[place]]
        if clauses:
            yield f"{names[place]}: {'; '.join(clauses)}."
    left = sum(group is not baseline for group in one.groups) - len(shown)
    if left > 0:
        yield f"{left} more: the columns delta_FIELD_decile_1 to _10 of the report's table.csv."


def _shown(one: Comparable) -> list[int]:
    """Gives the places of the groups to tell of: all, or if they are many the best of each method."""
    others = [place for place, group in enumerate(one.groups) if group is not one.baseline]
    if len(others) <= GROUPS:
        return others
    best: dict[tuple[str, ...], int] = {}
    for place in sorted(others, key=lambda place: _cost(one.groups[place])):
        group = one.groups[place]
        best.setdefault((group.strategy, *group.methods.values()), place)
    return sorted(list(best.values())[:GROUPS])


def _cost(group: Group) -> float:
    cost = group.headline.cost(group.leading.mean)
    return float("inf") if cost is None else cost


def named_fields(found: Sequence[dict[str, tuple[Loss, Loss]]]) -> list[str]:
    """Gives the fields to name, in their order.

    Args:
        found: what the rarest and the most popular ids of each field lose, of each group.
    """
    gaps: dict[str, float] = {}
    for own in found:
        for name, (rarest, popular) in own.items():
            gaps[name] = max(gaps.get(name, float("-inf")), rarest.value - popular.value)
    widest = sorted(gaps, key=lambda name: -gaps[name])[:FIELDS]
    return [name for name in gaps if name in widest]


def nouns(name: str) -> str:
    """Gives the word for a field's ids: ``users``, ``items``, ``the ids of city``."""
    return {"user": "users", ITEM: "items"}.get(name, f"the ids of {name}")


def _clause(name: str, rarest: Loss, popular: Loss) -> str:
    verbs = ["pays" if one.value >= 0 else "gains" for one in (rarest, popular)]
    rows = "" if rarest.tenth == 9 else " with evaluation rows"
    second = "" if verbs[0] == verbs[1] else f"{verbs[1]} "
    return (
        f"the rarest tenth of {nouns(name)}{rows} {verbs[0]} {_amount(rarest)}, the most popular {second}"
        f"{_amount(popular)}"
    )


def _amount(one: Loss) -> str:
    return f"{abs(one.value):.4f}" + ("" if one.half is None else f" ± {one.half:.4f}")
