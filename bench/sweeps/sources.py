"""The search for a sweep's data sets, which happens once before the first run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from bench import data
from bench.config import Settings
from bench.errors import BenchError


def key(settings: Settings) -> str:
    """The key of a run's data. Runs that read the same data have equal keys."""
    return json.dumps([settings.dataset, str(settings.data_dir)], sort_keys=True, default=str)


def prepare(settings: Settings) -> None:
    """Finds the data that a run reads, and prepares it if it is not prepared yet.

    Raises:
        BenchError: the data is not available.
    """
    data.load(settings.dataset, settings.data_dir)


def missing(runs: Iterable[Settings], prepare: Callable[[Settings], object]) -> dict[str, BenchError]:
    """Prepares each data set that the runs read. Returns the errors of data sets that are not available, by ``key``.

    Args:
        runs: the settings of the runs.
        prepare: a function that prepares the data of a run.

    Raises:
        BenchError: none of the data sets is available.
    """
    errors: dict[str, BenchError] = {}
    looked: set[str] = set()
    for settings in runs:
        own = key(settings)
        if own in looked:
            continue
        looked.add(own)
        try:
            prepare(settings)
        except BenchError as error:
            errors[own] = error
    if errors and len(errors) == len(looked):
        raise next(iter(errors.values()))
    return errors
