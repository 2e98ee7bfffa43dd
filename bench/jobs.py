"""A run as Hydra calls it, here or in another process, and what became of it."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import DictConfig

from bench import results, tracking
from bench.config import Settings, check, loader
from bench.errors import BenchError

log = logging.getLogger(__name__)

Task = Callable[[Settings, Path], Mapping[str, Any]]
"""One run: its settings and its output folder in, its result out; raises a BenchError for what went wrong."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run: a job returns it and raises nothing, so that one failure ends no sweep.

    Attributes:
        status: ``finished``, ``failed``, ``refused`` (a budget that cannot be met), or what the result says.
        overrides: of this run.
        result: what the task returned, empty if it failed.
        message: the error's line.
        exit_code: of the command, were this its only run.
    """

    status: str
    overrides: tuple[str, ...]
    result: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    exit_code: int = 0


def measured(outcomes: Mapping[int, Outcome]) -> list[Mapping[str, Any]]:
    """The results that have an error to compare, in the order of their runs."""
    return [o.result for _, o in sorted(outcomes.items()) if o.result.get("val_mae") is not None]


class Board(Protocol):
    """Is told how the jobs of a sweep go."""

    def started(self, number: int, overrides: tuple[str, ...]) -> None:
        """A job begins."""

    def ended(self, number: int, outcome: Outcome) -> None:
        """A job has ended."""


@dataclass(frozen=True)
class Job:
    """The function that Hydra calls for a run, also in other processes.

    Attributes:
        task: the run.
        config_dirs: the user's own folders of settings.
        full_error: print tracebacks.
        memory: bytes that a run with these settings will need, for launchers that start several at once.
        board: is told how jobs go that are called in this process.
        sweep: the sweep that the run belongs to, under which MLflow lists it.
    """

    task: Task
    config_dirs: tuple[str, ...] = ()
    full_error: bool = False
    memory: Callable[[Settings], int] | None = None
    board: Board | None = field(default=None, compare=False)
    sweep: tracking.Opening | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # The board stays where the terminal is.
        return type(self), (self.task, self.config_dirs, self.full_error, self.memory, None, self.sweep)

    def __call__(self, cfg: DictConfig) -> Outcome:
        """The run's outcome; only an interrupt is raised."""
        logging.raiseExceptions = (
            False  # a log file on a full disk is no reason for tracebacks on the terminal
        )
        node = HydraConfig.get()
        in_sweep = node.mode == RunMode.MULTIRUN
        if in_sweep and self.board is not None:
            self.board.started(node.job.num, tuple(node.overrides.task))
        outcome = self._outcome(cfg)
        if not in_sweep and not outcome.message:
            results.show(outcome.result, Path(node.runtime.output_dir))
        if in_sweep and self.board is not None:
            self.board.ended(node.job.num, outcome)
        return outcome

    def _outcome(self, cfg: DictConfig) -> Outcome:
        node = HydraConfig.get()
        overrides, folder = tuple(node.overrides.task), Path(node.runtime.output_dir)
        known: dict[str, Any] = {}
        try:
            settings = check(cfg, node.runtime.choices, loader(self.config_dirs))
            known = {"strategy": settings.strategy, "seed": settings.seed, "settings": settings.values}
            with tracking.in_sweep(self.sweep):
                result = self.task(settings, folder)
            return Outcome(str(result.get("status", "finished")), overrides, result)
        except Exception as error:
            keep_traceback(error, self.full_error)
            outcome = _failed(error, overrides, folder / f"{node.job.name}.log")
            # A request that is wrong leaves nothing; a point of a sweep is listed with the others.
            if outcome.exit_code == 1 or node.mode == RunMode.MULTIRUN:
                leave_result(outcome, folder, known)
            return outcome


def leave_result(outcome: Outcome, folder: Path, known: Mapping[str, Any]) -> None:
    """Writes the ``result.json`` of a run that has no numbers, where it has left none itself."""
    if not (folder / results.FILE).exists():
        with contextlib.suppress(OSError):
            results.write(results.complete(status=outcome.status, error=outcome.message, **known), folder)


def lost(overrides: tuple[str, ...], folder: Path, message: str) -> Outcome:
    """The outcome of a run whose process is gone; its folder gets a ``result.json`` that says so."""
    outcome = Outcome("failed", overrides, message=message, exit_code=1)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    leave_result(outcome, folder, {})
    return outcome


def as_returned(outcome: Outcome) -> JobReturn:
    """An outcome as a launcher gives it to Hydra, of a run that Hydra itself did not call."""
    return JobReturn(overrides=outcome.overrides, _return_value=outcome, status=JobStatus.COMPLETED)


def _failed(error: Exception, overrides: tuple[str, ...], log_file: Path) -> Outcome:
    from bench.embeddings.base import OverBudget

    if isinstance(error, BenchError):
        status = "refused" if isinstance(error, OverBudget) else "failed"
        return Outcome(status, overrides, message=line(error), exit_code=error.exit_code)
    message = f"{type(error).__name__}: {line(error)}; the traceback is in {relative(log_file)}"
    return Outcome("failed", overrides, message=message, exit_code=1)


def keep_traceback(error: Exception, on_terminal: bool) -> None:
    """Writes the traceback into the run's log file, and to the terminal if asked for."""
    record = log.makeRecord(
        log.name, logging.ERROR, __file__, 0, line(error), (), (type(error), error, error.__traceback__)
    )
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
    if on_terminal:
        traceback.print_exception(error)


def relative(path: Path) -> Path:
    """``path`` from the current folder where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def line(error: object) -> str:
    """An error's text in one line."""
    return " ".join(str(error).split())
