"""Sets of groups that may be compared: the baseline, differences to it, the front and its knee."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bench.records.fingerprint import canonical
from bench.records.result import Result, Tree
from bench.tradeoff import naming, statistics
from bench.tradeoff.families import Family
from bench.tradeoff.groups import Group
from bench.tradeoff.headline import Headline
from bench.tradeoff.statistics import Difference


@dataclass(frozen=True)
class Common:
    """The task, data and settings that all runs of a set have in common.

    Attributes:
        task: the task that their models were trained for.
        data_digest: digest of rows, split and numbering of ids; None if the split follows the seed, and for results
            of earlier versions, which hold none.
        settings: the settings that decide results, by dotted name; a seed that follows the run's is ``${seed}``.
    """

    task: str
    data_digest: str | None
    settings: Tree

    @property
    def key(self) -> str:
        """A text that is equal for equal sets."""
        return canonical([self.task, self.data_digest, self.settings])


@dataclass(frozen=True)
class Comparable:
    """Groups of equal data, task, split, model and training. Only such groups are compared.

    Attributes:
        common: the task, data and settings that the groups have in common.
        groups: the groups, from the most bytes to the fewest.
        baseline: the group of full tables. If there are several (of other widths or initial weights), it is that of
            ``strategy=full``, of the most bytes, of the most seeds.
        knee: the group at the knee of the front, see ``statistics.knee``.
        biases: a group of biases alone of equal data, split and training, with its difference to the baseline; None if
            there is none. It is not among the groups.
    """

    common: Common
    groups: tuple[Group, ...]
    baseline: Group | None
    knee: Group | None = None
    biases: Group | None = None

    @property
    def settings(self) -> Tree:
        """The settings that all groups have in common, by dotted name."""
        return self.common.settings

    @property
    def headline(self) -> Headline:
        """The metric that the groups are compared by."""
        return self.groups[0].headline

    @cached_property
    def constant(self) -> float | None:
        """The headline metric of the best constant, which needs no embeddings; None if no group holds it."""
        known = [group.constant for group in self.groups if group.constant is not None]
        return sum(known) / len(known) if len(set(known)) > 1 else known[0] if known else None

    @property
    def validated(self) -> bool:
        """True if validation rows can choose: if every group has the headline metric of these rows."""
        return all(group.statistics[self.headline.validation].mean is not None for group in self.groups)

    @property
    def family(self) -> Family | None:
        """The comparisons whose p values are corrected together; None if no group has a p value."""
        return next((group.family for group in self.groups if group.family), None)

    def corrected(self, p_values: Sequence[float | None], family: Family) -> Comparable:
        """Gives the set with corrected p values.

        Args:
            p_values: one for each group, in their order.
            family: the comparisons over which they are corrected.
        """
        found = tuple(
            replace(group, p_value=p_value, family=None if p_value is None else family)
            for group, p_value in zip(self.groups, p_values, strict=True)
        )
        new = {id(group): one for group, one in zip(self.groups, found, strict=True)}
        return replace(
            self,
            groups=found,
            baseline=None if self.baseline is None else new[id(self.baseline)],
            knee=None if self.knee is None else new[id(self.knee)],
        )

    @property
    def full_bytes(self) -> float:
        """Bytes of the uncompressed tables; the most if groups have different widths."""
        return max(group.embedding_bytes * group.compression_ratio for group in self.groups)

    def hypervolume(self, strategy: str | None = None) -> float:
        """Gives the hypervolume of the front, or of one strategy's groups, see ``statistics.hypervolume``.

        The reference point is that of the set: the bytes of the full tables, and the worst mean of the headline metric.
        """
        costs = [cost for _, cost in points(self.groups) if cost is not None]
        if not costs:
            return 0.0
        own = [group for group in self.groups if strategy in (None, group.strategy)]
        return statistics.hypervolume(points(own), (self.full_bytes, max(costs)))


def points(groups: Iterable[Group], validation: bool = False) -> list[statistics.Point]:
    """Gives memory in bytes and the mean of the headline metric of each group, as a cost: less is better.

    Args:
        groups: groups of one set.
        validation: True takes the metric of the validation rows.
    """
    return [
        (group.embedding_bytes, headline.cost(group.statistics[name].mean))
        for group in groups for headline in [group.headline]
        for name in [headline.validation if validation else headline.name]
    ]  # fmt: skip


def compared(
    runs: Sequence[Result], common: Common, follow: Sequence[str], ci: statistics.Kind
) -> Comparable:
    """Makes the groups of a set, and compares them. The p values are not yet corrected: no group has one.

    Args:
        runs: the runs of the set, in the order in which they were started.
        common: the task, data and settings that they have in common.
        follow: names of the seeds that follow the run's seed.
        ci: the kind of the intervals.
    """
    by_key: dict[str, dict[int, Result]] = defaultdict(dict)
    for run in runs:
        by_key[_group_key(run, asked=bool(follow))][run.seed or 0] = run
    members = [tuple(by_seed[seed] for seed in sorted(by_seed)) for by_seed in by_key.values()]
    groups = sorted((Group(own, bool(follow), ci=ci) for own in members), key=_by_size)
    baseline = min((group for group in groups if group.baseline), key=_as_baseline, default=None)
    deltas = [delta(group, baseline) for group in groups]
    front = statistics.pareto(points(groups))
    found = tuple(
        replace(group, pareto=best, delta=apart)
        for group, best, apart in zip(groups, front, deltas, strict=True)
    )
    knee = statistics.knee(points(groups))
    return Comparable(
        common,
        found,
        None if baseline is None else found[groups.index(baseline)],
        None if knee is None else found[knee],
    )


def _group_key(run: Result, asked: bool) -> str:
    """Gives a text that is equal for runs of a set that differ only in the seed.

    Equal embeddings as used give equal numbers, even if they were asked for differently. If the split follows the seed,
    sizes may follow the split. Then the settings as asked for decide.
    """
    embeddings: Any = run.setting("embeddings") if asked else {
        name: {key: value for key, value in used.items() if key != "table_updates"}
        for name, used in (run.embeddings or {}).items()
    }  # fmt: skip
    budget = None if naming.ignores_budget(run) else run.setting("budget")
    more = [run.setting(name) for name in ("full_below", "share", "budget_split")] if asked else []
    return canonical([run.strategy, embeddings, run.setting("embedding_dim"), budget, *more])


def delta(group: Group, baseline: Group | None) -> Difference:
    """Gives the difference of a group's headline metric to that of the baseline, paired by seed."""
    if baseline is None or group is baseline:
        return Difference()
    pairs = pairs_of(group, baseline)
    mine, theirs = [value for value, _ in pairs], [value for _, value in pairs]
    known = [value for value in (*mine, *theirs) if value is not None and statistics.finite(value)]
    if len(known) < 2 * len(pairs):
        return Difference()
    return statistics.difference(known[: len(pairs)], known[len(pairs) :], group.ci)


def pairs_of(group: Group, baseline: Group) -> list[tuple[float | None, float | None]]:
    """Gives the headline metric of a group and of the baseline, for each seed that both have."""
    mine, theirs = (one.by_seed(group.headline.name) for one in (group, baseline))
    return [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]


def _by_size(group: Group) -> tuple[float, float, str]:
    cost = group.headline.cost(group.leading.mean)
    return -group.embedding_bytes, float("inf") if cost is None else cost, naming.name(group.runs[0])


def _as_baseline(group: Group) -> tuple[bool, float, int, str]:
    return (
        group.strategy != "full", -group.embedding_bytes, -len(group.runs), naming.name(group.runs[0])
    )  # fmt: skip
