"""The record of a sweep: its command, and the status of each of its runs.

The record lies in ``results_dir/sweeps/KEY.json``. It is written when the sweep begins and whenever a run ends.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from bench.errors import RequestError
from bench.records.cells import cell
from bench.records.result import METRICS, Result, Status, Tree
from bench.records.store import FORMAT_VERSION, SWEEPS, Store, check_version

MISSING = "missing"
"""The status of a run that has not ended."""

COUNTS: Mapping[str, str] = {
    "runs": "runs that the sweep asks for",
    "runs.finished": "those that have numbers, of this command or an earlier one",
    "runs.skipped": "of these: had finished before, and were not trained again",
    "runs.failed": "those that failed",
    "runs.refused": "those whose budget cannot be met",
    "runs.missing": "those that an interrupt left out",
}
"""The names of a sweep's counts, and their meanings."""


@dataclass(frozen=True)
class Member:
    """A run of a sweep.

    Attributes:
        number: the run's place among the sweep's runs, from 0.
        overrides: the overrides of this run.
        status: one of ``Status``, or ``missing``.
        fingerprint: the name of the run's record. None if the run ended before it was known.
        message: one line that says why the run has no numbers.
    """

    number: int
    overrides: tuple[str, ...]
    status: str = MISSING
    fingerprint: str | None = None
    message: str = ""


@dataclass(frozen=True)
class SweepRecord:
    """The content of a sweep's record.

    Attributes:
        key: a digest that identifies the sweep. Equal runs under equal code are the same sweep.
        name: a name made of the settings that are swept.
        command: the command that started the sweep, without passwords.
        folder: the output folder of the latest command.
        process: the name of the process that runs the sweep, or was the last to run it.
        settings: the settings that all runs have in common.
        jobs: the sweep's runs, in their order.
        trained: fingerprints of the runs that this sweep has trained itself, in this command or an earlier one.
        status: ``running`` (also after a kill), ``finished``, ``failed`` (a run failed), or ``interrupted``.
    """

    key: str
    name: str
    command: str
    folder: str
    process: str
    settings: Tree
    jobs: tuple[Member, ...] = ()
    trained: tuple[str, ...] = ()
    status: str = "running"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a sweep's record.

        Raises:
            RequestError: the file is missing, or is not the record of a sweep.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            check_version(path, values["format_version"])
            jobs = tuple(Member(**{**job, "overrides": tuple(job["overrides"])}) for job in values["jobs"])
            known = {one.name: values[one.name] for one in fields(cls)}
            return cls(**{**known, "jobs": jobs, "trained": tuple(values["trained"])})
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise RequestError(f"{path}: not readable as the record of a sweep ({error!r})") from None

    def write(self, store: Store) -> None:
        """Writes the record in place of an earlier one.

        Raises:
            RecordError: the folder cannot be written to.
        """
        store.write_sweep(self.key, {"format_version": FORMAT_VERSION, **asdict(self)})

    def with_job(self, job: Member) -> Self:
        """Gives the record with a run added, or with this run in place of its earlier entry."""
        others = {one.number: one for one in self.jobs} | {job.number: job}
        new = job.status == Status.FINISHED and job.fingerprint and job.fingerprint not in self.trained
        trained = (*self.trained, str(job.fingerprint)) if new else self.trained
        return replace(self, jobs=tuple(others[number] for number in sorted(others)), trained=trained)

    def table(self, results: Mapping[str | None, Result]) -> str:
        """Gives the runs as CSV, one line each, with the main numbers of those that have a result.

        Args:
            results: the runs' results by fingerprint.
        """
        numbers = [name for name, one in METRICS.items() if one.main]
        shown = ("run_id", "strategy", "seed", *numbers)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["run", "status", "overrides", "fingerprint", *shown, "message"])
        for job in self.jobs:
            known = [getattr(results.get(job.fingerprint), name, None) for name in shown]
            overrides = " ".join(job.overrides)
            row = [job.number, job.status, overrides, job.fingerprint, *known, job.message]
            writer.writerow(map(cell, row))
        return text.getvalue()

    def counts(self) -> dict[str, int]:
        """Gives the number of runs for each name in ``COUNTS``."""
        found = [job.status for job in self.jobs]
        counted = {name: found.count(name.partition(".")[2]) for name in COUNTS}
        counted["runs.finished"] += counted["runs.skipped"]
        return {**counted, "runs": len(found)}


def path_of(store: Store, key: str) -> Path:
    """Gives the path of a sweep's record."""
    return store.folder / SWEEPS / f"{key}.json"


def all_sweeps(store: Store) -> Iterator[SweepRecord | RequestError]:
    """Gives all records of sweeps, with an error in place of one that cannot be read."""
    for path in sorted((store.folder / SWEEPS).glob("*.json")):
        try:
            yield SweepRecord.read(path)
        except RequestError as error:
            yield error
