"""The metric of the validation rows that training goes by: when the rate falls, when to end, which epoch is best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.config import Training
from bench.tasks.base import Task


class _Waiting:
    """Counts the epochs in a row without a gain.

    Args:
        patience: epochs after which ``over`` is True.
        min_delta: how much lower a cost must be to be a gain.
    """

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best, self.waited = math.inf, 0

    def over(self, cost: float) -> bool:
        if cost < self.best - self.min_delta:
            self.best, self.waited = cost, 0
        else:
            self.waited += 1
        return self.waited >= self.patience


class Monitor:
    """Follows a metric of the validation rows over the epochs.

    Args:
        settings: how to train.
        task: says which metrics are better the higher they are.

    Attributes:
        best: the number of the best epoch, from 1; 0 before the first.
        ends: True if training is to end now.
        scale: of the learning rates, from the next epoch on.
    """

    def __init__(self, settings: Training, task: Task) -> None:
        self.name = (settings.monitor or "validation_loss") if settings.monitors else None
        self._sign = -1.0 if self.name in task.higher else 1.0
        schedule, stopping = settings.schedule, settings.early_stopping
        self._factor = 0.1 if schedule.factor is None else schedule.factor
        plateau = _Waiting(schedule.patience or 1, schedule.min_delta or 0.0)
        self._plateau = plateau if schedule.kind == "plateau" else None
        self._stopping = (
            None if stopping.patience is None else _Waiting(stopping.patience, stopping.min_delta)
        )
        self._best_cost = math.inf
        self.best, self.ends, self.scale = 0, False, 1.0

    def see(self, number: int, values: Mapping[str, Any]) -> bool:
        """Takes the metrics of an epoch.

        Args:
            number: the epoch's, from 1.
            values: by name.

        Returns:
            True if the epoch is the best so far.
        """
        if self.name is None:
            return False
        cost = self._sign * float(values[self.name])
        if self._plateau is not None and self._plateau.over(cost):
            self.scale *= self._factor
            self._plateau.waited = 0
        self.ends = self._stopping is not None and self._stopping.over(cost)
        if cost >= self._best_cost:
            return False
        self.best, self._best_cost = number, cost
        return True
