"""How a sweep goes, on the terminal: what runs now, and a line for each run that has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench import results
from bench.jobs import Outcome

STYLES = {"finished": "green", "skipped": "cyan", "failed": "bold red", "refused": "yellow"}


class SweepBoard:
    """Shows the runs of a sweep.

    Args:
        jobs: the overrides of each run, as far as they are known before.
        live: whether runs go on beside each other: on a terminal, those that do are then shown with their
            time. A run that is alone shows its own progress.
        console: where to; standard output by default.
        trained: called when a run has ended that trained something.

    Attributes:
        outcomes: of the runs that have ended, by number.
    """

    def __init__(
        self,
        jobs: Sequence[Sequence[str]] = (),
        live: bool = False,
        console: Console | None = None,
        trained: Callable[[], object] = lambda: None,
    ) -> None:
        self._trained = trained
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.outcomes: dict[int, Outcome] = {}
        self._total = len(jobs)
        self._same = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
        self._running: dict[int, tuple[tuple[str, ...], float]] = {}
        self._live = (
            Live(console=self.console, get_renderable=self._now, refresh_per_second=2, transient=True)
            if live and self.console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, number: int, overrides: tuple[str, ...]) -> None:
        """A run begins."""
        self._running[number] = (overrides, time.monotonic())

    def ended(self, number: int, outcome: Outcome) -> None:
        """A run has ended: prints its line."""
        overrides, began = self._running.pop(number, (outcome.overrides, None))
        # of a run on another machine, the beginning was not seen
        seconds = outcome.result.get("total_s") if began is None else time.monotonic() - began
        self.outcomes[number] = outcome
        line = Text.assemble(
            f"run {number}  ",
            (f"{outcome.status:<8}", STYLES.get(outcome.status, "")),
            f"  {self.named(overrides)}  ",
            "  ".join(numbers(outcome.result)) or outcome.message,
            f"  {results.duration(seconds)}" if seconds else "",
        )
        self.console.print(line)
        if outcome.status == results.Status.FINISHED:
            self._trained()

    def named(self, overrides: Iterable[str]) -> str:
        """The overrides in which the sweep's runs differ."""
        return " ".join(override for override in overrides if override not in self._same)

    def _now(self) -> RenderableType:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for number, (overrides, began) in sorted(self._running.items()):
            seconds = results.duration(max(time.monotonic() - began, 0.1))
            table.add_row(f"run {number}", "running", self.named(overrides), seconds)
        states = [outcome.status for outcome in self.outcomes.values()]
        counts = ", ".join(f"{states.count(name)} {name}" for name in STYLES if name in states)
        total = f" of {self._total}" if self._total else ""
        table.add_row(f"{len(states)}{total}", counts)
        return table


def numbers(result: Mapping[str, Any]) -> list[str]:
    """What a run's line says of its result."""
    out = []
    if result.get("val_mae") is not None:
        out.append(f"val MAE {result['val_mae']:.4f}")
    if result.get("embedding_bytes") is not None:
        out.append(results.short_size(result["embedding_bytes"]))
    if result.get("step_time_ms") is not None:
        out.append(f"{result['step_time_ms']:.3f} ms a step")
    return out
