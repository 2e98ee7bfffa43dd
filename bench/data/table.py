"""The user's own table: CSV, TSV or Parquet, also compressed; any number of categorical and numeric columns."""

from __future__ import annotations

import csv
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from bench.config.typed import nearest, shown
from bench.data.columns import MISSING, Column, Ids, Numbers, Times, kept
from bench.data.delimited import Block as FileBlock
from bench.data.delimited import Delimited
from bench.data.files import Signature, content_digest, is_remembered
from bench.data.interactions import Block, Notes, Source, Stream, Task
from bench.data.parquet import Parquet
from bench.data.room import Room
from bench.data.split import PARTS
from bench.data.table_settings import TableSettings, suffix
from bench.data.transforms import of_ids
from bench.errors import RequestError

T = TypeVar("T")

VERSION = 2  # of reading: a change of the rows that the same file gives needs a new number

SHOWN = 20
"""Most names of columns in a message."""

MAGIC = "*?["
"""Letters of a pattern of files."""


def source(settings: TableSettings, data_dir: Path) -> Source:
    """The table, whose files are looked for.

    Raises:
        RequestError: a file is missing or cannot be read.
    """
    files = found(settings)
    signatures = [Signature.of(path) for path, _ in files]
    digests: list[str] = []
    if not all(is_remembered(path, data_dir) for path, _ in files):
        Reading(settings, files, [], signatures).check_headers()
    for path, _ in files:
        try:
            digests.append(content_digest(path, data_dir))
        except OSError as error:
            raise RequestError(f"dataset.path={path}: cannot be read ({error.strerror})") from error
    identity = {
        "kind": "table",
        "version": VERSION,
        "format": [suffix(path) for path, _ in files],
        "form": [settings.separator, settings.quoting, settings.header, settings.names],
        "fields": list(settings.categorical.items()),  # their order is the fields'
        "dense": settings.dense,
        "columns": [settings.target, settings.times, settings.user_field, settings.item_field],
        "transforms": sorted(map(list, settings.transforms.items())),
        "missing": settings.missing,
        "bad_rows": settings.bad_rows,
        "timestamps": settings.split.needs_timestamps,
        "parts": [part for _, part in files],
        "content": digests,
    }

    return Source(identity, lambda: Reading(settings, files, digests, signatures).stream())


def found(settings: TableSettings) -> list[tuple[Path, str | None]]:
    """Gives the files of a table, and the part of each where that is fixed.

    Raises:
        RequestError: a file is missing, or is no regular file.
    """
    named = [(path, part) for part, path in settings.fixed.items()]
    every: list[tuple[Path, str | None]] = list(named)
    for path in settings.paths:
        if any(letter in path.name for letter in MAGIC) and not path.exists():
            matching = sorted(path.expanduser().parent.glob(path.name))
            if not matching:
                raise RequestError(f"dataset.path={path}: no file matches the pattern; give one that does")
            every += [(file, None) for file in matching]
        else:
            every.append((path.expanduser(), None))
    for path, part in every:
        advice = settings.obtain or "give one that is there"
        check_file(path, f"dataset.{f'{part}_path' if part else 'path'}={path}", advice)
    return every


def check_file(path: Path, name: str, advice: str) -> None:
    """Refuses what is no regular file.

    Args:
        path: the file.
        name: what the message calls it.
        advice: what would work where there is no file.

    Raises:
        RequestError: the file is missing, or is a directory, a pipe or a device.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise RequestError(f"{name}: no such file; {advice}") from None
    except OSError as error:
        raise RequestError(f"{name}: cannot be read ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        raise RequestError(f"{name}: a directory; give one file, or a pattern such as {path}/*.csv")
    if not stat.S_ISREG(mode):
        raise RequestError(f"{name}: no regular file, but a pipe or a device; save it as a file")


@dataclass
class Count:
    """The rows of a file or of a block, and those of them that cannot be used.

    Attributes:
        rows: of the file.
        reasons: how many rows are left out, by the reason; a row counts for its first reason.
        first: the line of the first of them, by the reason.
        wanted: how many are left out because ``dataset.missing=drop`` asks for it.
    """

    rows: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    wanted: int = 0

    def leave_out(self, reason: str, lines: npt.NDArray[Any] | list[int]) -> None:
        """Counts rows that are left out.

        Args:
            reason: why, with ``{}`` for their number.
            lines: where they are.
        """
        if len(lines):
            self.reasons[reason] = self.reasons.get(reason, 0) + len(lines)
            self.first.setdefault(reason, int(lines[0]))

    @classmethod
    def all(cls, notes: Iterable[Notes]) -> Self:
        """Adds up the counts of blocks, in order."""
        total = cls()
        for note in notes:
            total.rows += note["rows"]
            total.wanted += note["wanted"]
            for reason, number in note["reasons"].items():
                total.reasons[reason] = total.reasons.get(reason, 0) + number
                total.first.setdefault(reason, note["first"][reason])
        return total

    @property
    def dropped(self) -> int:
        """Rows that are left out."""
        return sum(self.reasons.values())

    def told(self, unit: str) -> str:
        """Says why rows cannot be used. A place in the file is called ``unit``: ``line`` or ``row``."""
        return "; ".join(
            f"{reason.format(number)} (first in {unit} {self.first[reason]})"
            for reason, number in self.reasons.items()
        )

    def accounted(self, unit: str) -> str:
        """Says what became of all rows."""
        if not self.dropped:
            return f"{self.rows} rows read, none dropped"
        read = self.rows - self.dropped
        return f"dropped {self.dropped} of {self.rows} rows: {self.told(unit)}; read {read}"


class Reading:
    """Reads the files of a table.

    Args:
        settings: of the table.
        files: with the part of each where that is fixed.
        digests: of the files' contents.
        signatures: of the files, from before the digests.
    """

    def __init__(
        self,
        settings: TableSettings,
        files: list[tuple[Path, str | None]],
        digests: list[str],
        signatures: list[Signature],
    ) -> None:
        self._settings, self._files, self._digests, self._signatures = settings, files, digests, signatures
        transforms = {column: str(transform) for column, transform in settings.transforms.items()}
        self._ids = {
            name: Ids(column, settings.name_of(column), of_ids(transforms.get(column, "none"), part))
            for name, (column, part) in settings.parts.items()
        }
        self._dense = [Numbers(name, is_log=transforms.get(name) == "log1p") for name in settings.dense or ()]
        self._label = Numbers(str(settings.target), is_label=True)
        uses_times = settings.split.needs_timestamps and not settings.fixed and settings.times is not None
        self._times = Times(str(settings.times)) if uses_times else None
        self._block_bytes = Room.of(settings.memory_limit).block_bytes

    def stream(self) -> Stream:
        """Gives all rows, which are read when they are asked for."""
        path, named = self._files[0][0], " and ".join(self._settings.categorical.values())
        return Stream(
            f"dataset.path={path}",
            tuple(self._ids),
            self._tasks,
            self._finish,
            plan=str(self._block_bytes),
            pairs=f"{escaped(path)}: {{}} of {{}} rows repeat the {escaped(named)} of an earlier row; all are kept",
            user_field=self._role("user"),
            item_field=self._role("item"),
        )

    def check_headers(self) -> None:
        """Looks for the columns in the files' headers, before any row is read.

        Raises:
            RequestError: a file lacks a column, or is not of its kind.
        """
        for path, _ in self._files:
            with explained(path):
                self._columns(path, self._opened(path).names)

    def _opened(self, path: Path) -> Parquet | Delimited:
        if suffix(path) == ".parquet":
            return Parquet(path)
        return Delimited(path, self._settings.form, self._block_bytes)

    def _role(self, role: str) -> str | None:
        given = getattr(self._settings, f"{role}_field")
        return given or (role if role in self._ids else None)

    def _tasks(self) -> Iterator[tuple[Task, float]]:
        """Yields what makes each block, and the share of all files that is read by then.

        Raises:
            RequestError: a file cannot be read, or lacks a column.
        """
        sizes = [max(1, signature.size) for signature in self._signatures]
        for number, (path, part) in enumerate(self._files):
            with explained(path):
                reader = self._opened(path)
                columns = self._columns(path, reader.names)
                numbers = [columns[c.column] for c in (self._label, *self._dense)]
                for read, share in reader.blocks(list(columns.values()), numbers):
                    done = (sum(sizes[:number]) + share * sizes[number]) / sum(sizes)
                    yield partial(self._block, number, part, columns, read), done

    def _block(
        self, number: int, part: str | None, columns: Mapping[str, str], read: Callable[[], FileBlock]
    ) -> Block:
        """Reads a block and takes its rows that can be used.

        Args:
            number: of the file.
            part: that its rows belong to, if that is fixed.
            columns: the names in the file of the columns that are needed, by the names that the settings give.
            read: reads the block.
        """
        settings = self._settings
        with explained(self._files[number][0]):
            raw = read()
            count = Count(rows=raw.rows + len(raw.ragged))
            count.leave_out("{} rows with another number of columns than the header", list(raw.ragged))
            good = np.ones(raw.rows, np.bool_)
            truths = {}

            def take(column: Column[T]) -> T:
                keeps = settings.missing == "keep" and column.may_be_missing
                taken = column.read(raw.columns[columns[column.column]], keeps)
                for complaint, bad in taken.complaints.items():
                    left_out = raw.find_lines()[bad & good]
                    count.leave_out(f"column {escaped(column.column)}: {{}} {complaint}", left_out)
                    count.wanted += (
                        len(left_out) if settings.missing == "drop" and complaint in MISSING else 0
                    )
                    np.logical_and(good, ~bad, out=good)
                if taken.truths or taken.numbers:
                    truths[column.column] = [taken.truths, taken.numbers]
                return taken.values

            ids = {name: take(column) for name, column in self._ids.items()}
            labels, dense = take(self._label), [take(column) for column in self._dense]
            times = take(self._times) if self._times else None
        if not good.all():
            ids = {name: kept(own, good) for name, own in ids.items()}
            labels, dense = labels[good], [own[good] for own in dense]
            times = None if times is None else times[good]
        return Block(
            ids,
            labels,
            times,
            np.stack(dense, axis=1) if dense else None,
            role=PARTS[part] if part else None,
            notes={"file": number, "truths": truths, **asdict(count)},
        )

    def _finish(self, notes: Sequence[Notes]) -> Sequence[str]:
        """Accounts for all rows: gives a line for each file.

        Raises:
            RequestError: some rows cannot be used, or a file has been changed meanwhile.
        """
        lines = []
        for number, ((path, part), digest, before) in enumerate(
            zip(self._files, self._digests, self._signatures, strict=True)
        ):
            if Signature.of(path) != before:
                raise RequestError(
                    f"dataset.path={path}: was changed while it was read; give the command again"
                )
            count = Count.all(note for note in notes if note["file"] == number)
            unit = "row" if suffix(path) == ".parquet" else "line"
            if count.dropped > count.wanted and self._settings.bad_rows != "drop":
                raise RequestError(
                    f"dataset.{f'{part}_path' if part else 'path'}={path}: rows that cannot be used: "
                    f"{count.told(unit)}; mend them or set dataset.bad_rows=drop"
                )
            lines.append(f"{path}: {count.accounted(unit)}; sha256 {digest[:12]}")
        for name in (str(self._settings.target), *(self._settings.dense or ())):
            found = [note["truths"].get(name, [0, 0]) for note in notes]
            truths, numbers = sum(one[0] for one in found), sum(one[1] for one in found)
            if truths and numbers:
                raise RequestError(
                    f"column {name}: {truths} values are true or false and {numbers} are numbers; "
                    "write one kind"
                )
        return lines

    def _columns(self, path: Path, names: list[str]) -> dict[str, str]:
        """The names in the file of the columns that are needed, by the names that the settings give."""
        ids, dense = self._ids.values(), self._settings.dense or ()
        needed = [*(column.column for column in ids), self._label.column, *dense]
        only_named = self._times is None and self._settings.times not in needed
        if self._settings.times is not None:
            needed.append(self._settings.times)
        found = {}
        for column in needed:
            same = [name for name in names if name == column] or [
                n for n in names if n.strip() == column.strip()
            ]
            if len(same) != 1:
                wrong = (
                    f"{len(same)} columns of that name" if same else f"no such column{nearest(column, names)}"
                )
                there = ", ".join(f'"{name}"' if "," in name else shown(name) for name in names[:SHOWN]) + (
                    f" and {len(names) - SHOWN} more" * (len(names) > SHOWN)
                )
                raise RequestError(f"{self._settings.name_of(column)}: {wrong} ({path} has: {there})")
            found[column] = same[0]
        if only_named:
            found.pop(str(self._settings.times), None)
        return found


def escaped(value: object) -> str:
    """A value as a part of a text that ``str.format`` fills."""
    return str(value).replace("{", "{{").replace("}", "}}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a file is read into one line about it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"dataset.path={path}: {_trouble(error)}") from error


def _trouble(error: Exception) -> str:
    words = " ".join(str(error).split())
    if "UTF8" in words or isinstance(error, UnicodeDecodeError):
        return "not UTF-8; save it as UTF-8"
    return f"cannot be read ({words or type(error).__name__}); give a whole file"
