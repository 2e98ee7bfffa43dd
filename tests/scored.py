"""A made-up task whose headline metric is better the higher it is, and results of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any

import pytest

from bench import tasks
from bench.records.result import METRICS, Metric, Result
from bench.tasks.base import Task

NAME = "scoring"


@dataclass(frozen=True, kw_only=True)
class Scored(Result):
    """A result with the made-up task's metrics."""

    val_score: float | None = None
    validation_score: float | None = None
    val_score_by_field: Mapping[str, Sequence[float | None]] | None = None
    val_score_worst_ids: Mapping[str, Sequence[Any]] | None = None


def scored(run: Result, score: float, **changed: Any) -> Scored:
    """A result of the made-up task, otherwise like ``run``."""
    own = {one.name: getattr(run, one.name) for one in fields(Result)}
    own |= {"task": NAME, "val_mae": None, "val_rmse": None, "val_score": score, **changed}
    return Scored(**own)


@contextmanager
def task() -> Iterator[None]:
    """The made-up task exists inside, as if a file had been added for it and its metrics to ``Result``."""

    def unused(*_: Any) -> Any:
        raise AssertionError("a report trains nothing")

    module = ModuleType(f"bench.tasks.{NAME}")
    module.TASK = Task(  # type: ignore[attr-defined]
        NAME,
        "val_score",
        "validation_score",
        unused,
        unused,
        unused,
        ("val_score", unused),
        "val_score_by_field",
        ("val_score_worst_ids", unused),
        unused,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        patch.setattr(tasks, "NAMES", (*tasks.NAMES, NAME))
        patch.setitem(METRICS, "val_score", Metric(  # type: ignore[arg-type]
            "share", "a score", better="higher", tasks=(NAME,), title="val score", averaged=True
        ))  # fmt: skip
        patch.setitem(METRICS, "validation_score", Metric(  # type: ignore[arg-type]
            "share", "a score", better="higher", tasks=(NAME,), title="validation score", averaged=True
        ))  # fmt: skip
        yield
