"""Shows training on the terminal: a bar, or without a terminal a plain line an epoch and at least every half minute."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bench.measure.pulse import Pulse
from bench.measure.units import count, duration


class ProgressReport:
    """Listens to a ``Trainer`` and reports on a console; use it in a ``with`` block.

    Args:
        epochs: how many are planned.
        steps: steps in each.
        metrics: names of the numbers that an epoch's line shows.
        shown: False for silence.
        console: where to; standard error by default, so that standard output holds results alone.
        pulse: prints how far training is where an epoch takes long and there is no terminal.
    """

    def __init__(
        self,
        epochs: int,
        steps: int,
        metrics: Sequence[str],
        shown: bool = True,
        console: Console | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self.epochs, self.steps, self.metrics, self.shown = epochs, steps, metrics, shown
        self.console = console or Console(stderr=True)
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.speed = 0.0
        self.first: tuple[float, int] | None = None
        self.pulse, self.at = pulse or Pulse(shown=False), (1, 0)

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
        self.speed, self.at = examples_per_second, (epoch, step)
        if self.first is None:
            self.first = time.perf_counter(), (epoch - 1) * self.steps + step
            self.pulse.doing(self.going)
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
        numbers = "  ".join(
            f"{name} {values[name]:.4f}" for name in self.metrics if values.get(name) is not None
        )
        line = f"epoch {number}/{self.epochs}  {numbers}  {self.speed:,.0f} examples/s  {self._left(number)}".rstrip()
        (self.bar.console if self.bar is not None else self.console).print(
            line, highlight=False, soft_wrap=True
        )
        self.pulse.said()

    def going(self) -> str:
        """A line that says how far training is."""
        epoch, step = self.at
        what = "evaluation" if step == self.steps else f"step {count(step)} of {count(self.steps)}"
        left = self._left(epoch - 1 + step / self.steps)
        return f"training: epoch {epoch}/{self.epochs}, {what}" + (f", {left}" if left else "")

    def _left(self, epochs: float) -> str:
        """Estimates the seconds left after so many epochs, from the steps since the first chunk."""
        if self.first is None or epochs == self.epochs:
            return ""
        then, step = self.first  # what came before it was compilation, which does not come again
        done = epochs * self.steps - step
        if done < 1:
            return ""
        left = (time.perf_counter() - then) / done * (self.epochs - epochs) * self.steps
        return f"about {duration(left) if left >= 100 else f'{max(left, 1):.0f} s'} left"
