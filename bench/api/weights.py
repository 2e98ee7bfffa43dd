"""The trained model of a finished run, from its record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api.running import Run
from bench.records.result import Result
from bench.records.store import Record

if TYPE_CHECKING:
    from bench.records.finding import Found
    from bench.trained import Trained


def load(
    record: str | os.PathLike[str] | Run | Result | Record,
    *,
    results_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    dataset: Mapping[str, Any] | None = None,
) -> Trained:
    """Loads the model that a run has trained, in the form that serves, with its data set.

    The run must have been asked for with ``save_weights=true``.

    Example:
        ``trained = api.load(api.run(strategy="qr", save_weights=True))``, then
        ``trained.model.predict(trained.inputs(trained.data.evaluation))``

    Args:
        record: what ``run`` returned; a ``result.json``; an output folder; a record's folder; the first letters of a
            fingerprint; or MLflow's id of a run.
        results_dir: folder of the records. None for the default of ``python -m bench.run``.
        data_dir: folder of archives and prepared data. None for the run's own, if it is there, else the default.
        dataset: settings of the data set that have changed since the run, such as ``{"path": "moved.csv"}``.

    Returns:
        The Keras model, the embedding layer of each field, the data set and the result.

    Raises:
        RequestError: there is no such run, its weights were not kept, or its data have changed.
        RunFailed: the weights are damaged, or this version's model has other weights.
        SourceError: the data set cannot be reached.
    """
    from bench import backend, data
    from bench.cli.keeping import folder
    from bench.config.paths import absolute
    from bench.trained import rebuild

    found = _find(record, folder("results_dir", None if results_dir is None else os.fspath(results_dir)))
    weights, result = found.weights(), found.result
    own = result.setting("data_dir")
    place = absolute(str(own), Path.cwd(), "data_dir") if own else None
    if data_dir is not None or place is None or not place.is_dir():
        place = folder("data_dir", None if data_dir is None else os.fspath(data_dir))
    values: dict[str, Any] = {**result.setting("dataset"), **(dataset or {})}
    with backend.kept():
        return rebuild(result, weights, data.load(values, place))


def _find(record: str | os.PathLike[str] | Run | Result | Record, results_dir: Path) -> Found:
    from bench.records import finding

    if isinstance(record, Run):
        place = record.record.parent if record.record else results_dir
        return finding.of_result(record.result, place, record.folder)
    if isinstance(record, Result):
        return finding.of_result(record, results_dir)
    if isinstance(record, Record):
        return finding.Found(record.result, record.folder, record)
    return finding.find(os.fspath(record), results_dir)
