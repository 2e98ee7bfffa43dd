"""The state of a training at the end of an epoch. A killed run goes on from it, to equal digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bench.training.history import History


@dataclass(frozen=True)
class State:
    """The state of a training after some epochs.

    Attributes:
        history: of these epochs.
        arrays: all arrays that the next epoch depends on, by name.
        steps: steps done; the step that rows count from.
        scale: of the learning rates.
    """

    history: History
    arrays: Mapping[str, np.ndarray]
    steps: tuple[int, int]
    scale: float


class Checkpoint(Protocol):
    """Keeps the latest state of a training."""

    def is_due(self, history: History, epochs: int) -> bool:
        """Returns True if the state after the epochs of ``history``, of ``epochs`` in all, is to be kept."""

    def save(self, state: State) -> None:
        """Keeps a state in place of the earlier one."""

    def load(self) -> State | None:
        """Gives the state that was kept, or None if there is none."""
