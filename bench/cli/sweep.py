"""The course of a sweep: checks all runs, finds the finished ones, launches the others, and shows how they ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf

from bench.cli import ending, engine
from bench.cli.folder import SWEEP_SETTINGS
from bench.cli.request import Request
from bench.cli.shell import Ended, full_error
from bench.config import Settings, check_job, explained
from bench.errors import BenchError, RequestError, interrupted
from bench.measure.units import plural
from bench.sweeps import cluster, folders, launch, logged, searches, sources
from bench.sweeps.board import SweepBoard
from bench.sweeps.estimate import Estimate, recorded
from bench.sweeps.jobs import Job, Outcome, Watched, Work, ended_well
from bench.sweeps.once import Once

QUIET_SECONDS = 1.0
"""The longest time, in seconds, that the check of a sweep's runs may take without a message."""


BY_NUMBER = "${hydra.job.num}"
"""The default of ``hydra.sweep.subdir``: the name of a run's folder is the run's number."""


@dataclass(frozen=True)
class Run:
    """A run of a sweep, before the sweep's first run begins.

    Attributes:
        overrides: the run's overrides.
        settings: the run's settings, composed and checked.
        folder: the run's output folder. None if it is not known before the run begins.
    """

    overrides: Sequence[str]
    settings: Settings
    folder: Path | None


class Sweep:
    """A requested sweep.

    Args:
        request: the request.
        work: the functions that are called with the settings of a run, or a function that gives them. That function
            is called once the settings are checked.

    Attributes:
        jobs: the overrides of each run. For a search, the fixed overrides.
        runs: the runs by number. Empty for a search, whose runs are not known before.
        outcomes: the outcomes of the runs that have ended, by number.
    """

    def __init__(self, request: Request, work: Work | Callable[[], Work]) -> None:
        self._request, self._given = request, work
        self._search = searches.asked_for(request.cfg)
        self._beside = str(request.cfg.hydra.launcher._target_) == launch.TARGET
        self._elsewhere = cluster.elsewhere(request.launcher)
        self.jobs: Sequence[Sequence[str]] = []
        self.runs: dict[int, Run] = {}
        self.outcomes: dict[int, Outcome] = {}
        self._missing: Mapping[str, BenchError] = {}
        self._finished: Sequence[int] = ()

    @property
    def _work(self) -> Work:
        if not isinstance(self._given, Work):
            self._given = self._given()
        return self._given

    def check(self) -> None:
        """Composes and checks all runs. A search is checked as far as its runs are known before.

        Raises:
            RequestError: the request is wrong. The message names the first fault.
        """
        cfg, loader = self._request.cfg, self._request.loader
        if self._beside:
            launch.check(cfg.hydra.launcher)
        with explained(self._request.options.overrides, loader):
            self.jobs = self._request.engine.jobs(cfg)
        if self._search:
            self.jobs = self._search.prepare(
                cfg, loader, lambda job: self._checked(0, job).settings, self._memory
            )
            folders.refuse_shared(cfg, self._folders_of_search(), self.jobs)
            return
        patience = _Patience(len(self.jobs))
        for number, job in enumerate(self.jobs):
            self.runs[number] = self._checked(number, job)
            patience.done(number + 1)
        planned = {number: run.folder for number, run in self.runs.items() if run.folder}
        folders.refuse_shared(cfg, planned, self.jobs)

    def _checked(self, number: int, job: Sequence[str]) -> Run:
        return Run(job, check_job(self._request.cfg, job, self._request.loader), self._folder_of(number, job))

    def _folder_of(self, number: int, job: Sequence[str]) -> Path | None:
        cfg, loader = self._request.cfg, self._request.loader
        named: Any = OmegaConf.to_container(cfg.hydra.sweep, resolve=False)
        plain = not any(text.lstrip("+").startswith(("experiment=", "hydra")) for text in job)
        if plain and named["subdir"] == BY_NUMBER and "${" not in named["dir"]:
            return Path(named["dir"], str(number))
        with explained(job, loader):
            composed = loader.load_sweep_config(cfg, list(job))
        return folders.known(folders.number(composed, number))

    def _memory(self, settings: Settings) -> object:
        return self._work.memory(settings) if self._work.memory else None

    def _folders_of_search(self) -> dict[int, Path]:
        """The output folders of a search's first two runs, as far as they are known before."""
        assert self._search is not None
        cfg, loader = self._request.cfg, self._request.loader
        job = self._search.example(cfg, loader)
        try:
            composed = [loader.load_sweep_config(cfg, job) for _ in self.jobs[:2]]
        except HydraException:  # these values are not valid together: each is also checked with others
            return {}
        found = {number: folders.known(folders.number(one, number)) for number, one in enumerate(composed)}
        return {number: folder for number, folder in found.items() if folder}

    def planned(self) -> dict[int, tuple[Sequence[str], Settings]]:
        """Gives overrides and settings of all runs by number, for their plan.

        Raises:
            RequestError: it is a search, which finds its runs while it goes on.
        """
        if self._search:
            raise RequestError(
                f"--plan: a search finds its runs as it goes on; leave out {self._search.CHOICE}"
            )
        return {number: (run.overrides, run.settings) for number, run in self.runs.items()}

    def run(self) -> int:
        """Runs all unfinished runs and shows how all runs ended. Returns the exit code.

        Raises:
            Ended: runs failed, or the sweep was interrupted.
            RequestError: the request is wrong, which only the data can show.
            BenchError: the data of all runs cannot be read, or the output folder cannot be made.
        """
        own = self.prepare()
        try:
            self.train(own)
        except KeyboardInterrupt as stop:
            ending.show(self.outcomes, own.known, None, self._request.options.config_dirs)
            done = sum(outcome.status in ("finished", "skipped") for outcome in self.outcomes.values())
            raise Ended(
                f"interrupted; {plural(done, 'finished run')} kept; to train the rest: {self._request.command}",
                128 + interrupted(stop),
            ) from None
        page = self.finish(own)
        ending.show(self.outcomes, own.known, page, self._request.options.config_dirs)
        ending.check(self.outcomes)
        return 0

    def prepare(self) -> logged.Logged:
        """Looks for data and for finished runs, and makes the output folder. Gives the sweep's own run in MLflow.

        Raises:
            BenchError: the data of all runs cannot be read, or the output folder cannot be made.
        """
        self._missing = self._look_for_data()
        self._finished = self._look_for_finished(self._missing)
        self._request.folder.claim()
        self._request = self._request.in_folder()
        return self._own_run()

    def train(self, own: logged.Logged) -> None:
        """Runs all unfinished runs, and fills ``outcomes``.

        Args:
            own: the result of ``prepare``.

        Raises:
            KeyboardInterrupt: the sweep was interrupted. Its finished runs are kept.
            RequestError: the request is wrong, which only the data can show.
        """
        request, missing = self._request, self._missing
        counted = self._search is None or self._search.COUNTED
        board = SweepBoard(
            self.jobs if counted else (),
            live=self._beside,
            told=own.ended,
            estimate=None if self._elsewhere else self._estimate(len(self._finished)),
            apart=self._beside or self._elsewhere,
        )
        board.validating = self._search is not None
        self.outcomes = board.outcomes
        job = Job(
            self._work,
            request.loader.config_dirs,
            full_error(),
            own.opening,
            missing,
            frozenset(Once.shown),
            request.loader.secrets.known,
        )
        try:
            with cluster.lost_jobs_listed(request.launcher), board:
                known = self._answer(self._finished, board)
                if self._search or len(known) < len(self.jobs):
                    own.begin()
                    self._launch(Watched(job, board, known), board)
        except KeyboardInterrupt:
            own.end(board.outcomes, interrupted=True)
            raise
        except RequestError:
            own.withdraw()
            request.folder.discard(SWEEP_SETTINGS)
            raise

    def finish(self, own: logged.Logged) -> Path | None:
        """Makes the report of the runs and gives its page. Ends the sweep's own run in MLflow.

        Args:
            own: the result of ``prepare``.
        """
        page = own.report(self.outcomes)
        own.end(self.outcomes)
        return page

    def _look_for_data(self) -> Mapping[str, BenchError]:
        """The errors of data that is not available. Empty if other machines do the runs and look for data there."""
        if self._work.data is None or self._elsewhere:
            return {}
        return sources.missing((run.settings for run in self.runs.values()), self._work.data)

    def _look_for_finished(self, missing: Mapping[str, BenchError]) -> list[int]:
        """Finds the runs that have finished before. For any other run, workers begin to import the code it needs."""
        found = []
        for number, run in self.runs.items():
            lacks_data = bool(missing) and sources.key(run.settings) in missing
            look = self._work.finished if run.settings.resume and not lacks_data else None
            if look and look(run.settings, None) is not None:
                found.append(number)
            elif self._beside and not lacks_data:
                launch.prepare(run.settings)
        return found

    def _answer(self, finished: Sequence[int], board: SweepBoard) -> dict[int, Outcome]:
        """Writes the results of finished runs into their output folders, and shows them."""
        known = {}
        for number in finished:
            run, look = self.runs[number], self._work.finished
            composed = self._request.loader.load_sweep_config(self._request.cfg, list(run.overrides))
            folder = folders.of(folders.number(composed, number))
            folder.mkdir(parents=True, exist_ok=True)
            result = look(run.settings, folder) if look else None
            if result is None:  # its record was removed a moment ago: it is trained
                continue
            engine.save(composed, folder)
            known[number] = ended_well(result, tuple(run.overrides), folder)
            board.ended(number, known[number])
        return known

    def _launch(self, task: Watched, board: SweepBoard) -> None:
        returned = self._request.engine.sweep(task, self._request.overrides)
        for number, one in enumerate(returned):
            if number not in board.outcomes:  # it ran on another machine
                board.ended(number, one.return_value)

    def _estimate(self, finished: int) -> Estimate:
        """Estimates what the runs take. Records are read only if something is left to train."""
        settings = {number: run.settings for number, run in self.runs.items()}
        folders = dict.fromkeys(own.results_dir for own in settings.values())
        records = recorded(folders) if finished < len(settings) else []
        values = {number: own.values for number, own in settings.items()}
        return Estimate(values, records, self._beside)

    def _own_run(self) -> logged.Logged:
        """The sweep's own run in MLflow."""
        request = self._request
        dirs = request.loader.config_dirs
        started = logged.Started(request.command, request.folder.path, self._elsewhere, dirs)
        if self._search:
            return logged.search_of(self._search, request.cfg, request.loader, started)
        return logged.sweep_of(self.jobs, [run.settings for run in self.runs.values()], started)


class _Patience:
    """Prints that runs are checked, as soon as the check is expected to take longer than ``QUIET_SECONDS``.

    Args:
        total: the number of runs.
    """

    def __init__(self, total: int) -> None:
        self._total, self._said = total, False
        self._began = self._first = time.monotonic()

    def done(self, count: int) -> None:
        """Takes the number of runs that have been checked."""
        now = time.monotonic()
        if count == 1:
            self._first = now  # the first check is slower: it reads files that the others find in memory
        elif not self._said:
            rest = (now - self._first) / (count - 1) * (self._total - 1)
            if self._first - self._began + rest > QUIET_SECONDS:
                print(f"checking {self._total} runs", flush=True)
                self._said = True
