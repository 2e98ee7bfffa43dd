"""A group of runs as a report shows it: its name, its place among the others, and its numbers as texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bench.measure.units import short_size
from bench.records.result import METRICS
from bench.reporting import choice, repeat, words
from bench.tradeoff import naming, showing, statistics
from bench.tradeoff.groups import Group, Machine
from bench.tradeoff.headline import averaged
from bench.tradeoff.sets import Comparable

BYTES = ("tables", "networks", "maps", "codes", "other")
"""The parts of a run's ``embedding_bytes``."""


@dataclass(frozen=True)
class Entry:
    """A group of a report.

    Attributes:
        key: its name in elements of the page: ``set-1-3``.
        section: the key of its section.
        name: its name, unique in the section: ``qr num_buckets=120``.
        group: the runs.
        baseline: the group that it is compared with, or None.
        is_baseline: True if it is that group.
        knee: True if it lies at the knee of the front.
        rank: its place, from 0, in the order in which groups are chosen if there is room for few.
        smaller: the baseline's bytes divided by its own.
        timed: True if its times are of the machine and load under which most groups of the section were timed.
        worse: True if its headline metric is worse than that of the best constant.
        command: the command that repeats its runs; None if today's settings cannot.
    """

    key: str
    section: str
    name: str
    group: Group
    baseline: Group | None
    is_baseline: bool
    knee: bool
    rank: int
    smaller: float
    timed: bool
    worse: bool
    command: str | None

    @cached_property
    def method(self) -> str:
        """The strategy, and the fields that have another method: ``full, item=md``."""
        named = naming.words(self.group.runs[0])
        own = [f"{field}={named[field]}" for field in self.group.methods if field in named]
        return ", ".join([self.group.strategy, *own])

    @property
    def value(self) -> float | None:
        """The mean of the headline metric."""
        return self.group.leading.mean

    @property
    def settings(self) -> str:
        """The name without the strategy; empty for the defaults."""
        return self.name.removeprefix(self.group.strategy).strip()

    @property
    def memory(self) -> str:
        """The bytes to serve the embeddings: ``461 KiB``."""
        return short_size(self.group.embedding_bytes)

    @property
    def ratio(self) -> str:
        """The factor by which the group is smaller than the baseline: ``5.1x``."""
        return f"{self.smaller:.1f}x"

    @property
    def delta(self) -> str:
        """The difference to the baseline, see ``words.difference``."""
        return words.difference(self.group, self.baseline)

    @property
    def p_value(self) -> str:
        """The corrected p value of the difference, see ``showing.p_text``."""
        return showing.p_text(self.group.p_value)

    @property
    def parts(self) -> list[float] | None:
        """The bytes of each part of ``BYTES``; None if a run does not hold them."""
        every = [run.bytes for run in self.group.runs]
        if not every[0]:
            return None
        return [
            statistics.statistic([own.get(part, 0) if own else None for own in every]).mean or 0
            for part in BYTES
        ]

    def time(self, name: str) -> statistics.Statistic | None:
        """Gives the statistic of a time; None if it cannot be compared with the times of most groups."""
        return self.group.statistics[name] if self.timed else None

    def text(self, name: str) -> str:
        """Gives a metric as tables show it."""
        if METRICS[name].timed:
            found = self.time(name)
            return words.digits(found.mean if found else None)
        return words.leading(self.group.statistics[name])

    def values(self) -> dict[str, Any]:
        """Gives the group as JSON has it."""
        parts = self.parts
        return {
            **self.group.values(),
            "set": self.section,
            "id": self.key,
            "name": self.name,
            "method": self.method,
            "baseline": self.is_baseline,
            "knee": self.knee,
            "full_embedding_bytes": self.group.embedding_bytes * self.group.compression_ratio,
            "params_embedding": self.group.mean("params_embedding"),
            "optimizer_bytes": self.group.mean("optimizer_bytes"),
            "bytes": dict(zip(BYTES, parts, strict=True)) if parts else None,
            "step_time_comparable": self.timed and self.group.statistics["step_time_ms"].mean is not None,
            "command": self.command,
        }


def entries(key: str, one: Comparable, config_dirs: tuple[str, ...] = ()) -> list[Entry]:
    """Gives the groups of a set as its section shows them.

    Args:
        key: the key of the section.
        one: the set.
        config_dirs: the user's own folders of settings, for the commands that repeat runs.
    """
    names = _distinct(showing.names(one))
    machine = usual_machine(one)
    ranks = _ranks(one)
    follow = [name for name, value in one.settings.items() if value == "${seed}"]
    return [
        Entry(
            f"{key}-{number + 1}",
            key,
            names[number],
            group,
            one.baseline,
            group is one.baseline,
            group is one.knee,
            ranks[number],
            choice.times_smaller(group, one),
            group.machines == {machine},
            _worse(group, one.constant),
            repeat.command(
                group.runs[0].settings or {}, group.seeds, follow if group.resplit else (), config_dirs
            ),
        )
        for number, group in enumerate(one.groups)
    ]


def biases(key: str, one: Comparable, config_dirs: tuple[str, ...] = ()) -> Entry | None:
    """Gives the group of biases alone of a set; None if it has none."""
    if one.biases is None:
        return None
    (found,) = entries(f"{key}-biases", replace(one, groups=(one.biases,), knee=None), config_dirs)
    return replace(found, section=key, name=showing.BIASES)


def biases_command(one: Comparable, config_dirs: tuple[str, ...] = ()) -> str | None:
    """Gives the command that runs biases alone for a set; None if today's settings cannot."""
    like = one.baseline or one.groups[0]
    follow = [name for name, value in one.settings.items() if value == "${seed}"]
    return repeat.biases(like.runs[0].settings or {}, like.seeds, follow if like.resplit else (), config_dirs)


def _worse(group: Group, constant: float | None) -> bool:
    mean = group.leading.mean
    return mean is not None and constant is not None and group.headline.worse(mean, constant)


def _distinct(names: list[str]) -> list[str]:
    """Gives the names. Adds a number to equal names, whose groups differ in something that is not in the name."""
    seen: Counter[str] = Counter()
    count = Counter(names)
    out = []
    for name in names:
        seen[name] += 1
        out.append(f"{name} ({seen[name]})" if count[name] > 1 else name)
    return out


def _ranks(one: Comparable) -> list[int]:
    """Gives each group's rank. The order is: the baseline, the front, each strategy's best, the rest."""
    costs = [_cost(group) for group in one.groups]
    by_cost = sorted(range(len(costs)), key=lambda i: costs[i])
    best: dict[str, int] = {}
    for number in by_cost:
        best.setdefault(one.groups[number].strategy, number)

    def key(number: int) -> tuple[bool, bool, bool, float]:
        group = one.groups[number]
        return group is not one.baseline, not group.pareto, best[group.strategy] != number, costs[number]

    ranks = [0] * len(costs)
    for place, number in enumerate(sorted(range(len(costs)), key=key)):
        ranks[number] = place
    return ranks


def _cost(group: Group) -> float:
    cost = group.headline.cost(group.leading.mean)
    return float("inf") if cost is None else cost


def usual_machine(one: Comparable) -> Machine | None:
    """Gives the machine, threads and load of most groups of a set; None if every group has several."""
    count = Counter(machine for group in one.groups if len(group.machines) == 1 for machine in group.machines)
    # among those of equally many groups, the one with the fewest runs at once
    return max(count, key=lambda found: (count[found], -found.jobs)) if count else None


def columns(one: Comparable) -> list[str]:
    """Gives the metrics with a column in tables, without the headline metric: those with a mean in some group."""
    return [
        name for name in averaged(one.common.task)
        if name != one.headline.name and any(group.statistics[name].mean is not None for group in one.groups)
    ]  # fmt: skip


def fields_of(found: Sequence[Entry]) -> Mapping[str, list[str]]:
    """Gives the methods of the fields, by the names of methods."""
    return {entry.method: list(entry.group.methods.values()) for entry in found}
