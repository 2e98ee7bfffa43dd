"""Groups of runs that differ only in the seed, and runs that are in no group."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from bench.records.result import Result, Tree
from bench.tradeoff import naming, statistics
from bench.tradeoff.families import Family
from bench.tradeoff.headline import Headline, averaged, task_of, timed
from bench.tradeoff.statistics import Difference, Statistic

RATING = "rating"
"""The task whose difference to full tables also has the name ``delta_mae`` in JSON."""


@dataclass(frozen=True)
class Unfinished:
    """A run that has no numbers.

    Attributes:
        status: ``failed``, ``refused``, ``unreadable``, or the status in the result.
        name: ``qr num_buckets=120``.
        seed: the run's seed; None if the result has none.
        reason: one line.
    """

    status: str
    name: str
    seed: int | None
    reason: str


class Machine(NamedTuple):
    """The machine, threads and load that a run's times depend on. Parts that a result does not name are None."""

    processor: str | None
    gpu: str | None
    threads: int | None
    jobs: int

    @classmethod
    def of(cls, run: Result) -> Machine:
        """Gives the machine that a run was trained on, and the number of runs that it trained at once."""
        known = run.environment or {}
        return cls(
            known.get("processor"), known.get("gpu"), known.get("threads"), int(known.get("jobs") or 1)
        )


@dataclass(frozen=True)
class Group:
    """Runs that differ only in the seed, one a seed.

    Attributes:
        runs: the runs' results, sorted by seed.
        resplit: True if the data or the split follows the seed. Then the spread includes that of the draw.
        pareto: True if the group is on the front: no other group of the set is as good or better in bytes and mean,
            and better in one of them.
        delta: the headline metric minus the baseline's, paired by seed.
        p_value: p value of the difference, corrected over the comparisons of a family (Holm).
        family: these comparisons; None without a p value.
        ci: the kind of the intervals.
    """

    runs: tuple[Result, ...]
    resplit: bool = False
    pareto: bool = False
    delta: Difference = field(default_factory=Difference)
    p_value: float | None = None
    family: Family | None = None
    ci: statistics.Kind = "t"

    @property
    def seeds(self) -> list[int]:
        """The seeds, ascending."""
        return [run.seed or 0 for run in self.runs]

    @property
    def strategy(self) -> str:
        """The strategy, as chosen."""
        return str(self.runs[0].strategy)

    @property
    def task(self) -> str:
        """The task that the models were trained for."""
        return task_of(self.runs[0])

    @cached_property
    def headline(self) -> Headline:
        """The metric that leads in the task."""
        return Headline.of(self.task)

    @property
    def budget(self) -> float | str | None:
        """The budget, as asked for; None if all methods ignore it."""
        budget: float | str | None = self.runs[0].setting("budget")
        return None if naming.ignores_budget(self.runs[0]) else budget

    @property
    def methods(self) -> dict[str, str]:
        """The method of each field."""
        return {name: str(used.get("method")) for name, used in (self.runs[0].embeddings or {}).items()}

    @property
    def embeddings(self) -> dict[str, Tree]:
        """Each field's method and settings as used; None for a value that the split changes."""
        first, *others = (run.embeddings or {} for run in self.runs)
        return {
            name: {
                key: value if all(other.get(name, {}).get(key) == value for other in others) else None
                for key, value in used.items()
            }
            for name, used in first.items()
        }

    @property
    def data_digest(self) -> str | None:
        """The digest of the runs' data; None if it follows the seed."""
        digests = {run.data_digest for run in self.runs}
        return digests.pop() if len(digests) == 1 else None

    @property
    def embedding_bytes(self) -> float:
        """Bytes to serve the embeddings; a mean if the split changes the vocabulary."""
        return self.mean("embedding_bytes") or 0

    @property
    def compression_ratio(self) -> float:
        """The bytes of full tables divided by the bytes to serve the embeddings."""
        return self.mean("compression_ratio") or 0

    @property
    def constant(self) -> float | None:
        """The headline metric of the best constant; None if a run lacks it."""
        return self.mean("val_constant")

    def mean(self, name: str) -> float | None:
        """Gives the mean of a measured number; None if a run lacks it. The mean of equal numbers is exactly equal."""
        values = [run.metric(name) for run in self.runs]
        return values[0] if len(set(values)) == 1 else statistics.statistic(values).mean

    def by_seed(self, name: str) -> dict[int, float | None]:
        """Gives a measured number of each run by its seed."""
        return {run.seed or 0: run.metric(name) for run in self.runs}

    @property
    def baseline(self) -> bool:
        """True if every field is uncompressed."""
        return all(method == "full" for method in self.methods.values())

    @cached_property
    def machines(self) -> set[Machine]:
        """The machines that the runs were trained on, with their load."""
        return {Machine.of(run) for run in self.runs}

    @property
    def crowded(self) -> bool:
        """True if a run was trained beside others. Then its times say little."""
        return any(machine.jobs > 1 for machine in self.machines)

    @cached_property
    def statistics(self) -> dict[str, Statistic]:
        """Mean and interval of each metric in ``averaged``. Times of different machines are not averaged."""
        found = {
            name: statistics.statistic([run.metric(name) for run in self.runs], self.ci)
            for name in averaged(self.task)
        }
        if len(self.machines) > 1:
            found.update(dict.fromkeys(timed(self.task), Statistic(0)))
        return found

    @property
    def leading(self) -> Statistic:
        """Mean and interval of the headline metric."""
        return self.statistics[self.headline.name]

    def values(self) -> dict[str, Any]:
        """Gives the group as ``python -m bench.report format=json`` prints it, in types that JSON has."""
        measured: dict[str, float | list[float] | None] = {}
        for name, found in self.statistics.items():
            measured |= {
                f"{name}_mean": found.mean,
                f"{name}_sd": found.sd,
                f"{name}_ci95": _listed(found.ci95),
            }
        delta = {"delta": self.delta.mean, "delta_ci95": _listed(self.delta.ci95)}
        if self.task == RATING:
            delta |= {f"delta_mae{name.removeprefix('delta')}": value for name, value in delta.items()}
        return {
            "strategy": self.strategy,
            "embeddings": self.embeddings,
            "dataset": self.runs[0].dataset,
            "data_digest": self.data_digest,
            "task": self.task,
            "model": self.runs[0].setting("model.name"),
            "budget": self.budget,
            "seeds": self.seeds,
            "resplit": self.resplit,
            "embedding_bytes": self.embedding_bytes,
            "compression_ratio": self.compression_ratio,
            "val_constant": self.constant,
            **measured,
            "pareto": self.pareto,
            **delta,
            "p_value": self.p_value,
            "p_value_uncorrected": self.delta.p_value,
            "p_comparisons": self.family.size if self.family else None,
        }


def _listed(interval: statistics.Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def lacks(run: Result) -> str | None:
    """Names a part that a finished run needs to be in a group and that this run lacks; None if it lacks none."""
    if not (run.settings and run.embeddings):
        return "settings"
    sizes = [run.metric(name) for name in ("embedding_bytes", "compression_ratio")]
    known = all(size is not None and statistics.finite(size) and size > 0 for size in sizes)
    return None if known else "memory"


def reason_of(run: Result) -> str:
    """Gives the reason why a run has no numbers, in one line."""
    return " ".join(str(run.error or "its result gives no reason").split())
