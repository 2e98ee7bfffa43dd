"""How training goes, on the terminal: a bar where there is one, a plain line an epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bench.results import duration


class ProgressReport:
    """Listens to a ``Trainer`` and reports on a console; use it in a ``with`` block.

    Args:
        epochs: how many are planned.
        steps: steps in each.
        console: where to; standard error by default, so that standard output holds results alone.
        shown: False for silence.
    """

    def __init__(self, epochs: int, steps: int, console: Console | None = None, shown: bool = True) -> None:
        self.epochs, self.steps, self.shown = epochs, steps, shown
        self.console = console or Console(stderr=True)
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.speed = 0.0
        self.first: tuple[float, int] | None = None

    def __enter__(self) -> ProgressReport:
        if self.shown and self.console.is_terminal:
            self.bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(bar_width=None),
                TextColumn("loss {task.fields[loss]}  {task.fields[speed]} examples/s"),
                TimeRemainingColumn(compact=True),
                console=self.console,
                transient=True,
            )
            self.task = self.bar.add_task(
                "training", total=self.epochs * self.steps, epoch=f"1/{self.epochs}", loss="-", speed="-"
            )
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def chunk(self, epoch: int, step: int, loss: float, examples_per_second: float) -> None:
        """Moves the bar."""
        self.speed = examples_per_second
        if self.first is None:
            self.first = time.perf_counter(), (epoch - 1) * self.steps + step
        if self.bar is not None and self.task is not None:
            self.bar.update(
                self.task,
                completed=(epoch - 1) * self.steps + step,
                epoch=f"{epoch}/{self.epochs}",
                loss=f"{loss:.4f}",
                speed=f"{examples_per_second:,.0f}",
            )

    def epoch(self, number: int, values: Mapping[str, Any]) -> None:
        """Prints the epoch's line; a bar stays below it."""
        if not self.shown:
            return
        wanted = ("train_loss", "validation_loss", "val_mae", "val_auc")
        numbers = "  ".join(f"{name} {values[name]:.4f}" for name in wanted if values.get(name) is not None)
        line = f"epoch {number}/{self.epochs}  {numbers}  {self.speed:,.0f} examples/s{self._left(number)}"
        (self.bar.console if self.bar is not None else self.console).print(
            line, highlight=False, soft_wrap=True
        )

    def _left(self, number: int) -> str:
        """How long the epochs after this one will take, as long a step as those since the first chunk."""
        if self.first is None or number == self.epochs:
            return ""
        then, step = self.first  # what came before it was compilation, which does not come again
        done = number * self.steps - step
        if not done:
            return ""
        left = (time.perf_counter() - then) / done * (self.epochs - number) * self.steps
        return f"  about {duration(left) if left >= 100 else f'{max(left, 1):.0f} s'} left"
