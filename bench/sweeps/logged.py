"""The traces of a sweep beside its runs: its record on disk, its own run in MLflow, and its report."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bench import tracking
from bench.config import Settings
from bench.config.paths import absolute
from bench.config.secrets import without_password
from bench.errors import BenchError, RequestError, line
from bench.measure.apart import this_process
from bench.measure.environment import tensorflow_version, version
from bench.records.fingerprint import canonical, code_digest, deciding
from bench.records.result import Result, Status, Tree
from bench.records.store import Store
from bench.records.sweeps import Member, SweepRecord, path_of
from bench.sweeps.jobs import Outcome, measured, with_baselines
from bench.sweeps.searches import Search

log = logging.getLogger(__name__)

NAME_LENGTH = 100
"""The greatest number of characters in a sweep's name."""

VALUES_SHOWN = 8
"""The greatest number of values of one setting in a name. Of more values, the name has the first ones and the last."""


@dataclass(frozen=True)
class Started:
    """The command that started a sweep, and its circumstances.

    Attributes:
        command: the command as it was given.
        folder: the sweep's output folder.
        elsewhere: True if the runs may go on on other machines.
        config_dirs: the user's own folders of settings.
    """

    command: str
    folder: Path
    elsewhere: bool = False
    config_dirs: tuple[str, ...] = ()


class Logged:
    """A sweep's record, its own run in MLflow and its report.

    Args:
        record: the record of the sweep before its first run. It gets the fingerprints that an earlier command has
            trained for the sweep. The record of a search has no runs.
        store: the store of the record.
        target: the MLflow experiment that the runs are logged to. None if there are several.
        started: the command that started the sweep.

    Attributes:
        known: True if all runs are known before the first one. It is False for a search, which finds its runs.
        cut_off: True if an earlier command of this sweep was killed or interrupted.
    """

    def __init__(
        self, record: SweepRecord, store: Store, target: tracking.Target | None, started: Started
    ) -> None:
        earlier = _earlier(store, record.key)
        trained = earlier.trained if earlier else ()
        self.record, self.known = replace(record, trained=trained), bool(record.jobs)
        self.cut_off = earlier is not None and earlier.status in ("running", "interrupted")
        self._store, self._started = store, started
        self._sweep = tracking.Sweep(target, self.record) if target else None
        self._new = False

    @property
    def opening(self) -> SweepRecord | None:
        """The part of the record that a run needs, so that MLflow lists it below the sweep's own run."""
        return replace(self.record, jobs=(), trained=(), settings={}) if self._sweep else None

    def begin(self) -> None:
        """Writes the record before the first run. The record of a search is written later, since it may be refused.

        Raises:
            RecordError: the record cannot be written.
        """
        if self.known:
            self._new = not path_of(self._store, self.record.key).exists()
            self.record.write(self._store)
            if self._sweep and self._started.elsewhere:
                self._sweep.begin()

    def withdraw(self) -> None:
        """Removes the record that ``begin`` has written, for a sweep that was refused later."""
        if self._new:
            self._store.withdraw_sweep(self.record.key)

    def ended(self, number: int, outcome: Outcome) -> None:
        """Adds the outcome of a run to the record. The first trained run also begins the report."""
        result = outcome.result
        fingerprint = result.fingerprint if result else None
        job = Member(number, outcome.overrides, outcome.status, fingerprint, outcome.message)
        self.record = self.record.with_job(job)
        if not self.known and result and result.settings:
            common = in_common(self.record.settings or result.settings, result.settings)
            self.record = replace(self.record, settings=common)
        if outcome.status != Status.SKIPPED:
            self._new = False
            self._write()
        if outcome.status == Status.FINISHED and self.known and len(self.record.jobs) > 1:
            _drawing()

    def report(self, outcomes: Mapping[int, Outcome]) -> Path | None:
        """Writes the report of the sweep's runs, also into MLflow, and gives the path of its page.

        Gives None if nothing was trained, or if there is nothing to compare. If the report cannot be made, it logs a
        warning and gives None. So the sweep does not fail for it.
        """
        trained = measured(outcomes)
        new = any(outcome.status == Status.FINISHED for outcome in outcomes.values())
        if not (self.known and new and len(trained) > 1):
            return None
        from bench.reporting import contents, files

        folder = self._started.folder / "report"
        try:
            experiment = str(trained[0].setting("tracking.experiment"))
            built = contents.build(
                with_baselines(trained),
                unreadable=_without_numbers(outcomes),
                config_dirs=self._started.config_dirs,
                scope="sweep",
            )
            made = files.files(built, experiment, _drawing().result)
            page = files.write(made, folder)
        except Exception as error:
            log.warning("the sweep's report is missing: %s; python -m bench.report makes one", line(error))
            return None
        if self._sweep:
            self._sweep.upload(folder)
        return page

    def end(self, outcomes: Mapping[int, Outcome], interrupted: bool = False) -> None:
        """Writes the sweep's status to the record. It also writes it to MLflow, unless no run was tried."""
        ends = {outcome.status for outcome in outcomes.values()}
        if not ends:
            return
        found = [outcome.result for outcome in outcomes.values() if outcome.result]
        if self._sweep and self.cut_off and not interrupted:
            self._send_unsent(self._sweep.target, found)
        status = "interrupted" if interrupted else "failed" if Status.FAILED in ends else "finished"
        self.record = replace(self.record, status=status)
        self._write()
        if self._sweep and (self.cut_off or ends - {Status.SKIPPED, Status.REFUSED}):
            # after a second interrupt MLflow's process marks the run
            with contextlib.suppress(KeyboardInterrupt):
                self._sweep.end(self.record, found)

    def _send_unsent(self, target: tracking.Target, found: Sequence[Result]) -> None:
        """Sends to MLflow the runs that an earlier command recorded, and was killed before it had sent them."""
        for result in found:
            name = str(result.fingerprint)
            stored = None if name in self.record.trained else self._store.find(name)
            if result.status != Status.SKIPPED or stored is None:
                continue
            try:
                _, new = tracking.send(target, stored.result, stored.folder.absolute())
            except BenchError as error:
                log.warning("MLflow lacks finished runs: %s; python -m bench.track sends them", error)
                return
            if new:
                self.record = replace(self.record, trained=(*self.record.trained, name))

    def _write(self) -> None:
        try:
            self.record.write(self._store)
        except BenchError as error:
            log.warning("the sweep's record is not complete: %s", error)


def _without_numbers(outcomes: Mapping[int, Outcome]) -> list[Any]:
    """The runs of a sweep that failed or were refused, as a report lists them, in order."""
    from bench.tradeoff.groups import Unfinished

    return [
        Unfinished(outcome.status, " ".join(outcome.overrides), None, outcome.message)
        for _, outcome in sorted(outcomes.items())
        if outcome.status in (Status.FAILED, Status.REFUSED)
    ]


@functools.cache
def _drawing() -> Future[str]:
    return ThreadPoolExecutor(1, thread_name_prefix="report").submit(_draw)


def _draw() -> str:
    from bench.reporting import files

    return files.drawing()


def sweep_of(jobs: Sequence[Sequence[str]], settings: Sequence[Settings], started: Started) -> Logged:
    """Gives a sweep of known runs. It has no own run in MLflow if the runs are logged to different places.

    Two sweeps are the same sweep if all runs have the same settings under the same code. The order, the launcher and
    the wording of the command do not count. With ``resume=false`` a sweep is always new.

    Args:
        jobs: the overrides of each run.
        settings: the settings of each run.
        started: the command that started the sweep.
    """
    identity = sorted(canonical(deciding(own.values)) for own in settings)
    if not all(own.resume for own in settings):
        identity.append(str(started.folder.absolute()))
    members = tuple(Member(number, tuple(job)) for number, job in enumerate(jobs))
    common = functools.reduce(in_common, (own.values for own in settings))
    store = Store(settings[0].results_dir)
    record = _record(identity, name_of(jobs), started)
    places = {(own.tracking.uri, own.tracking.experiment) for own in settings}
    target = _target(*places.pop()) if len(places) == 1 else None
    return Logged(replace(record, settings=common, jobs=members), store, target, started)


def search_of(search: Search, cfg: DictConfig, loader: Any, started: Started) -> Logged:
    """Gives a search. Two searches with the same identity are the same search.

    Args:
        search: the search.
        cfg: its configuration.
        loader: Hydra's loader.
        started: the command that started the search.
    """
    parts, name = search.identity(cfg, loader)
    store = Store(absolute(str(cfg.results_dir), Path.cwd(), "results_dir"))
    record = _record(parts, _cut(name), started)
    target = _target(str(cfg.tracking.uri), str(cfg.tracking.experiment))
    return Logged(record, store, target, started)


def _record(identity: Sequence[str], name: str, started: Started) -> SweepRecord:
    """Gives the record of a sweep that begins."""
    parts = [list(identity), code_digest(), version("keras"), tensorflow_version()]
    key = hashlib.sha256(canonical(parts).encode()).hexdigest()
    command, folder = without_password(started.command), str(started.folder.absolute())
    return SweepRecord(key, name, command, folder, this_process(), {})


def _earlier(store: Store, key: str) -> SweepRecord | None:
    """Gives the record that an earlier command of the same sweep has left, if there is a readable one."""
    with contextlib.suppress(RequestError):
        return SweepRecord.read(path_of(store, key))
    return None


def _target(uri: str, experiment: str) -> tracking.Target | None:
    with contextlib.suppress(BenchError):  # the first run reports the same error
        return tracking.check(uri, experiment)
    return None


def in_common(one: Tree, other: Tree) -> dict[str, Any]:
    """Gives the settings that are equal in two runs."""
    found: dict[str, Any] = {}
    for name, value in one.items():
        if name in other and value == other[name]:
            found[name] = value
        elif isinstance(value, Mapping) and isinstance(other.get(name), Mapping):
            found[name] = in_common(value, other[name])
    return found


def name_of(jobs: Sequence[Sequence[str]]) -> str:
    """Gives a sweep's name, made of the settings that are swept: ``strategy=full,qr seed=0,1,2``."""
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
