"""Writes a prepared copy: splits and numbers the rows of blocks, a field at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from isal.isal_zlib import crc32

from bench.data.arrow import numbered, to_arrays
from bench.data.base import DataSettings
from bench.data.blocks import Blocks
from bench.data.columns import of_one_kind
from bench.data.interactions import Floats, Stream
from bench.data.numbering import number, unified
from bench.data.progress import Progress
from bench.data.room import Room, Shares
from bench.data.split import PARTS, TRAIN, Roles, roles
from bench.data.sums import BLOCK, checksum
from bench.errors import RequestError

Array = npt.NDArray[Any]


class Copy:
    """The arrays of a prepared copy, which are written one after the other.

    Args:
        folder: where their files lie.
        of_rows: the part of each row, int8 (rows,).
        places: of blocks, among all rows.

    Attributes:
        picks: of each block, the positions of its rows of each part.
        arrays: dtype, shape and bytes of each array, by name.
        sums: its CRC-32.
    """

    def __init__(self, folder: Path, of_rows: Roles, places: Sequence[slice]) -> None:
        self._folder = folder
        self.picks = [
            {part: np.flatnonzero(of_rows[where] == role) for part, role in PARTS.items()} for where in places
        ]
        self._rows = {part: sum(len(own[part]) for own in self.picks) for part in PARTS}
        self.arrays: dict[str, tuple[str, list[int], int]] = {}
        self.sums: dict[str, int] = {}

    def write(self, name: str, array: Array) -> None:
        """Writes an array."""
        path = self._folder / f"{name}.npy"
        np.save(path, array)
        self._note(name, array.dtype, array.shape, checksum(path))

    def write_rows(self, name: str, dtype: Any, width: int | None, blocks: Iterable[Array]) -> None:
        """Writes an array for the rows of each part.

        Args:
            name: of the arrays; the part goes before it.
            dtype: of the numbers.
            width: columns, or None for an array without columns.
            blocks: the rows of each block.
        """
        found, files, sums = {}, {}, dict[str, int]()
        with ExitStack() as stack:
            for part, rows in self._rows.items():
                found[part] = (rows,) if width is None else (rows, width)
                file = files[part] = stack.enter_context((self._folder / f"{part}.{name}.npy").open("w+b"))
                sums[part] = _header(file, np.dtype(dtype), found[part])
            for block, picks in zip(blocks, self.picks, strict=True):
                for part, own in picks.items():
                    if len(own):
                        rows_of_part = np.ascontiguousarray(block.take(own, axis=0), dtype)
                        data = rows_of_part.reshape(-1).view(np.uint8).data
                        sums[part] = crc32(data, sums[part])
                        files[part].write(data)
        for part, shape in found.items():
            self._note(f"{part}.{name}", np.dtype(dtype), shape, sums[part])

    def digest(self, fields: tuple[str, ...], label_range: tuple[float, float]) -> str:
        """The SHA-256 of all arrays but the ids as they are in the data."""
        digest = hashlib.sha256(json.dumps([fields, label_range]).encode())
        for name, (dtype, shape, _) in sorted(self.arrays.items()):
            if name.startswith("values."):
                continue
            little = np.dtype(dtype).newbyteorder("<")
            digest.update(json.dumps([name, little.str, shape]).encode())
            with (self._folder / f"{name}.npy").open("rb") as file:
                np.lib.format.read_magic(file)
                np.lib.format.read_array_header_1_0(file)
                while data := file.read(BLOCK):
                    digest.update(np.frombuffer(data, dtype).astype(little, copy=False).data)
        return digest.hexdigest()

    def _note(self, name: str, dtype: Any, shape: tuple[int, ...], found: int) -> None:
        self.arrays[name] = dtype.str, list(shape), (self._folder / f"{name}.npy").stat().st_size
        self.sums[name] = found


def _header(file: BinaryIO, dtype: Any, shape: tuple[int, ...]) -> int:
    """Writes what comes before an array in its file; gives the CRC-32 of it."""
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    file.seek(0)
    return crc32(file.read())


class Writing:
    """Makes a prepared copy of rows that lie in blocks.

    Args:
        settings: how rows are split and numbered.
        stream: what the source says of the rows.
        blocks: the rows.
        room: what it may take.
        progress: is told how far it is.
    """

    def __init__(
        self, settings: DataSettings, stream: Stream, blocks: Blocks, room: Room, progress: Progress
    ) -> None:
        self._settings, self._stream, self._blocks = settings, stream, blocks
        self._room, self._progress = room, progress

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes the arrays into a folder, and gives what ``meta.json`` says of them.

        Raises:
            RequestError: rows that cannot be used, or memory that does not suffice.
        """
        stream, blocks = self._stream, self._blocks
        warnings = list(stream.finish(blocks.notes))
        self._room.check_rows(len(blocks))
        labels = blocks.labels()
        check(stream.origin, labels)
        of_rows = self._split(labels)
        label_range = self._range(labels[of_rows == TRAIN])
        if stream.pairs and len(stream.fields) == 2:
            repeats = duplicates([self._codes(name) for name in stream.fields])
            warnings += [stream.pairs.format(repeats, len(labels))] if repeats else []

        copy = Copy(folder, of_rows, blocks.slices)
        self._write_arrays(copy, labels)
        fields = tuple(stream.fields)
        return {
            "fields": fields,
            "label_range": label_range,
            "warnings": warnings,
            "digest": copy.digest(fields, label_range),
            "item_field": stream.item_field if stream.item_field in fields else None,
            "arrays": dict(sorted(copy.arrays.items())),
            "sums": dict(sorted(copy.sums.items())),
        }

    def _split(self, labels: Floats) -> Roles:
        stream, times = self._stream, self._blocks.times()
        rows = _Whole(
            stream.origin,
            _Lazily(stream.fields, self._codes),
            labels,
            None if times is None else of_one_kind(times),
            stream.user_field,
        )
        return roles(self._settings.split, rows, self._blocks.roles)

    def _codes(self, field: str) -> npt.NDArray[np.int32]:
        """A number for each id of a field, equal where ids are equal, int32 (rows,)."""
        tables, _ = unified(self._blocks.values(field))
        found = [table.take(self._blocks.codes(n, field)) for n, table in enumerate(tables)]
        return np.concatenate(found) if found else np.zeros(0, np.int32)

    def _range(self, labels: Floats) -> tuple[float, float]:
        found = float(labels.min()), float(labels.max())
        if found[0] == found[1]:
            raise RequestError(
                f"dataset.split: all {len(labels)} training rows have the label {found[0]:g}, so that "
                "there is nothing to learn; give another split or more data"
            )
        return found

    def _write_arrays(self, copy: Copy, labels: Floats) -> None:
        """Writes all arrays, several at once."""
        blocks, shares, names = self._blocks, self._room.shares(), self._stream.fields
        with ThreadPoolExecutor(self._room.threads, thread_name_prefix="arrays") as pool:
            fields = [pool.submit(self._write_field, name, copy, shares) for name in names]
            own = (labels[where] for where in blocks.slices)
            others = [pool.submit(copy.write_rows, "labels", np.float32, None, own)]
            if blocks.width is not None:
                dense = map(blocks.dense, range(blocks.count))
                others.append(pool.submit(copy.write_rows, "dense", np.float32, blocks.width, dense))
            try:
                for done, future in enumerate(fields, 1):
                    future.result()
                    self._progress.numbered(done, len(names))
                for future in others:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _write_field(self, name: str, copy: Copy, shares: Shares) -> None:
        blocks, settings = self._blocks, self._settings
        need = self._room.of_field(name, *blocks.size_of(name))
        with shares.taken(need):
            found = number(
                blocks.values(name),
                lambda block: blocks.codes(block, name),
                [picks["train"] for picks in copy.picks],
                settings.vocabulary == "train",
                settings.min_count,
                self._stream.sizes.get(name),
            )
            ids = (table.take(blocks.codes(n, name)) for n, table in enumerate(found.tables))
            copy.write_rows(f"ids.{name}", np.int32, None, ids)
            copy.write(f"counts.{name}", found.counts)
            for key, array in to_arrays(found.known).items():
                copy.write(f"values.{name}.{key}", array)


@dataclass(frozen=True)
class _Whole:
    """The rows of all blocks, as far as a split looks at them."""

    origin: str
    ids: Mapping[str, Array]
    labels: Floats
    timestamps: npt.NDArray[np.int64] | None
    user_field: str | None

    def __len__(self) -> int:
        return len(self.labels)


class _Lazily(Mapping[str, Array]):
    """The ids of fields, which are read when they are asked for."""

    def __init__(self, names: Iterable[str], read: Any) -> None:
        self._names, self._read = list(names), read

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        found: Array = self._read(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def check(origin: str, labels: Floats) -> None:
    """Refuses rows that nothing can be learned from.

    Raises:
        RequestError: there are no rows, or all have the same label.
    """
    if not len(labels):
        raise RequestError(f"{origin}: no rows; give data that has some")
    if (labels == labels[0]).all():
        raise RequestError(
            f"{origin}: all {len(labels)} rows have the label {labels[0]:g}, so that there is "
            "nothing to learn; give data whose labels differ"
        )


def duplicates(columns: list[npt.NDArray[Any]]) -> int:
    """Counts rows whose values equal those of an earlier row in all columns, integers from 0 on (rows,)."""
    keys: npt.NDArray[np.int64] = np.zeros(len(columns[0]), np.int64)
    distinct = 1
    for column in columns:
        size = int(column.max(initial=0)) + 1
        if distinct * size >= 2**63:  # renumbered, so that a key never exceeds 64 bits
            codes, values = numbered(keys)
            keys, distinct = codes.astype(np.int64), len(values)
        keys, distinct = keys * size + column, distinct * size
    keys.sort()
    return int((keys[1:] == keys[:-1]).sum())
