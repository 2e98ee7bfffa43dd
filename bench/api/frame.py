"""Stored records as a pandas frame."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.api.overrides import plain
from bench.errors import RequestError
from bench.records.nested import flat
from bench.records.result import KEYS, METRICS, Result, scalars, whole_numbers
from bench.records.store import Record, Store

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

OWN = (
    "fingerprint", "status", "error", "task", "dataset", "data_digest", "strategy", "seed", "parent_fingerprint",
    "run_id",
)  # fmt: skip
"""The keys of a result that are the frame's first columns."""

LEFT_OUT = ("history", "val_mae_worst_ids", "val_logloss_worst_ids")
"""The metrics that are tables of their own."""


def results(
    *fingerprints: str, results_dir: str | os.PathLike[str] | None = None, **filters: Any
) -> pd.DataFrame:
    """Gives stored records as a pandas frame, one row a record, the oldest first.

    Example:
        ``api.results(strategy=["qr", "md"], status="finished").groupby("strategy").val_mae.mean()``

    Args:
        *fingerprints: first letters of fingerprints, any of which may match. None for all records.
        results_dir: folder of the records. None for the default of ``python -m bench.run``.
        **filters: the value, or a list of values, that a key of results or a setting must have; those of
            ``python -m bench.results``. Dotted names go as ``**{"training.epochs": 1}`` or ``training={"epochs": 1}``.

    Returns:
        The frame. Its columns are keys of results (``fingerprint``, ``status``, ``dataset``, ``data_digest``,
        ``strategy``, ``seed``, ...), ``created`` (UTC), ``folder`` (of the record), the metrics by their names in
        ``docs/results.md``, all settings by their dotted names, and what each field used as ``used.FIELD.SETTING``.
        Nested metrics have dotted names (``bytes.tables``), lists are numbered from 01 (``val_mae_by_decile.01``).
        ``history`` and the worst-served ids are left out: the record's ``result.json`` has them. What was not measured
        is missing. If no record matches, the frame is empty.

    Raises:
        RequestError: a fingerprint is none, or no record has a value of a filter's name.
    """
    import pandas as pd

    from bench.cli import keeping
    from bench.cli.results import Wanted, there
    from bench.config.typed import shown

    for text in fingerprints:
        if not re.fullmatch(r"[0-9a-f]+", text):
            raise RequestError(f"{text}: give the first letters of a fingerprint (0 to 9, a to f)")
    given = dict(flat({name: plain(name, value) for name, value in filters.items()}))
    values = {n: tuple(map(shown, v)) if isinstance(v, list) else (shown(v),) for n, v in given.items()}
    place = keeping.folder("results_dir", None if results_dir is None else os.fspath(results_dir))
    wanted = Wanted("list", fingerprints, values, 0.0, False, False, place, None)
    records = []
    for stored in [*Store(place).all(), *Store(place).failed()]:
        if isinstance(stored, Record):
            records.append(stored)
        else:
            log.warning("%s; left out", stored.reason)
    for name in values.keys() - set(KEYS) if records else ():
        there(name, values[name], [record.result for record in records])
    now = time.time()
    rows = [_row(record) for record in records if wanted.holds(record, now)]
    first = [*OWN, "created", "folder", *scalars()]
    frame = pd.DataFrame(rows, columns=list(dict.fromkeys([*first, *(name for row in rows for name in row)])))
    frame["created"] = pd.to_datetime(frame["created"], unit="s", utc=True)
    whole = {name for name in frame if name in whole_numbers() or str(name).startswith("bytes.")}
    types = {
        name: "Int64" if name in whole else "float64" for name in frame if str(name).split(".")[0] in METRICS
    }
    return frame.astype({**types, "seed": "Int64"})


def _row(record: Record) -> dict[str, Any]:
    """Gives the values of a record by the names of their columns."""
    found = record.result
    settings = flat({**(found.settings or {}), "used": found.embeddings or {}})
    own = {name: getattr(found, name) for name in OWN} | {"status": str(found.status)}
    own["fingerprint"] = record.fingerprint
    place = {"created": record.created, "folder": str(record.folder)}
    return {**dict(settings), **own, **place, **dict(_metrics(found))}


def _metrics(result: Result) -> Iterator[tuple[str, Any]]:
    for name in scalars():
        yield name, result.metric(name)
    for name in METRICS:
        value = getattr(result, name)
        if isinstance(value, Mapping | list) and name not in LEFT_OUT:
            yield from _numbered(name, value)


def _numbered(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Gives the numbers inside a metric: those of a mapping by their keys, those of a list from 01 on."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbered(f"{name}.{key}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield from _numbered(f"{name}.{number:02d}", item)
    else:
        yield name, value
