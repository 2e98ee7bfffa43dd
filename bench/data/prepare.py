"""Splits, numbers and caches rows: from a source to ``Interactions``.

A prepared copy is a folder of ``.npy`` files and a ``meta.json`` in ``data_dir/prepared``, named by a digest
of everything that made it. It is written beside its place and moved there whole; one that is damaged is made
again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.arrow import numbered
from bench.data.common import Common
from bench.data.files import PREPARED, locked, replace, scratch, writing
from bench.data.interactions import Field, Interactions, Part, Rows
from bench.data.split import EVALUATION, TRAIN, VALIDATION, Mask
from bench.errors import RequestError

FORMAT = 1  # of the copies: a change of what the same source and settings lead to needs a new number
PARTS = {"train": TRAIN, "validation": VALIDATION, "evaluation": EVALUATION}

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]


def prepared(settings: Common, data_dir: Path) -> Interactions:
    """The data set that ``settings`` describe, made only where no prepared copy of it exists.

    Raises:
        RequestError: rows, settings or a ``data_dir`` that cannot be used.
        SourceError: no place that has the data could be reached.
    """
    source = settings.source(data_dir)
    made_by = {
        "format": FORMAT,
        "source": dict(source.identity),
        "vocabulary": settings.vocabulary,
        "split": dict(settings.split.identity()),
    }
    key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:32]
    folder = data_dir / PREPARED / key
    found = _opened(folder)
    if found is None:
        with locked(data_dir, key):  # several runs that start at once prepare it once
            found = _opened(folder)
            if found is None:
                # an OSError here is about the copy: sources turn theirs into errors of their own
                copy = _made(settings, source.read())
                with writing(data_dir), scratch(folder) as new:
                    _write(copy, new, made_by)
                    replace(new, folder)
                found = _opened(folder)
    if found is None:
        raise RequestError(f"{folder}: does not hold what was just written there; give another data_dir")
    for line in found.warnings:
        log.warning("%s", line)
    return _interactions(found, settings.name)


@dataclass(frozen=True)
class _Copy:
    """A prepared copy: arrays by file name, and what ``meta.json`` says."""

    arrays: Mapping[str, Array]
    fields: tuple[str, ...]
    label_range: tuple[float, float]
    warnings: tuple[str, ...]
    digest: str


def _made(settings: Common, rows: Rows) -> _Copy:
    check(rows)
    roles = settings.split.roles(rows)
    masks = {part: roles == role for part, role in PARTS.items()}
    labels = rows.labels[masks["train"]]
    label_range = float(labels.min()), float(labels.max())
    if label_range[0] == label_range[1]:
        raise RequestError(
            f"dataset.split: all {len(labels)} training rows have the label {label_range[0]:g}, so that "
            "there is nothing to learn; give another split or more data"
        )
    arrays: dict[str, Array] = {}
    for name, ids in rows.ids.items():
        numbers, size = number(ids, masks["train"] if settings.vocabulary == "train" else None)
        for part, mask in masks.items():
            arrays[f"{part}.ids.{name}"] = numbers[mask]
        arrays[f"counts.{name}"] = np.bincount(numbers[masks["train"]], minlength=size).astype(np.int64)
    for part, mask in masks.items():
        arrays[f"{part}.labels"] = rows.labels[mask]
        if rows.dense is not None:
            arrays[f"{part}.dense"] = rows.dense[mask]
    fields = tuple(rows.ids)
    return _Copy(arrays, fields, label_range, rows.warnings, _digest(arrays, fields, label_range))


def check(rows: Rows) -> None:
    """Refuses rows that nothing can be learned from.

    Raises:
        RequestError: there are no rows, or all have the same label.
    """
    if not len(rows):
        raise RequestError(f"{rows.origin}: no rows; give data that has some")
    if (rows.labels == rows.labels[0]).all():
        raise RequestError(
            f"{rows.origin}: all {len(rows)} rows have the label {rows.labels[0]:g}, so that there is "
            "nothing to learn; give data whose labels differ"
        )


def number(ids: Array, train: Mask | None = None) -> tuple[npt.NDArray[np.int32], int]:
    """Numbers ids in order of appearance.

    Args:
        ids: integers (rows,).
        train: which rows train, bool (rows,): ids are then numbered from 1 on in the order in which they
            appear there, and 0 stands for all others. None: from 0 on, over all rows.

    Returns:
        Numbers int32 (rows,) and how many there are, 0 included.
    """
    codes, size = numbered(ids)
    if train is None:
        return codes, size
    seen, known = numbered(codes[train])
    table = np.zeros(size, np.int32)
    table[codes[train]] = seen + 1
    return table[codes], known + 1


def _digest(arrays: Mapping[str, Array], fields: tuple[str, ...], label_range: tuple[float, float]) -> str:
    digest = hashlib.sha256(json.dumps([fields, label_range]).encode())
    for name, array in sorted(arrays.items()):
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(json.dumps([name, little.dtype.str, little.shape]).encode())
        digest.update(little.data)
    return digest.hexdigest()


def _write(copy: _Copy, folder: Path, made_by: Mapping[str, Any]) -> None:
    for name, array in copy.arrays.items():
        np.save(folder / f"{name}.npy", array)
    meta = {
        "made_by": made_by,
        "fields": copy.fields,
        "label_range": copy.label_range,
        "warnings": copy.warnings,
        "digest": copy.digest,
        "arrays": {
            name: [array.dtype.str, list(array.shape), (folder / f"{name}.npy").stat().st_size]
            for name, array in copy.arrays.items()
        },
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), "utf-8")


def _opened(folder: Path) -> _Copy | None:
    """The copy in ``folder``, memory-mapped; None where there is none or a file is not as it was written."""
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy", *form) for name, form in meta["arrays"].items()}
        low, high = meta["label_range"]
        return _Copy(
            arrays, tuple(meta["fields"]), (float(low), float(high)), tuple(meta["warnings"]), meta["digest"]
        )
    except FileNotFoundError as error:
        if folder.exists():
            log.warning("%s is damaged (%s is missing) and made again", folder, Path(error.filename).name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s is damaged (%s) and made again", folder, " ".join(str(error).split()))
    return None


def _mapped(path: Path, dtype: str, shape: list[int], size: int) -> Array:
    if path.stat().st_size != size:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, not {size}")
    # NumPy maps no file without rows
    array: Array = np.load(path, mmap_mode="r" if all(shape) else None)
    if array.dtype.str != dtype or list(array.shape) != shape:
        raise ValueError(f"{path.name} holds {array.dtype.str}{list(array.shape)}, not {dtype}{shape}")
    return array


def _interactions(copy: _Copy, name: str) -> Interactions:
    arrays = copy.arrays

    def part(part: str) -> Part:
        ids = {field: arrays[f"{part}.ids.{field}"] for field in copy.fields}
        return Part(ids, arrays[f"{part}.labels"], arrays.get(f"{part}.dense"))

    fields = {
        field: Field(field, len(arrays[f"counts.{field}"]), arrays[f"counts.{field}"])
        for field in copy.fields
    }
    item_field = "item" if "item" in fields else None
    parts = {name: part(name) for name in PARTS}
    return Interactions(
        name, fields, **parts, label_range=copy.label_range, item_field=item_field, digest=copy.digest
    )
