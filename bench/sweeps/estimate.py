"""The time that a sweep's runs will take, by its runs that have ended and by earlier runs on this machine."""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median_low

from bench.measure import environment, units
from bench.records.fingerprint import deciding
from bench.records.result import Result, Status, Tree
from bench.records.store import Record, Store

ALIKE = ("model", "training.batch_size", "training.rows", "training.optimizer", "training.table_updates",
         "training.jit", "embedding_dim", "timing")  # fmt: skip
"""Settings that runs whose times are compared have in common."""

PHASES = ("data_s", "compile_s", "train_s", "eval_s")
"""The phases of a run that its result has the seconds of."""

OVERHEAD_SECONDS = 1.0
"""What a run takes beyond its phases, as long as no run of the sweep has shown it."""


def recorded(folders: Iterable[Path]) -> list[Result]:
    """Reads the results of finished runs that were recorded on a machine like this one.

    Args:
        folders: folders of records.
    """
    here = environment.processor(), environment.cores()
    found = [
        record.result for folder in folders for record in Store(folder).all() if isinstance(record, Record)
    ]
    return [one for one in found if one.status == Status.FINISHED and _machine(one) == here]


def ran_beside(result: Result) -> bool:
    """Returns True if other runs went on at the same time."""
    return int((result.environment or {}).get("jobs") or 1) > 1


def of_phases(result: Result) -> float:
    """The seconds of a run's phases. A parent's training, MLflow and imports are not among them."""
    return sum(_phases(result))


def strategy_of(settings: Tree) -> str:
    """The name of the strategy in some settings."""
    return str(settings.get("strategy", ""))


@dataclass
class _Times:
    """The times of runs that are alike.

    Attributes:
        fixed: seconds of each run that do not grow with its epochs. Compilation and data are parts of them.
        an_epoch: seconds an epoch of each run.
        parents: seconds that runs have waited for the training of what they compress.
    """

    fixed: list[float] = field(default_factory=list)
    an_epoch: list[float] = field(default_factory=list)
    parents: list[float] = field(default_factory=list)

    def add(self, fixed: float, an_epoch: float, parent: float | None) -> None:
        self.fixed.append(fixed)
        self.an_epoch.append(an_epoch)
        if parent is not None:
            self.parents.append(parent)

    def seconds(self, epochs: int) -> float:
        # equal programs are compiled once, so that the shortest compilation is the usual one
        return min(self.fixed) + fmean(self.an_epoch) * epochs


@dataclass(frozen=True)
class Left:
    """The time that a sweep still takes.

    Attributes:
        seconds: the time until the last run ends, in seconds. None if nothing is known.
        unknown: the strategies of runs whose time is not known. A usual run of the sweep stands for each of these.
    """

    seconds: float | None
    unknown: tuple[str, ...] = ()


class Estimate:
    """Estimates the time of a sweep's runs.

    A run takes as long as the sweep's own runs with the same settings but for the seed, by its epochs. Without such
    runs, those with the same strategy, data, model and kind of training count, and then records of this machine.

    Args:
        settings: the settings of each run, by number.
        records: results of earlier runs on this machine.
        beside: True if runs go on beside each other. Records of such runs then count first, and else those of others.
    """

    def __init__(
        self, settings: Mapping[int, Tree], records: Sequence[Result] = (), beside: bool = False
    ) -> None:
        self._settings = settings
        self._alike = {number: kind(own) for number, own in settings.items()}
        self._same = {
            number: _text([*_without_seed(own), ("same", True)]) for number, own in settings.items()
        }
        self._parent = {number: _of_parent(own) for number, own in settings.items()}
        self._own: dict[str, _Times] = defaultdict(_Times)
        self._earlier: dict[str, _Times] = {}
        self._overheads: list[float] = []
        self._begun: set[str] = set()
        self._parents_begun: set[str] = set()
        wanted = set(self._alike.values())
        for good in (beside, not beside):  # the second kind fills what the first leaves open
            found: dict[str, _Times] = defaultdict(_Times)
            for one in records:
                key = kind(one.settings or {})
                if ran_beside(one) == good and key in wanted and one.total_s is not None:
                    found[key].add(*_divided(one, one.total_s, one.settings or {}, OVERHEAD_SECONDS))
            self._earlier = {**found, **self._earlier}

    def started(self, number: int) -> None:
        """Notes that a run begins."""
        if number in self._alike:
            self._begun.add(self._alike[number])
            self._parents_begun.add(self._parent[number])

    def ended(self, number: int, result: Result | None, seconds: float) -> bool:
        """Takes the time of a run that has ended. Returns True if it is the first one of its kind that shows its time.

        Args:
            number: the run's number.
            result: the run's result.
            seconds: the time from its start to its end.
        """
        if number not in self._alike or result is None or result.status != Status.FINISHED:
            return False
        phases = of_phases(result)
        if phases and result.parent_fingerprint is None:
            self._overheads.append(max(0.0, seconds - phases))
        divided = _divided(result, seconds, self._settings[number], self._overhead())
        new = self._alike[number] not in self._own
        for key in (self._alike[number], self._same[number]):
            self._own[key].add(*divided)
        return new

    def seconds(self, number: int) -> float | None:
        """The time of a run that has not begun, in seconds, or None if it is not known."""
        found = self._times(number)
        if found is None:
            return None
        parent = found.parents and self._parent[number] not in self._parents_begun
        return self._alone(number, found) + (max(found.parents) if parent else 0.0)

    def of_kind(self, number: int, ended: Collection[int]) -> str:
        """Says what a run of this kind takes and how many are left, or nothing if none is left.

        Args:
            number: the number of a run of this kind that has ended.
            ended: the numbers of all runs that have ended.
        """
        key = self._alike[number]
        more = [other for other, own in self._alike.items() if own == key and other not in ended]
        times = self._times(number)
        if not more or times is None:
            return ""
        takes = units.duration(self._alone(number, times))
        return f"{strategy_of(self._settings[number])}: {takes} a run, {len(more)} more; "

    def choose(self, waiting: Sequence[int]) -> int:
        """Chooses the run to begin next, where several go on beside each other.

        Strategies of unknown time come first, one run of each before the others. Then the longest comes first, so that
        the end of the sweep is not the tail of one worker.
        """
        return min(waiting, key=self._rank)

    def _rank(self, number: int) -> tuple[int, float, int]:
        seconds = self.seconds(number)
        if seconds is None:
            return (self._alike.get(number, "") in self._begun, 0.0, number)
        return (2, -seconds, number)

    def left(self, running: Mapping[int, float], waiting: Sequence[int], at_once: int) -> Left:
        """The time until the last run ends.

        Args:
            running: the seconds since their start of the runs under way, by number.
            waiting: the numbers of the runs that have not begun, in order.
            at_once: the number of runs that go on at once.
        """
        if at_once > 1:
            waiting = sorted(waiting, key=self._rank)
        begun = set(self._parents_begun)
        known: dict[int, float] = {}
        for number in (*running, *waiting):
            if (found := self._times(number)) is None:
                continue
            own = self._parent[number]
            takes_parent = found.parents and (number in running or own not in begun)
            begun.add(own)
            known[number] = self._alone(number, found) + (max(found.parents) if takes_parent else 0.0)
        unknown = tuple(
            sorted({strategy_of(self._settings.get(n, {})) for n in (*running, *waiting) if n not in known})
        )
        usual = fmean(known.values()) if known else None
        if usual is None:
            return Left(None, unknown)
        busy = [max(known.get(number, usual) - seconds, 0.0) for number, seconds in running.items()]
        busy += [0.0] * (at_once - len(busy))
        heapq.heapify(busy)
        for number in waiting:
            heapq.heapreplace(busy, busy[0] + known.get(number, usual))
        return Left(max(busy, default=0.0), unknown)

    def _times(self, number: int) -> _Times | None:
        if number not in self._alike:
            return None
        for times in (self._own.get(self._same[number]), self._own.get(self._alike[number])):
            if times is not None:
                return times
        return self._earlier.get(self._alike[number])

    def _alone(self, number: int, times: _Times) -> float:
        return times.seconds(_epochs(self._settings[number])) + self._overhead()

    def _overhead(self) -> float:
        # the sweep's first run imports TensorFlow, the others do not
        return median_low(self._overheads) if self._overheads else OVERHEAD_SECONDS


def _divided(
    result: Result, seconds: float, settings: Tree, overhead: float
) -> tuple[float, float, float | None]:
    """Divides the time of a run: what is fixed, without the overhead, what an epoch adds, and what its parent took."""
    data, compiling, training, evaluating = _phases(result)
    growing = training + evaluating
    if not data + compiling + growing:
        return max(0.0, seconds - overhead), 0.0, None
    parent = None
    if result.parent_fingerprint is not None:
        parent = max(0.0, seconds - data - compiling - growing - overhead)
        return data + compiling + growing, 0.0, parent
    return data + compiling, growing / _epochs(settings), parent


def _phases(result: Result) -> list[float]:
    return [float(result.metric(name) or 0.0) for name in PHASES]


def _machine(result: Result) -> tuple[object, object]:
    own = result.environment or {}
    return own.get("processor"), own.get("cores")


def _at(settings: Tree, name: str) -> object:
    found: object = settings
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _epochs(settings: Tree) -> int:
    found = _at(settings, "training.epochs")
    return max(1, found) if isinstance(found, int) else 1


def _leaves(tree: Tree, below: str = "", prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, below, f"{prefix}{name}.")
        elif f"{prefix}{name}".startswith(below):
            yield f"{prefix}{name}", value


def _text(pairs: Iterable[tuple[str, object]]) -> str:
    return json.dumps(sorted(pairs, key=lambda pair: pair[0]), default=str)


def kind(settings: Tree) -> str:
    """Names the strategy with its methods, the data, the model and the kind of training."""
    deciding_time = (".method", ".fine_tune")
    methods = [pair for pair in _leaves(settings, "embeddings.") if pair[0].endswith(deciding_time)]
    data = [pair for pair in _without_seed(settings) if pair[0].startswith("dataset.")]
    alike = ((name, _at(settings, name)) for name in ALIKE)
    return _text([("strategy", strategy_of(settings)), *methods, *data, *alike])


def _of_parent(settings: Tree) -> str:
    """Names what is trained where a run compresses what another one has trained."""
    own = [
        pair
        for pair in _without_seed(settings)
        if not pair[0].startswith(("strategy", "budget", "embeddings."))
    ]
    return _text([("seed", settings.get("seed")), *own])


def _without_seed(settings: Tree) -> list[tuple[str, object]]:
    """The settings that decide the result, without those that change no time or a known one."""
    left_out = ("seed", "dataset.split.seed", "training.epochs")
    return [pair for pair in _leaves(deciding(settings)) if pair[0] not in left_out]
