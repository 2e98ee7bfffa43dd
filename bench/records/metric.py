"""The description of a measured number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Metric:
    """The description of a measured number.

    Attributes:
        unit: the unit, such as ``bytes`` or ``ms``. Errors have the unit ``of the label``.
        meaning: one line that explains the metric.
        better: the direction that is better. None if neither is.
        tasks: the tasks that have the metric. Empty for all tasks.
        title: a short name for people, such as ``val MAE``.
        main: True if a run's description in MLflow shows the metric.
        averaged: True if a report gives the metric's mean and interval over seeds.
        timed: True if the metric depends on the machine. Numbers of different machines are then not averaged.
        by_epoch: True if the line after each epoch shows the metric.
    """

    unit: str
    meaning: str
    better: Literal["lower", "higher"] | None = None
    tasks: tuple[str, ...] = ()
    title: str = ""
    main: bool = False
    averaged: bool = False
    timed: bool = False
    by_epoch: bool = False


def metric(unit: str, meaning: str, **more: Any) -> Any:
    """Declares a field of a result that is a metric; ``more`` has further attributes of ``Metric``."""
    return field(default=None, metadata={"metric": Metric(unit, meaning, **more)})
