"""Sorts results into sets of runs that may be compared, and each set into groups that differ only in the seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from bench import tasks
from bench.records.fingerprint import FINDS_DATA, NOT_DECIDING, deciding
from bench.records.nested import flat
from bench.records.result import Result
from bench.tradeoff import naming, statistics
from bench.tradeoff.baselines import MODEL, with_biases, without_model
from bench.tradeoff.families import Family, Scope
from bench.tradeoff.groups import Group, Unfinished, lacks, reason_of
from bench.tradeoff.headline import task_of
from bench.tradeoff.sets import Common, Comparable, compared

SEEDS = ("dataset.seed", "dataset.split.seed")
"""Settings that may follow the run's seed, as with ``dataset.split.seed=${seed}``."""

_OF_A_GROUP = ("strategy", "embeddings", "budget", "budget_split", "full_below", "share", "embedding_dim")
_NOT_COMPARED = (*NOT_DECIDING, *_OF_A_GROUP, "seed", "save_weights")


@dataclass(frozen=True)
class Tradeoff:
    """The trade-off of memory against error over many runs.

    Attributes:
        sets: the sets of comparable groups, in the order of their first runs.
        unfinished: runs that failed or were refused. They are in no group.
        biases: groups of biases alone that are baselines of sets, and in no set of their own.
    """

    sets: tuple[Comparable, ...]
    unfinished: tuple[Unfinished, ...]
    biases: tuple[Group, ...] = ()

    @property
    def groups(self) -> list[Group]:
        """The groups of all sets."""
        return [group for one in self.sets for group in one.groups]

    @property
    def used(self) -> set[int]:
        """The identities of the runs that are in a group, also of biases alone."""
        return {id(run) for group in (*self.groups, *self.biases) for run in group.runs}


@dataclass(frozen=True)
class _Members:
    """Runs of one set, and the names of the seeds that follow the runs' seeds."""

    runs: list[Result]
    follow: tuple[str, ...] = ()


def tradeoff(results: Iterable[Result], ci: statistics.Kind = "t", scope: Scope = "section") -> Tradeoff:
    """Groups results, and compares what may be compared.

    Args:
        results: in the order in which the runs were started. Of equal runs (equal fingerprint, or equal group and
            seed) the last one counts.
        ci: the kind of the intervals, see ``statistics.interval``.
        scope: the comparisons over which p values are corrected: those within each set (``section``), or all if the
            results are those of a ``sweep`` or a reader's ``selection``.
    """
    finished: dict[str, Result] = {}
    unfinished: dict[Unfinished, str | None] = {}
    for number, run in enumerate(results):
        reason = left_out(run)
        if reason is None:
            key = run.fingerprint or f"without fingerprint: {number}"
            finished.pop(key, None)
            finished[key] = run
        else:
            missing = Unfinished(str(run.status), naming.name(run), run.seed, reason)
            unfinished[missing] = run.fingerprint
    sets = [
        compared(one.runs, _common(one.runs[0], one.follow), one.follow, ci)
        for one in _sets(list(finished.values()))
    ]
    shown, biases = with_biases(sets)
    return Tradeoff(
        tuple(_corrected(shown, scope)),
        # a run that was tried again and then finished is not missing
        tuple(missing for missing, key in unfinished.items() if key not in finished),
        tuple(biases),
    )


def baselines_for(results: Sequence[Result], others: Iterable[Result]) -> list[Result]:
    """Gives the runs, among others, that are baselines of some results which lack them.

    These are runs of full tables for a set and a width without any, and runs of biases alone, with seeds that the
    results have.
    """
    own = [run for run in results if left_out(run) is None]
    seeds = {run.seed for run in own}
    commons = [(run, _common(run)) for run in own]
    lack_full = {_place(run, common) for run, common in commons} - {
        _place(run, common) for run, common in commons if _uncompressed(run)
    }
    lack_biases = {without_model(common) for _, common in commons} - {
        without_model(common) for run, common in commons if _is_bias(run)
    }
    found = []
    for run in others:
        if run.seed in seeds and left_out(run) is None and _uncompressed(run):
            common = _common(run)
            if _place(run, common) in lack_full or (_is_bias(run) and without_model(common) in lack_biases):
                found.append(run)
    return found


def _place(run: Result, common: Common) -> tuple[str, object]:
    return common.key, run.setting("embedding_dim")


def _uncompressed(run: Result) -> bool:
    return run.strategy == "full" and all(
        used.get("method") == "full" for used in (run.embeddings or {}).values()
    )


def _is_bias(run: Result) -> bool:
    return bool(run.setting("model.name") == MODEL)


def _corrected(sets: Sequence[Comparable], scope: Scope) -> Iterator[Comparable]:
    """Gives the sets with p values by Holm's correction over each family of comparisons."""
    for family in [[one] for one in sets] if scope == "section" else [sets]:
        raw = [group.delta.p_value for one in family for group in one.groups]
        corrected = iter(statistics.holm(raw))
        named = Family(scope, sum(p_value is not None for p_value in raw))
        for one in family:
            yield one.corrected([next(corrected) for _ in one.groups], named)


def left_out(run: Result) -> str | None:
    """Gives the reason why a run is in no group; None if it is in one."""
    if not run.measured:
        return reason_of(run)
    if task_of(run) not in tasks.NAMES:
        return f"its task, {run.task}, is not known to this version"
    missing = lacks(run)
    return None if missing is None else f"its result has no {missing}"


def _common(run: Result, follow: Sequence[str] = ()) -> Common:
    """Gives the task, data and settings that must be equal for runs to be compared."""
    assert run.settings is not None  # ``lacks`` has checked this
    # a result without a digest is of an earlier version: the settings that find its data identify the data
    ignored = [name for name in _NOT_COMPARED if run.data_digest or name not in FINDS_DATA]
    values = dict(flat(deciding(run.settings, tuple(ignored))))
    values |= {"dataset.name": run.dataset, **dict.fromkeys(follow, "${seed}")}
    return Common(task_of(run), None if follow else run.data_digest, values)


def _sets(runs: Sequence[Result]) -> list[_Members]:
    """Gives the sets, in the order of their first runs.

    A run with ``seed=0 dataset.split.seed=0`` may be one of many seeds on one split, one of many splits, or both. Runs
    whose split has their own seed form one set if a split among them has runs of one seed only: a fixed split would
    have runs of other seeds too.
    """
    fixed: dict[str, list[Result]] = defaultdict(list)
    for run in runs:
        fixed[_common(run).key].append(run)
    found: list[_Members] = []
    taken: set[str] = set()
    for follow in chain.from_iterable(combinations(SEEDS, n) for n in range(1, len(SEEDS) + 1)):
        for family in _families(fixed, follow):
            alone = {key for key, _ in family if len({run.seed for run in fixed[key]}) == 1}
            members = [run for _, run in family]
            if alone and len({run.seed for run in members}) > 1 and not _data_changed(members):
                found.append(_Members(members, follow))
                taken |= alone
    found += [_Members(members) for key, members in fixed.items() if key not in taken]
    order = {id(run): number for number, run in enumerate(runs)}
    return sorted(found, key=lambda one: min(order[id(run)] for run in one.runs))


def _families(fixed: dict[str, list[Result]], follow: tuple[str, ...]) -> Iterable[list[tuple[str, Result]]]:
    """Gives lists of runs that differ only in seeds equal to the run's own, each run with the key of its split."""
    families: dict[str, list[tuple[str, Result]]] = defaultdict(list)
    for key, members in fixed.items():
        for run in members:
            if all(run.setting(name) == run.seed for name in follow):
                families[_common(run, follow).key].append((key, run))
    return families.values()


def _data_changed(runs: Sequence[Result]) -> bool:
    """Returns True if one seed has several data digests: then the digests cannot be assigned to the seeds."""
    digests: dict[int | None, set[str | None]] = defaultdict(set)
    for run in runs:
        digests[run.seed].add(run.data_digest)
    return any(len(own) > 1 for own in digests.values())
