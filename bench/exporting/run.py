"""Exports a run: finds it, builds its model, writes the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import data
from bench.config.paths import absolute
from bench.errors import RequestError
from bench.exporting import formats, writing
from bench.exporting.content import Tree
from bench.records import finding
from bench.records.finding import Found


@dataclass(frozen=True)
class Request:
    """What is to be exported.

    Attributes:
        run: a ``result.json``, an output folder, a record's folder, the first letters of a fingerprint, or MLflow's id.
        output_dir: the folder to make.
        results_dir: folder of the records.
        data_dir: folder of archives and prepared data; None for the run's own.
        usual_data_dir: the default of ``data_dir``, where the run's own is not there.
        dataset: settings of the data set that have changed since the run.
        train: True trains a run again whose weights were not kept.
        formats: the further formats, by the names of ``bench.exporting.formats``.
    """

    run: str
    output_dir: Path
    results_dir: Path
    data_dir: Path | None
    usual_data_dir: Path
    dataset: Mapping[str, Any]
    train: bool = False
    formats: tuple[str, ...] = ()


def export(asked: Request) -> Tree:
    """Exports a run and gives the manifest. TensorFlow is imported once the request is known to be good.

    Raises:
        RequestError: there is no such run, its weights were not kept, its data have changed, ``output_dir`` holds
            something, or packages of a format are not installed.
        BenchError: the export differs from the model, or cannot be written. Nothing is left.
    """
    formats.need(asked.formats)
    writing.check_target(asked.output_dir)
    found = finding.find(asked.run, asked.results_dir)
    place = _data_dir(asked, found)
    if not _has_weights(found):
        if not asked.train:
            raise RequestError(
                f"{found.folder}: no weights were kept; give train=true, which trains the run again and adds them to "
                "its record"
            )
        from bench.exporting.again import trained_again

        found = trained_again(found, place)
    weights, result = found.weights(), found.result
    from bench import backend
    from bench.trained import rebuild

    values: dict[str, Any] = {**result.setting("dataset"), **asked.dataset}
    with backend.kept():
        trained = rebuild(result, weights, data.load(values, place))
        return writing.write(trained, asked.output_dir, asked.formats)


def _has_weights(found: Found) -> bool:
    if not found.result.measured:
        found.weights()  # says what is wrong
    try:
        return found.weights().is_file()
    except RequestError:
        return False


def _data_dir(asked: Request, found: Found) -> Path:
    if asked.data_dir is not None:
        return asked.data_dir
    own = found.result.setting("data_dir")
    place = absolute(str(own), Path.cwd(), "data_dir") if own else None
    return place if place is not None and place.is_dir() else asked.usual_data_dir
