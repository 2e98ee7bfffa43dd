"""The function that Hydra calls for a run, in this or another process, and the run's outcome."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import DictConfig

from bench import tracking
from bench.config import Settings, check, loader
from bench.errors import BenchError, interrupted, line, unexpected, unwrapped
from bench.records.result import FILE, Result, Status
from bench.records.store import Record, Store
from bench.records.sweeps import SweepRecord
from bench.sweeps import sources
from bench.sweeps.once import Once

log = logging.getLogger(__name__)

Task = Callable[[Settings, Path], Result]
"""The function of one run. It takes settings and an output folder, and returns the result or raises a BenchError."""


@dataclass(frozen=True)
class Work:
    """The functions that a command calls with the settings of a run. Other processes get the functions by name.

    Attributes:
        run: does the run.
        memory: gives the most bytes that a run takes, for launchers that start several runs at once.
        finished: gives the result of an equal finished run, or None if there is none. It writes the result into the
            folder in the second argument, unless that is None. It trains nothing.
        data: finds and prepares the data of a run. It raises a BenchError if the data is not available.
        sizes: gives the sizes that a run's embeddings can have, for a search that chooses them.
    """

    run: Task
    memory: Callable[[Settings], int] | None = None
    finished: Callable[[Settings, Path | None], Result | None] | None = None
    data: Callable[[Settings], object] | None = None
    sizes: Callable[[Settings], Sizes] | None = None


class Sizes(Protocol):
    """The sizes that a run's embeddings can have.

    Attributes:
        full_bytes: bytes of the same embeddings uncompressed.
    """

    full_bytes: int

    def __call__(self, budget: str) -> int:
        """Gives the bytes that serve the embeddings under a budget, such as ``120000B`` or ``smallest``."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run. A job returns it and raises no error, so that one failure does not end the sweep.

    Attributes:
        status: ``finished``, ``failed``, ``refused`` (a budget that cannot be met), or the status in the result.
        overrides: the run's overrides.
        result: the run's result. None if the run failed.
        message: the line of the error.
        exit_code: the exit code of a command with this run alone.
        folder: the run's output folder. None if it is not known.
    """

    status: str
    overrides: tuple[str, ...]
    result: Result | None = None
    message: str = ""
    exit_code: int = 0
    folder: Path | None = None


def ended_well(result: Result, overrides: tuple[str, ...], folder: Path) -> Outcome:
    """The outcome of a run that has a result."""
    return Outcome(str(result.status), overrides, result, folder=folder)


def measured(outcomes: Mapping[int, Outcome]) -> list[Result]:
    """The results that have a headline metric to compare, in the order of their runs."""
    found = [outcome.result for _, outcome in sorted(outcomes.items())]
    return [result for result in found if result is not None and result.headline is not None]


def with_baselines(results: list[Result]) -> list[Result]:
    """Adds the recorded runs that results are compared with, full tables and biases alone, of other sweeps."""
    from bench.tradeoff.grouping import baselines_for

    folders = dict.fromkeys(Path(str(one.setting("results_dir"))) for one in results if one.settings)
    found = (record for folder in folders for record in Store(folder).all())
    return [*baselines_for(results, (one.result for one in found if isinstance(one, Record))), *results]


@dataclass(frozen=True)
class Job:
    """The function that Hydra calls for a run, also in other processes.

    Attributes:
        work: the functions that the command calls.
        config_dirs: the user's own folders of settings.
        full_error: True if tracebacks are printed.
        sweep: the sweep that the run belongs to. MLflow lists the run below it.
        missing: the errors of data sets that an earlier search did not find, by ``sources.key``.
        shown: the warnings that the command has shown before the run. Another process does not repeat them.
        secrets: the passwords that are hidden in the configuration, see ``bench.config.secrets.Secrets.known``.
    """

    work: Work
    config_dirs: tuple[str, ...] = ()
    full_error: bool = False
    sweep: SweepRecord | None = None
    missing: Mapping[str, BenchError] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, cfg: DictConfig) -> Outcome:
        """Does the run and gives its outcome. Raises only an interrupt."""
        Once.shown |= self.shown
        logging.raiseExceptions = False  # no traceback on the terminal if the log file's disk is full
        node = HydraConfig.get()
        overrides, folder = tuple(node.overrides.task), Path(node.runtime.output_dir)
        settings = None
        try:
            # with hydra.job.chdir the current folder is the run's output folder
            start = Path(node.runtime.cwd)
            by = loader(self.config_dirs)
            by.secrets.learn(self.secrets)
            settings = check(cfg, node.runtime.choices, by, start)
            if self.missing and (error := self.missing.get(sources.key(settings))):
                raise error
            with tracking.in_sweep(self.sweep):
                return ended_well(self.work.run(settings, folder), overrides, folder)
        except Exception as error:
            if interrupted(error):  # a library has made an error of its own of the Ctrl-C
                raise KeyboardInterrupt from error
            keep_traceback(error, self.full_error)
            outcome = _failed(error, overrides, folder / f"{node.job.name}.log")
            # A wrong request for one run leaves no result. In a sweep, the run is listed with the others.
            if outcome.exit_code == 1 or node.mode == RunMode.MULTIRUN:
                leave_result(outcome, folder, settings)
            return outcome


class Board(Protocol):
    """The receiver of news about the jobs of a sweep.

    Attributes:
        outcomes: the outcomes of the runs that have ended, by number.
    """

    outcomes: dict[int, Outcome]

    def started(self, number: int, overrides: tuple[str, ...]) -> None:
        """Takes the news that a job begins."""

    def ended(self, number: int, outcome: Outcome) -> None:
        """Takes the news that a job has ended."""

    def choose(self, waiting: Sequence[int], at_once: int) -> int:
        """Chooses the job to begin next, where ``at_once`` jobs go on beside each other."""


class Silent:
    """A board that ignores all news, for jobs without another board."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}

    def started(self, number: int, overrides: tuple[str, ...]) -> None:
        """Ignores that a job begins."""

    def ended(self, number: int, outcome: Outcome) -> None:
        """Ignores that a job has ended."""

    def choose(self, waiting: Sequence[int], at_once: int) -> int:
        """Chooses the first job."""
        return min(waiting)


class Watched:
    """The job of a sweep with a board, in the process that shows the sweep. Other processes get the job alone.

    Args:
        job: the job.
        board: the board. It gets news of the runs in this process, and from launchers news of runs elsewhere.
        known: the outcomes of runs that need no training, by number. The board already has them.
    """

    def __init__(self, job: Job, board: Board, known: Mapping[int, Outcome] | None = None) -> None:
        self.job, self.board, self.known = job, board, known or {}

    def __call__(self, cfg: DictConfig) -> Outcome:
        """Does the run, tells the board, and gives the outcome. Raises only an interrupt."""
        node = HydraConfig.get()
        number = int(node.job.num)
        if number in self.known:
            return self.known[number]
        self.board.started(number, tuple(node.overrides.task))
        outcome = self.job(cfg)
        self.board.ended(number, outcome)
        return outcome

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.job,)


def _itself(job: Job) -> Job:
    return job


def leave_result(outcome: Outcome, folder: Path, settings: Settings | None = None) -> None:
    """Writes the ``result.json`` of a run that has no numbers, and adds a record if the run failed.

    It does nothing if the run has written a ``result.json`` itself.
    """
    if (folder / FILE).exists():
        return
    known = (
        {"strategy": settings.strategy, "seed": settings.seed, "settings": settings.values}
        if settings
        else {}
    )
    found = Result.of(Status(outcome.status), error=outcome.message, **known)
    with contextlib.suppress(OSError):
        found.write(folder)
    if settings is not None and found.status == Status.FAILED:
        Store(settings.results_dir).add_failed(found)


def lost(overrides: tuple[str, ...], folder: Path, message: str) -> Outcome:
    """Gives the outcome of a run whose process has died, and writes a ``result.json`` with the message."""
    outcome = Outcome("failed", overrides, message=message, exit_code=1, folder=folder)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    leave_result(outcome, folder)
    return outcome


def as_returned(outcome: Outcome) -> JobReturn:
    """Wraps an outcome as a launcher returns it to Hydra, for a run that Hydra itself did not call."""
    return JobReturn(overrides=outcome.overrides, _return_value=outcome, status=JobStatus.COMPLETED)


def _failed(error: Exception, overrides: tuple[str, ...], log_file: Path) -> Outcome:
    from bench.embeddings.base import OverBudget

    error = unwrapped(error)
    if isinstance(error, BenchError):
        status = "refused" if isinstance(error, OverBudget) else "failed"
        return Outcome(
            status, overrides, message=line(error), exit_code=error.exit_code, folder=log_file.parent
        )
    message = f"{unexpected(error)}; the traceback is in {relative(log_file)}"
    return Outcome("failed", overrides, message=message, exit_code=1, folder=log_file.parent)


def keep_traceback(error: Exception, on_terminal: bool) -> None:
    """Writes the traceback into the run's log file, and also to the terminal if ``on_terminal`` is true."""
    record = log.makeRecord(
        log.name, logging.ERROR, __file__, 0, line(error), (), (type(error), error, error.__traceback__)
    )
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
    if on_terminal:
        traceback.print_exception(error)


def relative(path: Path) -> Path:
    """Makes ``path`` relative to the current folder if it lies below that folder. Otherwise gives it as it is."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
