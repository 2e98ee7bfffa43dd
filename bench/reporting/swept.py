"""The runs of one sweep, for its report: found by the sweep's record."""

from __future__ import annotations

from pathlib import Path

from bench.config.paths import absolute
from bench.errors import RequestError
from bench.records.result import Result, Status
from bench.records.store import SWEEPS, Store
from bench.records.sweeps import MISSING, SweepRecord, all_sweeps, path_of
from bench.tradeoff.groups import Unfinished

LATEST = "latest"
"""The name of the sweep whose record was written last."""

LISTED = 5
"""Most sweeps that a message names, the latest first."""


def find(store: Store, asked: str) -> SweepRecord:
    """Gives the sweep that a reader asks for.

    Args:
        store: the store with the sweep's record.
        asked: the sweep's output folder, the first letters of its key, or ``latest``.

    Raises:
        RequestError: no sweep, or more than one, is called so.
    """
    every = [one for one in all_sweeps(store) if isinstance(one, SweepRecord)]
    every.sort(key=lambda one: path_of(store, one.key).stat().st_mtime, reverse=True)
    if not every:
        raise RequestError(
            f"sweep={asked}: no records of sweeps in {store.folder / SWEEPS}; python -m bench.run -m makes one, and "
            "results_dir=FOLDER names another folder of records"
        )
    folder = absolute(asked, Path.cwd(), "sweep")
    found = every[:1] if asked == LATEST else [one for one in every if one.folder == str(folder)]
    found = found or [one for one in every if one.key.startswith(asked)]
    if len(found) == 1 or (found and found[0].folder == str(folder)):
        return found[0]  # of several sweeps in one folder the latest counts
    listed = "; ".join(f"{one.key[:8]} in {one.folder} ({one.name})" for one in (found or every)[:LISTED])
    more = "" if len(found or every) <= LISTED else f"; and {len(found or every) - LISTED} more"
    raise RequestError(
        f"sweep={asked}: {'several sweeps are called so' if found else 'no such sweep'}; give its output folder or the "
        f"first letters of its key (there are: {listed}{more})"
    )


def runs(store: Store, sweep: SweepRecord) -> tuple[list[Result], list[Unfinished]]:
    """Gives the results of a sweep's runs in their order, and an entry for each run without one."""
    results, missing = [], []
    for job in sweep.jobs:
        stored = store.find(job.fingerprint) if job.fingerprint else None
        if stored is not None and job.status in (Status.FINISHED, Status.SKIPPED):
            results.append(stored.result)
            continue
        lost = job.status in (Status.FINISHED, Status.SKIPPED)
        reason = "its record is no longer there" if lost else job.message or "the sweep was stopped before it"
        missing.append(Unfinished(MISSING if lost else job.status, " ".join(job.overrides), None, reason))
    return results, missing
