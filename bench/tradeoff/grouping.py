"""From results to groups of runs that differ only in the seed, and to sets of groups that may be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, combinations
from typing import Any

from bench.fingerprint import NOT_DECIDING, canonical, deciding
from bench.results import Status
from bench.tracking.content import flat
from bench.tradeoff import naming, statistics
from bench.tradeoff.statistics import Difference, Statistic

Result = Mapping[str, Any]

METRICS = ("val_mae", "val_rmse", "validation_mae", "step_time_ms", "lookup_us")
"""The numbers that a group has statistics of."""

TIMES = ("step_time_ms", "lookup_us")
"""Those of them that depend on the machine."""

SEEDS = ("dataset.seed", "dataset.split.seed")
"""Settings that may follow the run's seed, as with ``dataset.split.seed=${seed}``."""

_OF_A_GROUP = ("strategy", "embeddings", "budget", "embedding_dim")
_NOT_COMPARED = (
    *(name for name in NOT_DECIDING if name != "dataset.path"),  # results hold no digest of a table's rows
    *_OF_A_GROUP,
    "seed",
    "save_weights",
)
_MACHINE = ("processor", "gpu", "threads")


@dataclass(frozen=True)
class Unfinished:
    """A run that has no numbers.

    Attributes:
        status: ``failed``, ``refused``, or what the result says.
        name: ``qr num_buckets=120``.
        seed: the run's, None where the result does not say.
        reason: one line.
    """

    status: str
    name: str
    seed: int | None
    reason: str


@dataclass(frozen=True)
class Group:
    """Runs that differ only in the seed, one a seed.

    Attributes:
        runs: their results, by seed.
        resplit: the rows held out, or the data, follow the seed: the spread is that of the draw too.
        pareto: no group of the set has as few bytes and as small a mean error, and fewer or smaller.
        delta: val_mae minus the baseline's, paired by seed.
        p_value: of the difference, corrected over the groups of the set (Holm).
        ci: how the intervals are made.
    """

    runs: tuple[Result, ...]
    resplit: bool = False
    pareto: bool = False
    delta: Difference = field(default_factory=Difference)
    p_value: float | None = None
    ci: statistics.Kind = "t"

    @property
    def seeds(self) -> list[int]:
        """Ascending."""
        return [run["seed"] for run in self.runs]

    @property
    def strategy(self) -> str:
        """As chosen."""
        return str(self.runs[0]["strategy"])

    @property
    def budget(self) -> float | None:
        """As asked for; None where no method heeds it."""
        budget: float | None = self.runs[0]["settings"].get("budget")
        return None if naming.ignores_budget(self.runs[0]) else budget

    @property
    def embeddings(self) -> dict[str, Any]:
        """Each field's method and settings as used; None for a value that the split changes."""
        first, *others = (run["embeddings"] for run in self.runs)
        return {
            name: {
                key: value if all(other.get(name, {}).get(key) == value for other in others) else None
                for key, value in used.items()
            }
            for name, used in first.items()
        }

    @property
    def embedding_bytes(self) -> float:
        """To serve the embeddings; a mean where the split changes the vocabulary."""
        return self._mean("embedding_bytes")

    @property
    def compression_ratio(self) -> float:
        """Full bytes over these."""
        return self._mean("compression_ratio")

    def _mean(self, key: str) -> float:
        values = [run[key] for run in self.runs]
        mean: float = values[0] if len(set(values)) == 1 else sum(values) / len(values)
        return mean

    @property
    def baseline(self) -> bool:
        """Whether every field is uncompressed."""
        return all(used["method"] == "full" for used in self.runs[0]["embeddings"].values())

    @cached_property
    def machines(self) -> set[tuple[Any, ...]]:
        """Processor, accelerator, threads and jobs at once of the runs: what step times depend on."""
        return {
            (*((run.get("environment") or {}).get(name) for name in _MACHINE), _jobs(run))
            for run in self.runs
        }

    @property
    def crowded(self) -> bool:
        """Whether a run was trained beside others, so that its step time says little."""
        return any(_jobs(run) > 1 for run in self.runs)

    @cached_property
    def statistics(self) -> dict[str, Statistic]:
        """By name, those of ``METRICS``; step times of different machines are not averaged."""
        found = {
            name: statistics.statistic([run.get(name) for run in self.runs], self.ci) for name in METRICS
        }
        if len(self.machines) > 1:
            found.update(dict.fromkeys(TIMES, Statistic(0)))
        return found

    def values(self) -> dict[str, Any]:
        """The group as ``python -m bench.report format=json`` gives it: names and numbers that JSON has."""
        measured: dict[str, Any] = {}
        for name, found in self.statistics.items():
            interval = list(found.ci95) if found.ci95 else None
            measured |= {f"{name}_mean": found.mean, f"{name}_sd": found.sd, f"{name}_ci95": interval}
        return {
            "strategy": self.strategy,
            "embeddings": self.embeddings,
            "dataset": self.runs[0]["dataset"],
            "budget": self.budget,
            "seeds": self.seeds,
            "resplit": self.resplit,
            "embedding_bytes": self.embedding_bytes,
            "compression_ratio": self.compression_ratio,
            **measured,
            "pareto": self.pareto,
            "delta_mae": self.delta.mean,
            "delta_mae_ci95": list(self.delta.ci95) if self.delta.ci95 else None,
            "p_value": self.p_value,
        }


@dataclass(frozen=True)
class Comparable:
    """Groups of equal data set, split, model and training: these are compared, and no others.

    Attributes:
        settings: what they have in common, by dotted name; a seed that follows the run's is ``${seed}``.
        groups: from the most bytes to the fewest.
        knee: the group at the knee of the front, see ``statistics.knee``.
        baseline: the group of full tables; where several are (of other widths or initial weights), that of
            ``strategy=full``, of the most bytes, of the most seeds.
    """

    settings: dict[str, Any]
    groups: tuple[Group, ...]
    baseline: Group | None
    knee: Group | None = None

    @property
    def full_bytes(self) -> float:
        """What the set's uncompressed tables take; the most where groups have other widths."""
        return max(group.embedding_bytes * group.compression_ratio for group in self.groups)

    def hypervolume(self, strategy: str | None = None) -> float:
        """Of the front, or of one strategy's groups: see ``statistics.hypervolume``.

        The reference point is the set's: the bytes of the full tables, and its largest mean error.
        """
        errors = [mean for group in self.groups if (mean := group.statistics["val_mae"].mean) is not None]
        if not errors:
            return 0.0
        own = [group for group in self.groups if strategy in (None, group.strategy)]
        return statistics.hypervolume(_points(own), (self.full_bytes, max(errors)))


@dataclass(frozen=True)
class Tradeoff:
    """What runs say of memory against error.

    Attributes:
        sets: of comparable groups, in the order of their first runs.
        unfinished: runs that failed or were refused; they are in no group.
    """

    sets: tuple[Comparable, ...]
    unfinished: tuple[Unfinished, ...]

    @property
    def groups(self) -> list[Group]:
        """Those of all sets."""
        return [group for one in self.sets for group in one.groups]


def tradeoff(results: Iterable[Result], ci: statistics.Kind = "t") -> Tradeoff:
    """Groups results, and compares what may be compared.

    Args:
        results: as ``bench.results.read`` gives them. Of equal runs (equal fingerprint, or equal group and
            seed) the last one given counts.
        ci: how intervals are made, see ``statistics.interval``.
    """
    finished: dict[str, Result] = {}
    unfinished: dict[Unfinished, str | None] = {}
    for number, result in enumerate(results):
        done = result["status"] in (Status.FINISHED, Status.SKIPPED)
        lacks = _lacks(result)
        if done and not lacks:
            key = result.get("fingerprint") or f"without fingerprint: {number}"
            finished.pop(key, None)
            finished[key] = result
            continue
        reason = " ".join(str(result.get("error") or "its result gives no reason").split())
        if done:
            reason = f"its result has no {lacks}"
        missing = Unfinished(str(result["status"]), naming.name(result), result.get("seed"), reason)
        unfinished[missing] = result.get("fingerprint")
    return Tradeoff(
        tuple(_compared(runs, follow, ci) for runs, follow in _sets(list(finished.values()))),
        # what was tried again and then finished is not missing
        tuple(missing for missing, key in unfinished.items() if key not in finished),
    )


def _lacks(result: Result) -> str | None:
    """What a finished run must have to be in a group, and this one has not."""
    if not (result.get("settings") and result.get("embeddings")):
        return "settings"
    sizes = [result.get(name) for name in ("embedding_bytes", "compression_ratio")]
    known = all(isinstance(size, int | float) and statistics.finite(size) and size > 0 for size in sizes)
    return None if known else "memory"


def _common(run: Result, follow: Sequence[str] = ()) -> dict[str, Any]:
    """What must be equal for runs to be compared, by dotted name."""
    values = dict(flat(deciding(run["settings"], _NOT_COMPARED)))
    return {**values, "dataset.name": run["dataset"], **dict.fromkeys(follow, "${seed}")}


def _sets(runs: Sequence[Result]) -> list[tuple[list[Result], tuple[str, ...]]]:
    """Runs that may be compared, and the names of the seeds that follow the runs'.

    A run with ``seed=0 dataset.split.seed=0`` may be one of many seeds on one split, one of many splits, or
    both. Runs whose split has their own seed are taken together where one of them is alone with its split:
    was the split fixed, runs of other seeds would have it too.
    """
    fixed: dict[str, list[Result]] = defaultdict(list)
    for run in runs:
        fixed[canonical(_common(run))].append(run)
    found: list[tuple[list[Result], tuple[str, ...]]] = []
    taken: set[str] = set()
    for follow in chain.from_iterable(combinations(SEEDS, n) for n in range(1, len(SEEDS) + 1)):
        families: dict[str, list[tuple[str, Result]]] = defaultdict(list)
        for key, run in ((key, run) for key, members in fixed.items() for run in members):
            values = _common(run)
            if all(values.get(name) == run["seed"] for name in follow):
                families[canonical(_common(run, follow))].append((key, run))
        for family in families.values():
            alone = {key for key, _ in family if len({run["seed"] for run in fixed[key]}) == 1}
            if alone and len({run["seed"] for _, run in family}) > 1:
                found.append(([run for _, run in family], follow))
                taken |= alone
    found += [(members, ()) for key, members in fixed.items() if key not in taken]
    order = {id(run): number for number, run in enumerate(runs)}
    return sorted(found, key=lambda one: min(order[id(run)] for run in one[0]))


def _compared(runs: Sequence[Result], follow: tuple[str, ...], ci: statistics.Kind) -> Comparable:
    by_key: dict[str, dict[int, Result]] = defaultdict(dict)
    for run in runs:
        by_key[_group_key(run, asked=bool(follow))][run["seed"]] = run
    members = [tuple(by_seed[seed] for seed in sorted(by_seed)) for by_seed in by_key.values()]
    groups = sorted((Group(own, bool(follow), ci=ci) for own in members), key=_by_size)
    baseline = min((group for group in groups if group.baseline), key=_as_baseline, default=None)
    deltas = [_delta(group, baseline) for group in groups]
    p_values = statistics.holm([delta.p_value for delta in deltas])
    front = statistics.pareto(_points(groups))
    compared = tuple(
        replace(group, pareto=best, delta=delta, p_value=p_value)
        for group, best, delta, p_value in zip(groups, front, deltas, p_values, strict=True)
    )
    knee = statistics.knee(_points(groups))
    return Comparable(
        _common(runs[0], follow),
        compared,
        None if baseline is None else compared[groups.index(baseline)],
        None if knee is None else compared[knee],
    )


def _points(groups: Iterable[Group]) -> list[tuple[float, float | None]]:
    """Memory in bytes and mean error of each group."""
    return [(group.embedding_bytes, group.statistics["val_mae"].mean) for group in groups]


def _group_key(run: Result, asked: bool) -> str:
    """What must be equal for runs of a set to differ only in the seed.

    Equal embeddings as used give equal numbers, however they were asked for. Where the split follows the
    seed, sizes may follow the split, and what was asked for decides.
    """
    embeddings = run["settings"]["embeddings"] if asked else {
        name: {key: value for key, value in used.items() if key != "table_updates"}
        for name, used in run["embeddings"].items()
    }  # fmt: skip
    budget = None if naming.ignores_budget(run) else run["settings"].get("budget")
    return canonical([run["strategy"], embeddings, run["settings"].get("embedding_dim"), budget])


def _delta(group: Group, baseline: Group | None) -> Difference:
    if baseline is None or group is baseline:
        return Difference()
    mine: dict[int, Any] = {run["seed"]: run.get("val_mae") for run in group.runs}
    theirs: dict[int, Any] = {run["seed"]: run.get("val_mae") for run in baseline.runs}
    pairs = [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]
    if not all(statistics.finite(value) for pair in pairs for value in pair):
        return Difference()
    return statistics.difference([value for value, _ in pairs], [value for _, value in pairs], group.ci)


def _by_size(group: Group) -> tuple[float, float, str]:
    return -group.embedding_bytes, group.statistics["val_mae"].mean or 0.0, naming.name(group.runs[0])


def _as_baseline(group: Group) -> tuple[bool, float, int, str]:
    return (
        group.strategy != "full", -group.embedding_bytes, -len(group.runs), naming.name(group.runs[0])
    )  # fmt: skip


def _jobs(run: Result) -> int:
    return int((run.get("environment") or {}).get("jobs") or 1)
