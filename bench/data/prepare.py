"""Reads, splits, numbers and caches rows: from a source to ``Interactions``.

A prepared copy is a folder of ``.npy`` files and a ``meta.json`` in ``data_dir/prepared``, named by a digest
of everything that made it. It is written beside its place and moved there whole; one that is damaged is made
again. Rows are first read into blocks on disk, so that they need not fit into memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.base import DataSettings
from bench.data.blocks import Blocks, gather
from bench.data.files import PREPARED, locked, replace, unfinished, writing
from bench.data.interactions import Field, Interactions, Part, Rows, Source, Stream, Values
from bench.data.progress import Progress
from bench.data.room import Room, check_disk
from bench.data.split import PARTS
from bench.data.sums import check_sums, remember
from bench.data.writing import Writing
from bench.errors import RequestError

COPY = "copy"
"""The folder of a copy that is being written."""

FORMAT = 2  # of the copies: a change of what the same source and settings lead to needs a new number

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]


def prepared(settings: DataSettings, source: Source, data_dir: Path) -> Interactions:
    """The data set that ``settings`` describe, made only where no prepared copy of it exists.

    Args:
        settings: how rows are split and numbered.
        source: where they come from.
        data_dir: folder of the prepared copies.

    Raises:
        RequestError: rows, settings or a ``data_dir`` that cannot be used.
        SourceError: no place that has the data could be reached.
    """
    made_by = {
        "format": FORMAT,
        "source": dict(source.identity),
        "vocabulary": settings.vocabulary,
        "min_count": settings.min_count,
        "split": dict(settings.split.identity()),
    }
    key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:32]
    folder = data_dir / PREPARED / key
    found = _opened(folder, settings.verify)
    if found is None:
        with locked(data_dir, key):  # several runs that start at once prepare it once
            found = _opened(folder)
            if found is None:
                made = source.read()
                stream = made.stream() if isinstance(made, Rows) else made
                # an OSError here is about the copy: sources turn theirs into errors of their own
                with writing(data_dir), unfinished(folder) as place:
                    _write(settings, stream, place, made_by)
                    replace(place / COPY, folder)
                found = _opened(folder)
    if found is None:
        raise RequestError(f"{folder}: does not hold what was just written there; give another data_dir")
    with suppress(OSError):  # in a folder that others have prepared
        os.utime(folder / "meta.json")  # when it was last used
    for line in found.warnings:
        log.warning("%s", line)
    return _interactions(found, settings)


def _write(settings: DataSettings, stream: Stream, place: Path, made_by: Mapping[str, Any]) -> None:
    """Writes the blocks and the copy of a data set into a folder."""
    room = Room.of(settings.memory_limit)
    blocks = Blocks(place / "blocks", stream.plan)
    with Progress(settings.name) as progress:
        written = 0

        def told(rows: int, nbytes: int, share: float) -> None:
            nonlocal written
            written += nbytes
            check_disk(place.parents[1], written, share)
            progress.read(rows, share)

        gather(stream.tasks(), blocks, room.threads, told)
        shutil.rmtree(place / COPY, ignore_errors=True)
        (place / COPY).mkdir()
        found = Writing(settings, stream, blocks, room, progress).write(place / COPY)
    meta = {"name": settings.name, "made_by": made_by, **found}
    (place / COPY / "meta.json").write_text(json.dumps(meta, indent=1), "utf-8")
    remember(place / COPY, found["sums"])


@dataclass(frozen=True)
class _Copy:
    """A prepared copy: arrays by file name, and what ``meta.json`` says."""

    arrays: Mapping[str, Array]
    fields: tuple[str, ...]
    label_range: tuple[float, float]
    warnings: tuple[str, ...]
    digest: str
    item_field: str | None


def _opened(folder: Path, verify: bool = False) -> _Copy | None:
    """The copy in ``folder``, memory-mapped; None where there is none or a file is not as it was written."""
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy", *form) for name, form in meta["arrays"].items()}
        check_sums(folder, meta["sums"], verify)
        low, high = meta["label_range"]
        lines, label_range = tuple(meta["warnings"]), (float(low), float(high))
        return _Copy(arrays, tuple(meta["fields"]), label_range, lines, meta["digest"], meta["item_field"])
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


def _interactions(copy: _Copy, settings: DataSettings) -> Interactions:
    arrays = copy.arrays

    def part(part: str) -> Part:
        ids = {field: arrays[f"{part}.ids.{field}"] for field in copy.fields}
        return Part(ids, arrays[f"{part}.labels"], arrays.get(f"{part}.dense"))

    fields = {field: _field(field, arrays) for field in copy.fields}
    parts = {name: part(name) for name in PARTS}
    users = settings.users if settings.users in copy.fields else None
    return Interactions(
        settings.name, fields, **parts, label_range=copy.label_range, item_field=copy.item_field,
        digest=copy.digest, user_field=users,
    )  # fmt: skip


def _field(name: str, arrays: Mapping[str, Array]) -> Field:
    counts = arrays[f"counts.{name}"]
    own = {key: arrays.get(f"values.{name}.{key}") for key in ("integers", "ends", "text")}
    known = own["integers"] if own["integers"] is not None else own["ends"]
    assert known is not None
    return Field(name, len(counts), counts, Values(len(counts) - len(known), **own))
