"""The search for a run's record by what a user has: an output folder, a ``result.json``, a fingerprint or an id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.config.paths import absolute, refuse_long
from bench.errors import RequestError
from bench.records.result import FILE, Result
from bench.records.store import RECORD, WEIGHTS, Record, Store

FORMS = "a result.json, an output folder, the first letters of a fingerprint, or MLflow's id of a run"
"""What names a run, for messages."""


@dataclass(frozen=True)
class Found:
    """A run that was found.

    Attributes:
        result: the run's result.
        folder: the folder with the result: an output folder or a record.
        record: the run's record. None if there is none.
    """

    result: Result
    folder: Path
    record: Record | None

    def weights(self) -> Path:
        """Gives the path of the run's weights, from the output folder or else from the record.

        Raises:
            RequestError: the run has no numbers, or its weights were not kept.
        """
        if not self.result.measured:
            raise RequestError(
                f"{self.folder}: a run with status {self.result.status} has no weights; give one that has finished"
            )
        beside = self.folder / WEIGHTS
        own = beside if beside.is_file() and not (self.folder / RECORD).exists() else None
        kept = own or (self.record.file(WEIGHTS) if self.record else None)
        if kept is None:
            raise RequestError(
                f"{self.folder}: no weights were kept; run the same again with save_weights=true, which trains it "
                "again and adds them to its record"
            )
        return kept


def find(named: str | Path, results_dir: Path) -> Found:
    """Finds a run.

    Args:
        named: a ``result.json``, an output folder, a record's folder, the first letters of a fingerprint, or
            MLflow's id of a run.
        results_dir: folder of the records in which fingerprints and ids are looked for. An output folder's own record
            may lie elsewhere: its settings say where.

    Raises:
        RequestError: there is no such run, or several.
    """
    refuse_long(str(named), "run")
    place = Path(named).expanduser()
    if place.name == FILE and place.is_file():
        place = place.parent
    if (place / FILE).is_file():
        return of_result(Result.read(place), results_dir, place)
    text = str(named)
    records = [record for record in Store(results_dir).all() if isinstance(record, Record)]
    hits = [r for r in records if r.fingerprint.startswith(text)] if re.fullmatch("[0-9a-f]+", text) else []
    hits = hits or [record for record in records if text and record.result.run_id == text]
    if len(hits) > 1:
        listed = ", ".join(record.fingerprint[:12] for record in hits[:10])
        raise RequestError(
            f"{text}: {len(hits)} records match ({listed}); give more letters of a fingerprint"
        )
    if not hits:
        raise RequestError(
            f"{text}: no such run, neither a folder with a {FILE} nor one of the {len(records)} records in "
            f"results_dir={results_dir}; give {FORMS}"
        )
    return Found(hits[0].result, hits[0].folder, hits[0])


def of_result(result: Result, results_dir: Path, folder: Path | None = None) -> Found:
    """Gives a run by its result, with its record where there is one.

    Args:
        result: the run's result.
        results_dir: folder of the records, where the run's settings do not say another.
        folder: the folder with the result. None for the record's.
    """
    own = result.setting("results_dir")
    places = [absolute(str(own), Path.cwd(), "results_dir")] if own else []
    if folder is not None and (folder / RECORD).exists():
        places = [folder.absolute().parent]  # a record, which may have been moved
    record = None
    for place in (*places, results_dir):
        record = record or (Store(place).find(result.fingerprint) if result.fingerprint else None)
    return Found(result, folder or (record.folder if record else results_dir), record)
