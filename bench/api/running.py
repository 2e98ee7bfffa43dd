"""Runs and sweeps in the caller's process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench.api.overrides import arguments
from bench.errors import BenchError, RequestError, RunFailed, interrupted, unwrapped
from bench.records.result import FILE, Result, Status
from bench.records.store import FAILED

if TYPE_CHECKING:  # these modules take time to import, which ``from bench import api`` saves
    from bench.cli.request import Request
    from bench.config import Settings
    from bench.sweeps.jobs import Outcome, Task

_one_at_a_time = threading.Lock()  # Hydra's state is one for the process

Folders = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One folder, or several."""


@dataclass(frozen=True, repr=False)
class Run:
    """A run that has ended.

    Attributes:
        result: the run's result, as in ``result.json``. Of a failed or a refused run it has ``error`` in place of
            numbers.
        folder: the run's output folder. None if a sweep's run left none.
        record: the folder of the run's record. None for a refused run, and for one whose record has been removed.
        overrides: the overrides of the run.
    """

    result: Result
    folder: Path | None
    record: Path | None
    overrides: tuple[str, ...] = ()

    def show(self) -> None:
        """Prints the result as the command does."""
        from bench.records.showing import show

        show(self.result, self.folder)

    def __repr__(self) -> str:
        from bench.records.naming import run_name

        found = self.result
        value = found.error if found.headline is None else f"{found.headline:.4f}"
        return f"<Run {run_name(found, self.overrides)}: {found.status}, {value}; {self.folder}>"


def run(*overrides: str, config_dir: Folders = (), **settings: Any) -> Run:
    """Does one run, as ``python -m bench.run`` does. An equal run that has finished is not trained again.

    Progress and warnings are printed on standard error. The result is not printed; ``Run.show`` prints it.

    Example:
        ``api.run(strategy="qr", num_buckets=120, training={"epochs": 1})``, or
        ``api.run("strategy=qr", "num_buckets=120", "training.epochs=1")``

    Args:
        *overrides: settings as the command takes them.
        config_dir: one's own folder of settings, or several: ``--config-dir`` of the command.
        **settings: the same by name. A dict holds the settings of a group; dotted names go as
            ``**{"training.epochs": 1}``. Texts are taken as they are.

    Returns:
        The run, with its result and its folders.

    Raises:
        RequestError: the request is wrong. Nothing was trained.
        RunFailed: the run ended without a valid result.
        BenchError: a data source or MLflow cannot be reached, or something cannot be written.
    """
    from bench.cli import run as command

    argv = arguments(overrides, settings, config_dir, swept=False)
    _refuse_several(overrides)
    with _calling(argv) as asked:
        if asked.is_sweep:
            raise RequestError("hydra.mode=MULTIRUN: these settings are a sweep; call api.sweep with them")
        own = _checked(asked)
        command.check_launcher(asked)
        work = command.benchmark()
        task = _Task(work.run)
        outcome = command.run_alone(asked, replace(work, run=task))
        if outcome.exit_code:
            _fail(outcome, task.error)
        return _ended(outcome, own.results_dir)


def sweep(*overrides: str, config_dir: Folders = (), **settings: Any) -> list[Run]:
    """Runs all combinations of values, as ``python -m bench.run -m`` does. Finished runs are not trained again.

    The runs go on in this process, one after the other, or where ``hydra/launcher`` says. A run that fails does not end
    the sweep. The table at the sweep's end is not printed; ``bench.tradeoff.show`` prints it.

    Example:
        ``api.sweep(strategy=["qr", "md"], budget=[0.2, 0.1], seed=range(3))``, or
        ``api.sweep("strategy=qr,md", "budget=0.2,0.1", "seed=0,1,2")``

    Args:
        *overrides: settings as the command takes them, with commas between values.
        config_dir: one's own folder of settings, or several: ``--config-dir`` of the command.
        **settings: the same by name, with a list of values. A value that is itself a list goes into one more list:
            ``block_splits=[[0.1, 0.5]]``.

    Returns:
        All runs, in the order of their numbers. ``result.status`` of each is ``finished``, ``skipped`` (an equal run
        had finished), ``failed`` or ``refused`` (a budget that cannot be met); ``result.error`` says why.

    Raises:
        RequestError: the request is wrong. Nothing was trained.
        BenchError: the data of all runs cannot be read, or something cannot be written.
    """
    from bench.cli import run as command
    from bench.cli.sweep import Sweep

    with _calling(arguments(overrides, settings, config_dir, swept=True)) as asked:
        job = Sweep(asked, command.benchmark)
        job.check()
        command.check_launcher(asked)
        own = job.prepare()
        job.train(own)
        job.finish(own)
        return [
            _ended(outcome, job.runs[number].settings.results_dir if number in job.runs else None)
            for number, outcome in sorted(job.outcomes.items())
        ]


def _refuse_several(overrides: Sequence[str]) -> None:
    """Refuses several values for a setting of one run. The command's message would name an option of the command."""
    from hydra.errors import HydraException

    from bench.config import hydra as insides

    for text in overrides:
        with contextlib.suppress(HydraException):  # composing says what is wrong
            if any(override.is_sweep_override() for override in insides.parse([text])):
                raise RequestError(
                    f"{text}: several values; call api.sweep to run each of them, or give a list by name"
                )


@contextlib.contextmanager
def _calling(argv: Sequence[str]) -> Iterator[Request]:
    """Composes a request, and restores at the end what a command changes in its process."""
    from bench import backend, config
    from bench.cli import engine, options, request

    try:
        with _one_at_a_time, backend.kept(), engine.clean():
            config.loader.cache_clear()
            yield request.compose(options.parse(argv), "run")
    except Exception as error:
        if interrupted(error):  # a library has made an error of its own of the Ctrl-C
            raise KeyboardInterrupt from error
        raise


def _checked(asked: Request) -> Settings:
    from bench import config

    return config.check(asked.cfg, asked.cfg.hydra.runtime.choices, asked.loader)


class _Task:
    """The function of a run, which remembers the error that it raised."""

    def __init__(self, run: Task) -> None:
        self._run = run
        self.error: Exception | None = None

    def __call__(self, settings: Settings, folder: Path) -> Result:
        try:
            return self._run(settings, folder)
        except Exception as error:
            self.error = error
            raise


def _fail(outcome: Outcome, error: Exception | None) -> NoReturn:
    """Raises the error of a run."""
    known = unwrapped(error) if error else None
    if not isinstance(known, BenchError):
        kind = RequestError if outcome.exit_code == RequestError.exit_code else RunFailed
        known = kind(outcome.message)
        known.__cause__ = error
    if outcome.folder and outcome.folder.is_dir():
        known.add_note(f"result and log: {outcome.folder}")
    raise known


def _ended(outcome: Outcome, results_dir: Path | None) -> Run:
    """Gives a run by its outcome.

    Args:
        outcome: the outcome.
        results_dir: folder of the records. None for that in the result.
    """
    from bench.config.paths import absolute

    result, folder = outcome.result, outcome.folder
    if result is None and folder is not None and (folder / FILE).is_file():
        result = Result.read(folder)
    if result is None:
        result = Result.of(Status(outcome.status), error=outcome.message)
    place = results_dir or absolute(str(result.setting("results_dir")), Path.cwd(), "results_dir")
    record = (place if result.measured else place / FAILED) / str(result.fingerprint)
    return Run(
        result, folder.absolute() if folder else None, record if record.is_dir() else None, outcome.overrides
    )
