"""Trains a finished run once more, for weights that were not kept."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import data, experiment, models
from bench.config.paths import located
from bench.config.schema import Globals, Settings, Tracking, Training
from bench.config.secrets import hides
from bench.config.typed import Choice, build
from bench.embeddings import read
from bench.errors import RequestError, RunFailed
from bench.records.finding import Found
from bench.records.result import Result
from bench.records.store import Store


def trained_again(found: Found, data_dir: Path) -> Found:
    """Trains a run again with ``save_weights=true``, so that its record holds the weights.

    Args:
        found: the run.
        data_dir: folder of archives and prepared data.

    Raises:
        RequestError: this version's code would do another run.
        BenchError: the run failed.
    """
    result, record = found.result, found.record
    if record is None:
        raise RequestError(
            f"{found.folder}: the run has no record to add weights to; run the same again instead"
        )
    own = settings_of(result, record.folder.parent, data_dir)
    with tempfile.TemporaryDirectory() as folder:
        again = experiment.Experiment(own, Path(folder))
        if again.fingerprint != result.fingerprint:
            raise RequestError(
                f"{found.folder}: this version of the code does another run ({again.fingerprint[:12]}) with these "
                "settings; run the same again, with save_weights=true, and export that"
            )
        with again.pulse:
            again.run()
    kept = Store(record.folder.parent).find(str(result.fingerprint))
    if kept is None or kept.file("weights.safetensors") is None:
        raise RunFailed(
            f"{record.folder}: trained again, the run came to other numbers, so that its record got no weights; remove "
            "the record and run the same again with save_weights=true"
        )
    return replace(found, folder=kept.folder, record=kept)


def settings_of(result: Result, results_dir: Path, data_dir: Path) -> Settings:
    """Makes the settings of a run from its result, with ``save_weights=true``.

    Args:
        result: the run's result.
        results_dir: folder of the records.
        data_dir: folder of archives and prepared data.

    Raises:
        RequestError: this version does not take one of the settings.
    """
    added = {"share": None, "budget_split": "equal"}  # results of earlier versions lack them
    values: dict[str, Any] = {**added, **(result.settings or {}), "save_weights": True}
    start = Path.cwd()
    shared = build(Globals, {name: values[name] for name in Globals.__annotations__})
    tracking = build(Tracking, values["tracking"], "tracking.{}".format)
    if hides(tracking.uri):
        raise RequestError(
            f"tracking.uri={tracking.uri}: results do not keep its password; run the same again instead"
        )
    methods = {}
    for slot, spec in values["embeddings"].items():
        if spec is not None:
            method, own = read(spec)
            methods[slot] = Choice(method.name(), own)
    dataset = data.read(values["dataset"])
    training = build(Training, values["training"], "training.{}".format)
    sections = {"dataset": dataset, "training": training, "tracking": tracking}
    used: dict[str, Any] = {
        name: located(own, start, f"{name}.{{}}".format) for name, own in sections.items()
    }
    return Settings(
        **{
            **vars(located(shared, start)),
            "results_dir": results_dir,
            "data_dir": data_dir,
            "task": result.task,
        },
        **used,
        model=models.read(values["model"]),
        methods=methods,
        values=values,
    )
