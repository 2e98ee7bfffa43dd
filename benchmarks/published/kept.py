"""The numbers of a study as they are kept in ``docs/measured``: one score a seed, and how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.records.files import write_whole
from bench.records.result import FILE, Result, Status
from bench.tradeoff.headline import Headline, task_of
from bench.tradeoff.naming import ignores_budget
from bench.tradeoff.statistics import Statistic, pareto, statistic

MACHINE = ("processor", "cores", "gpu", "python", "numpy", "keras", "tensorflow", "git_commit")
"""What is kept of a run's environment."""

Seed = str
"""A seed, as a key of JSON."""


@dataclass(frozen=True)
class Row:
    """The runs of a strategy at a budget, which differ in the seed alone.

    Attributes:
        strategy: its name.
        method: the embedding method of its fields; empty for a row without runs.
        budget: share of the full tables' bytes; None without a budget.
        embedding_bytes: mean over seeds; None for a row without runs.
        scores: the headline metric by seed; None for a run that failed. Without any, no size meets the budget.
    """

    strategy: str
    method: str
    budget: float | None
    embedding_bytes: int | None
    scores: Mapping[Seed, float | None]

    @property
    def refused(self) -> bool:
        """True if the strategy has no size within the budget."""
        return not self.scores

    @property
    def score(self) -> Statistic:
        """Mean, spread and interval of the headline metric; without a mean if a run failed."""
        return statistic(list(self.scores.values()))


@dataclass(frozen=True)
class Kept:
    """The numbers of a study.

    Attributes:
        task: name of the task.
        commands: the commands of its sweeps.
        data_digest: of rows, split and numbering of ids.
        full_embedding_bytes: of full tables.
        constant: the headline metric of the best constant.
        machines: the environments in which the runs were made.
        rows: by strategy and budget.
    """

    task: str
    commands: Sequence[str]
    data_digest: str
    full_embedding_bytes: int
    constant: float | None
    machines: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]

    @property
    def headline(self) -> Headline:
        """The metric by which rows are compared."""
        return Headline.of(self.task)

    @property
    def budgets(self) -> list[float | None]:
        """The budgets, the largest first; None, which is a method's own size, last."""
        known = {row.budget for row in self.rows if not row.refused}
        return [
            *sorted((one for one in known if one is not None), reverse=True),
            *([None] if None in known else []),
        ]

    @property
    def strategies(self) -> list[str]:
        """The strategies by name, ``full`` first."""
        return full_first({row.strategy for row in self.rows})

    def find(self, strategy: str, budget: float | None) -> Row | None:
        """Gives a row, or None."""
        return next((row for row in self.rows if (row.strategy, row.budget) == (strategy, budget)), None)

    def front(self) -> list[Row]:
        """Gives the rows that nothing with as few bytes is as good as."""
        rows = [row for row in self.rows if not row.refused]
        found = pareto([(row.embedding_bytes or 0, self.headline.cost(row.score.mean)) for row in rows])
        return [row for row, leads in zip(rows, found, strict=True) if leads]

    def ranked(self, budget: float | None) -> list[str]:
        """Lists the strategies that have a mean at a budget, the best first."""
        at = [row for row in self.rows if row.budget == budget]
        costs = {row.strategy: self.headline.cost(row.score.mean) for row in at}
        known = {strategy: cost for strategy, cost in costs.items() if cost is not None}
        return sorted(known, key=known.__getitem__)

    def best(self, count: int) -> list[str]:
        """Lists the strategies that lead at the middle one of the budgets, the best first."""
        budgets = [one for one in self.budgets if one is not None]
        return self.ranked(budgets[(len(budgets) - 1) // 2])[:count]

    def with_rows_of(self, other: Kept) -> Kept:
        """Gives these numbers with the rows of another study, of the same data, beside them."""
        return replace(self, rows=[*self.rows, *other.rows])

    def write(self, path: Path) -> None:
        """Writes the numbers as JSON, whole or not at all."""
        _write(path, self)

    @classmethod
    def read(cls, path: Path) -> Kept:
        """Reads what ``write`` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**found, "rows": [Row(**row) for row in found["rows"]]})


@dataclass(frozen=True)
class Time:
    """The times of a method.

    Attributes:
        step_ms: milliseconds of a training step; None for a post-training method.
        ratio: to the steps of the method that all are compared with.
        lookup_us: microseconds to look up a batch in what serves.
    """

    step_ms: float | None
    ratio: float | None
    lookup_us: float


@dataclass(frozen=True)
class Times:
    """The times of methods that took turns.

    Attributes:
        command: that measured them.
        machine: the environment.
        methods: by name.
    """

    command: str
    machine: Mapping[str, Any]
    methods: Mapping[str, Time]

    def write(self, path: Path) -> None:
        """Writes the times as JSON, whole or not at all."""
        _write(path, self)

    @classmethod
    def read(cls, path: Path) -> Times:
        """Reads what ``write`` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        methods = {name: Time(**one) for name, one in found["methods"].items()}
        return cls(**{**found, "methods": methods})


def _write(path: Path, kept: Kept | Times) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(kept), indent=1, ensure_ascii=False) + "\n")


def full_first(names: Iterable[str]) -> list[str]:
    """Sorts names of strategies, ``full`` before all others."""
    return sorted(names, key=lambda name: (name != "full", name))


def machine_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Gives what is kept of an environment."""
    return {key: environment.get(key) for key in MACHINE}


def results(folders: Iterable[Path]) -> list[Result]:
    """Reads all results below some folders."""
    paths = sorted(file.parent for folder in folders for file in folder.rglob(FILE))
    return [Result.read(path) for path in paths]


def keep(found: Sequence[Result], commands: Sequence[str]) -> Kept:
    """Makes the numbers of a study from the results of its sweeps. A seed that several have counts once."""
    ended = [one for one in found if one.status in (Status.FINISHED, Status.SKIPPED)]
    task = task_of(ended[0])
    name = Headline.of(task).name
    groups: dict[tuple[str, float | None], dict[Seed, Result]] = {}
    for one in found:
        budget = None if ignores_budget(one) else (one.settings or {}).get("budget")
        group = groups.setdefault((one.strategy or "", budget), {})
        if one.status is not Status.REFUSED:
            group[str(one.seed)] = one
    rows = []
    for (strategy, budget), runs in sorted(groups.items(), key=lambda item: (item[0][0], -(item[0][1] or 0))):
        sizes = [one.embedding_bytes for one in runs.values() if one.embedding_bytes is not None]
        scores = {seed: getattr(runs[seed], name) for seed in sorted(runs, key=int)}
        methods = {str(field["method"]) for one in runs.values() for field in (one.embeddings or {}).values()}
        size = round(float(np.mean(sizes))) if sizes else None
        rows.append(Row(strategy, ", ".join(sorted(methods)), budget, size, scores))
    machines = [machine_of(one.environment or {}) for one in ended]
    return Kept(
        task,
        list(commands),
        ended[0].data_digest or "",
        ended[0].full_embedding_bytes or 0,
        ended[0].val_constant,
        [one for place, one in enumerate(machines) if one not in machines[:place]],
        rows,
    )
