"""The headline metric, by which groups are compared, and its better direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import tasks
from bench.records.result import METRICS, Result, metrics_of

FIRST_TASK = "rating"
"""The task of results without a task, which are of earlier versions."""


@dataclass(frozen=True)
class Headline:
    """The metric that leads in a task.

    Attributes:
        name: name of the metric on the evaluation rows, such as ``val_mae``.
        validation: name of the same metric on the validation rows.
        higher: True if a higher value is better.
    """

    name: str
    validation: str
    higher: bool

    @classmethod
    def of(cls, task: str) -> Headline:
        """Gives the headline metric of a task.

        Raises:
            KeyError: no task has that name.
        """
        found = tasks.find(task)
        return cls(found.headline, found.validation, METRICS[found.headline].better == "higher")

    @property
    def title(self) -> str:
        """The metric's name in tables: ``val MAE``."""
        return METRICS[self.name].title or self.name

    @property
    def short(self) -> str:
        """The metric's name in sentences: ``MAE``."""
        return self.title.removeprefix("val ")

    @property
    def word(self) -> str:
        """The word for its values in sentences: ``error`` if lower is better, else ``score``."""
        return "score" if self.higher else "error"

    def cost(self, value: float | None) -> float | None:
        """Gives a value as a cost, which is better if it is lower; None for None."""
        return -value if self.higher and value is not None else value

    def worse(self, value: float, than: float) -> bool:
        """Returns True if a value is worse than another."""
        return value < than if self.higher else value > than

    def best(self, values: Sequence[float]) -> float:
        """Gives the best of some values."""
        return max(values) if self.higher else min(values)

    def worst(self, values: Sequence[float]) -> float:
        """Gives the worst of some values."""
        return min(values) if self.higher else max(values)


def task_of(result: Result) -> str:
    """Gives the name of a result's task."""
    return result.task or FIRST_TASK


def averaged(task: str) -> tuple[str, ...]:
    """Gives the names of a task's metrics for which groups have statistics, in the order of ``result.json``."""
    return tuple(name for name, one in metrics_of(task).items() if one.averaged)


def timed(task: str) -> tuple[str, ...]:
    """Gives the names in ``averaged`` of metrics that depend on the machine."""
    return tuple(name for name in averaged(task) if METRICS[name].timed)
