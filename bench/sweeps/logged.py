"""A sweep's own run in MLflow: which sweep it is, what it is called, and how its runs ended."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench import tracking
from bench.config import Settings
from bench.errors import BenchError
from bench.fingerprint import canonical, code_digest, deciding
from bench.jobs import Outcome, line, measured
from bench.measure.environment import tensorflow_version, version
from bench.settings import without_password
from bench.sweeps import space

log = logging.getLogger(__name__)

NAME_LENGTH = 100
"""The longest name of a sweep."""

VALUES_SHOWN = 8
"""As many values of one setting stand in a name; of more, the first ones and the last."""


@dataclass(frozen=True)
class Started:
    """How a sweep was started.

    Attributes:
        command: as it was given.
        folder: the sweep's output folder.
        elsewhere: whether its runs go on on other machines.
    """

    command: str
    folder: Path
    elsewhere: bool = False


@dataclass(frozen=True)
class Logged:
    """A sweep in MLflow.

    Attributes:
        sweep: its own run; None where it has none.
        jobs: the overrides of its runs.
        folder: the sweep's output folder.
        known: whether these are all; a search finds its own.
    """

    sweep: tracking.Sweep | None
    jobs: Sequence[Sequence[str]]
    folder: Path
    known: bool = True

    @property
    def opening(self) -> tracking.Opening | None:
        """What a run needs to be listed below the sweep's own."""
        return self.sweep.opening if self.sweep else None

    def begin(self) -> None:
        """To be called before the first run; a search may still be refused, and has its run made at its end."""
        if self.sweep and self.known:
            self.sweep.begin()

    def begin_report(self) -> None:
        """Begins to make ready what draws the report, beside the runs; returns at once."""
        if self.sweep and self.known and len(self.jobs) > 1:
            _drawing()

    def report(self, outcomes: Mapping[int, Outcome]) -> Path | None:
        """Writes the report of the sweep's runs and attaches it to its own run; gives the page.

        None where nothing was trained, where there is nothing to compare, and, with a warning, where it cannot be made:
        no sweep fails for its report.
        """
        trained = measured(outcomes)
        new = any(outcome.status == "finished" for outcome in outcomes.values())
        if not (self.sweep and self.known and new and len(trained) > 1):
            return None
        from bench.reporting import contents, files

        folder = self.folder / "report"
        try:
            made = files.files(contents.build(trained), self.sweep.experiment, _drawing().result)
            page = files.write(made, folder)
        except Exception as error:
            log.warning("the sweep's report is not there: %s; python -m bench.report makes one", line(error))
            return None
        self.sweep.upload(folder)
        return page

    def end(self, outcomes: Mapping[int, Outcome], interrupted: bool = False) -> None:
        """Logs how the runs ended; a run that failed makes the sweep ``FAILED``, an interrupt ``KILLED``."""
        if not self.sweep or not outcomes:
            return
        failed = any(outcome.status == "failed" for outcome in outcomes.values())
        status = "KILLED" if interrupted else "FAILED" if failed else "FINISHED"
        with contextlib.suppress(KeyboardInterrupt):  # a second one: MLflow's process marks the run
            self.sweep.end(status, rows(self.jobs, outcomes, self.known))


@functools.cache
def _drawing() -> Future[str]:
    return ThreadPoolExecutor(1, thread_name_prefix="report").submit(_draw)


def _draw() -> str:
    from bench.reporting import files

    return files.drawing()


def sweep_of(jobs: Sequence[Sequence[str]], settings: Sequence[Settings], started: Started) -> Logged:
    """A sweep of known runs; it has no run of its own where they are logged to different places.

    It is the same sweep where all runs have the same settings, under the same code: the order, the launcher and the
    wording of the command do not count.

    Args:
        jobs: the overrides of each run.
        settings: of each run.
        started: how the sweep was.
    """
    places = {(own.tracking.uri, own.tracking.experiment) for own in settings}
    if len(places) != 1:
        return Logged(None, jobs, started.folder)
    identity = sorted(canonical(deciding(own.values)) for own in settings)
    again = all(own.resume for own in settings)
    return Logged(_sweep(*places.pop(), identity, name_of(jobs), started, again), jobs, started.folder)


def search_of(cfg: DictConfig, loader: Any, started: Started) -> Logged:
    """A search, which is the same one as long as it goes on with the same study.

    Args:
        cfg: of the search.
        loader: Hydra's.
        started: how the search was.
    """
    from bench.sweeps import search

    arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    fixed, dimensions = space.split(cfg, arguments, loader)
    study = space.read(cfg).study_name or search.digest(fixed, dimensions)
    place = str(cfg.tracking.uri), str(cfg.tracking.experiment)
    name = _cut(" ".join(["search", *(dimension.given for dimension in dimensions)]))
    return Logged(
        _sweep(*place, ["search", study], name, started, again=True), (), started.folder, known=False
    )


def _sweep(
    uri: str, experiment: str, identity: Sequence[str], name: str, started: Started, again: bool
) -> tracking.Sweep | None:
    parts = [list(identity), code_digest(), version("keras"), tensorflow_version()]
    key = hashlib.sha256(canonical(parts).encode()).hexdigest()
    try:
        target = tracking.check(uri, experiment)
    except BenchError:
        return None  # the first run says it too, and that is an error
    command = without_password(started.command)
    return tracking.Sweep(target, key, name, command, started.folder, again, started.elsewhere)


def name_of(jobs: Sequence[Sequence[str]]) -> str:
    """A sweep's name, after what is swept: ``strategy=full,qr seed=0,1,2``."""
    values: dict[str, list[str]] = {}
    for job in jobs:
        for override in job:
            name, _, value = override.partition("=")
            known = values.setdefault(name.lstrip("+"), [])
            if value not in known:
                known.append(value)
    swept = {name: own for name, own in values.items() if len(own) > 1}
    return _cut(" ".join(f"{name}={_listed(own)}" for name, own in (swept or values).items()) or "sweep")


def _listed(values: Sequence[str]) -> str:
    if len(values) <= VALUES_SHOWN:
        return ",".join(values)
    return ",".join([*values[: VALUES_SHOWN // 2], "...", values[-1]])


def _cut(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 3]}..."


def rows(jobs: Sequence[Sequence[str]], outcomes: Mapping[int, Outcome], known: bool) -> list[dict[str, Any]]:
    """How each run of a sweep ended, as ``tracking.Sweep.end`` wants it.

    Args:
        jobs: the overrides of each run.
        outcomes: of the runs that have ended, by number.
        known: whether ``jobs`` are the sweep's runs; a search finds its own.
    """
    numbers = sorted({*outcomes, *(range(len(jobs)) if known else ())})
    return [
        _row(number, outcomes[number])
        if number in outcomes
        else {"run": number, "status": "missing", "overrides": " ".join(jobs[number])}
        for number in numbers
    ]


def _row(number: int, outcome: Outcome) -> dict[str, Any]:
    return {
        **outcome.result,
        "run": number,
        "status": outcome.status,
        "overrides": " ".join(outcome.overrides),
        "message": outcome.message,
    }
