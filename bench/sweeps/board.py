"""The display of a sweep: the present runs, a line for each run that has ended, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.errors import end_if_asked
from bench.measure import units
from bench.measure.pulse import EVERY_SECONDS, Pulse
from bench.records.result import METRICS, Result
from bench.sweeps.estimate import Estimate, Left
from bench.sweeps.jobs import Outcome
from bench.tasks import find

SHOWN = 4
"""The greatest number of runs under way that a line names."""

STYLES = {"finished": "green", "skipped": "cyan", "failed": "bold red", "refused": "yellow"}


class SweepBoard:
    """Shows the runs of a sweep.

    Args:
        jobs: the overrides of each run, as far as they are known before.
        live: True if several runs go on at once. A terminal then shows the present runs with their times. A run that
            is alone shows its own progress.
        apart: True if the runs go on in other processes, so that what they say is not seen here. Without a terminal a
            line then says every half minute what goes on.
        console: the console to print on. Standard output by default.
        told: a function that is called with the number and the outcome of each run that has ended.
        estimate: estimates what the runs take. None if they are not known before.
        clock: gives the time in seconds.

    Attributes:
        outcomes: the outcomes of the runs that have ended, by number.
        validating: True if the line of a run has the error on validation rows, which a search minimizes.
    """

    validating = False

    def __init__(
        self,
        jobs: Sequence[Sequence[str]] = (),
        live: bool = False,
        console: Console | None = None,
        told: Callable[[int, Outcome], object] = lambda number, outcome: None,
        estimate: Estimate | None = None,
        clock: Callable[[], float] = time.monotonic,
        apart: bool = False,
    ) -> None:
        self._told, self._estimate, self._clock = told, estimate or Estimate({}), clock
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.outcomes: dict[int, Outcome] = {}
        self._total = len(jobs)
        self._same = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
        self._running: dict[int, tuple[tuple[str, ...], float]] = {}
        self._at_once, self._left_said = 1, float("-inf")
        self._pulse = Pulse(self.console.file, shown=apart and not self.console.is_terminal)  # type: ignore[arg-type]
        self._live = (
            Live(console=self.console, get_renderable=self._now, refresh_per_second=2, transient=True)
            if live and self.console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        self._pulse.__enter__()
        self._pulse.doing(self._going)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self._pulse.__exit__(kind, error, trace)

    def choose(self, waiting: Sequence[int], at_once: int) -> int:
        """Chooses the run to begin next, where ``at_once`` runs go on beside each other: the longest first."""
        self._at_once = at_once
        return self._estimate.choose(waiting)

    def started(self, number: int, overrides: tuple[str, ...]) -> None:
        """Notes that a run begins. Before the first one it says what the sweep will take, as far as that is known."""
        end_if_asked()
        if self._left_said == float("-inf") and self._total > 1:
            self._say_left()
        self._running[number] = (overrides, self._clock())
        self._estimate.started(number)

    def ended(self, number: int, outcome: Outcome) -> None:
        """Notes that a run has ended, and prints its line."""
        overrides, began = self._running.pop(number, (outcome.overrides, None))
        # the start of a run on another machine is not known here
        seconds = (outcome.result and outcome.result.total_s) if began is None else self._clock() - began
        self.outcomes[number] = outcome
        line = Text.assemble(
            f"run {number}  ",
            (f"{outcome.status:<8}", STYLES.get(outcome.status, "")),
            f"  {self.named(overrides)}  ",
            "  ".join(numbers(outcome.result, self.validating)) or outcome.message,
            f"  {units.duration(seconds)}" if seconds else "",
        )
        self.console.print(line)
        self._pulse.said()
        new = (
            bool(seconds)
            and began is not None
            and self._estimate.ended(number, outcome.result, seconds or 0.0)
        )
        if new or (began is not None and self._clock() - self._left_said >= EVERY_SECONDS):
            self._say_left(number if new else None)
        self._told(number, outcome)

    def left(self) -> Left:
        """The time until the last run ends, by what is known now."""
        waiting = [n for n in range(self._total) if n not in self.outcomes and n not in self._running]
        running = {number: self._clock() - began for number, (_, began) in self._running.items()}
        return self._estimate.left(running, waiting, self._at_once)

    def named(self, overrides: Iterable[str]) -> str:
        """The overrides in which the sweep's runs differ."""
        return " ".join(override for override in overrides if override not in self._same)

    def _say_left(self, new: int | None = None) -> None:
        """Prints what the sweep still takes, if it is known.

        Args:
            new: the number of the first run of its kind that has ended.
        """
        left, rest = self.left(), self._total - len(self.outcomes)
        if left.seconds is None or rest <= 0:
            return
        self._left_said = self._clock()
        each = self._estimate.of_kind(new, self.outcomes) if new is not None else ""
        self.console.print(f"{each}{self._counted()}, {_left(left)}")
        self._pulse.said()

    def _counted(self) -> str:
        return f"{len(self.outcomes)} of {units.plural(self._total, 'run')} ended"

    def _going(self) -> str:
        """A line that says what goes on, for times in which no run ends."""
        names = [
            f"run {number} ({self.named(overrides)}) for {units.duration(self._clock() - began)}"
            for number, (overrides, began) in sorted(self._running.items())
        ]
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        left = self.left()
        self._left_said = self._clock()
        return (
            self._counted()
            + (f"; under way: {shown}" if shown else "")
            + (f"; {_left(left)}" if left.seconds is not None else "")
        )

    def _now(self) -> RenderableType:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for number, (overrides, began) in sorted(self._running.items()):
            seconds = units.duration(max(time.monotonic() - began, 0.1))
            table.add_row(f"run {number}", "running", self.named(overrides), seconds)
        states = [outcome.status for outcome in self.outcomes.values()]
        counts = ", ".join(f"{states.count(name)} {name}" for name in STYLES if name in states)
        total = f" of {self._total}" if self._total else ""
        left = self.left()
        table.add_row(f"{len(states)}{total}", counts, "" if left.seconds is None else _left(left))
        return table


def _left(left: Left) -> str:
    text = f"about {units.duration(max(1.0, round(left.seconds or 0.0)))} left"
    return text + (f" (the time of {', '.join(left.unknown)} is not known yet)" if left.unknown else "")


def numbers(result: Result | None, validating: bool = False) -> list[str]:
    """The main numbers of a result, for the line of its run.

    Args:
        result: the run's result.
        validating: True for the error on validation rows in place of that on evaluation rows.
    """
    if result is None:
        return []
    out = []
    headline = find(result.task).headline if result.task else ""
    title = METRICS[headline].title if headline else ""
    if validating:
        headline, title = headline.replace("val_", "validation_"), title.replace("val ", "validation ")
    value = result.metric(headline)
    if value is not None:
        out.append(f"{title} {value:.4f}")
    if result.embedding_bytes is not None:
        out.append(units.short_size(result.embedding_bytes))
    if result.step_time_ms is not None:
        out.append(f"{result.step_time_ms:.3f} ms a step")
    return out
