"""The user's own table: CSV, TSV or Parquet, also gzipped; any number of categorical columns and a label."""

from __future__ import annotations

import csv
import gzip
import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO, cast

import numpy as np
import numpy.typing as npt

from bench.data.arrow import numbered, to_numpy
from bench.data.common import Common, settings_of
from bench.data.files import content_digest
from bench.data.interactions import Rows, Source
from bench.errors import RequestError
from bench.settings import nearest, shown

VERSION = 1  # of reading: a change of the rows that the same file gives needs a new number
SEPARATORS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*SEPARATORS, ".parquet")
ROLES = ("label", "timestamp")  # columns that are no categorical field

log = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Settings(Common):
    """Settings of a user's own table.

    Attributes:
        path: the file; its suffix tells the format.
        columns: the file's column for ``label``, for ``timestamp`` (or None), and for every categorical field
            by the field's name.
        bad_rows: ``refuse`` a table with a missing id, or with a label or timestamp that is none; ``drop``
            the rows.
    """

    path: str | None
    columns: dict[str, Any]
    bad_rows: Literal["refuse", "drop"]

    def __post_init__(self) -> None:
        """Refuse roles without a column, and columns with two roles."""
        columns = {role: column for role, column in self.columns.items() if column is not None}
        for role in ("user", "item", "label"):
            if role in self.columns and role not in columns:
                raise RequestError(f"dataset.columns.{role}=null: give the name of a column in dataset.path")
        seen: dict[str, str] = {}
        for role, column in columns.items():
            if not isinstance(column, str | int) or isinstance(column, bool) or str(column) == "":
                raise RequestError(f"dataset.columns.{role}={shown(column)}: give the name of a column")
            if str(column) in seen:
                raise RequestError(
                    f"dataset.columns.{role}={column}: dataset.columns.{seen[str(column)]} is the same "
                    "column; name another"
                )
            seen[str(column)] = role
        if "label" not in columns or not columns.keys() - set(ROLES):
            raise RequestError(
                f"dataset.columns={shown(self.columns)}: name a column for label and for one field or more"
            )

    def source(self, data_dir: Path) -> Source:
        """The table, which must be there."""
        if self.path is None:
            raise RequestError(f"dataset.path=null: give a file that ends in {_suffixes()}")
        path = Path(self.path).expanduser()
        suffix = _suffix(path)
        if suffix not in SUFFIXES:
            raise RequestError(
                f"dataset.path={path}: an unknown kind of file; give one that ends in {_suffixes()}"
            )
        columns = {role: str(column) for role, column in self.columns.items() if column is not None}
        times = self.split.needs_timestamps
        identity = {
            "kind": "table",
            "version": VERSION,
            "format": suffix,
            "columns": list(columns.items()),  # their order is the fields'
            "bad_rows": self.bad_rows,
            "timestamps": times,
        }
        try:
            digest = content_digest(path, data_dir)
        except FileNotFoundError as error:
            raise RequestError(f"dataset.path={path}: no such file; give one that is there") from error
        except IsADirectoryError as error:
            raise RequestError(f"dataset.path={path}: a directory; give one file") from error
        except OSError as error:
            raise RequestError(f"dataset.path={path}: cannot be read ({error.strerror})") from error
        return Source(
            {**identity, "content": digest}, lambda: read(path, columns, self.bad_rows == "drop", times)
        )


def settings(dataset: Mapping[str, Any]) -> Settings:
    """The settings below ``dataset``, checked."""
    return settings_of(Settings, dataset)


def read(path: Path, columns: Mapping[str, str], drop: bool = False, timestamps: bool = True) -> Rows:
    """The rows of a table.

    Ids are text or integers. In CSV and TSV they are always text, so that ``007`` is not ``7``.

    Args:
        path: a file that ends in .csv, .tsv or .parquet, or in one of these and .gz.
        columns: the file's columns by role: ``label``, perhaps ``timestamp``, and the fields.
        drop: leave rows out that cannot be used, with a warning, instead of refusing the table.
        timestamps: read the timestamps; otherwise only their column's name is checked.

    Returns:
        Rows whose timestamps, of whatever unit, order as the table's do.

    Raises:
        RequestError: the file cannot be read, has no such column, or has rows that cannot be used.
    """
    import pyarrow as pa

    needed = [column for role, column in columns.items() if role != "timestamp" or timestamps]
    fields = {role: column for role, column in columns.items() if role not in ROLES}
    try:
        reader = _Parquet(path) if _suffix(path) == ".parquet" else _Delimited(path)
        for role, column in columns.items():
            if (count := reader.names.count(column)) != 1:
                there = ", ".join(map(shown, reader.names))
                wrong = (
                    f"{count} columns of that name"
                    if count
                    else f"no such column{nearest(column, reader.names)}"
                )
                raise RequestError(f"dataset.columns.{role}={column}: {wrong} ({path} has: {there})")
        table = reader.table(needed, list(fields.values()), columns["label"])
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"dataset.path={path}: {_trouble(error)}") from error

    complaints = (
        [f"{reader.ragged} rows with another number of columns than the header"] if reader.ragged else []
    )
    good = np.ones(table.num_rows, np.bool_)

    def judge(fine: Mask, column: str, words: str) -> None:
        nonlocal good
        if bad := int((~fine).sum()):
            complaints.append(f"column {column}: {bad} {words}")
            good = good & fine

    ids = {}
    for role, column in fields.items():
        ids[role], fine = _ids(table[column], f"dataset.columns.{role}={column}")
        judge(fine, column, "missing ids")
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and counted so
        labels = _numbers(table[columns["label"]]).astype(np.float32)
    judge(np.isfinite(labels), columns["label"], "labels that are no finite number")
    times = None
    if timestamps and "timestamp" in columns:
        times, fine = _times(table[columns["timestamp"]])
        judge(fine, columns["timestamp"], "missing or unreadable timestamps")

    warnings = []
    if complaints:
        told = "; ".join(complaints)
        if not drop:
            raise RequestError(
                f"dataset.path={path}: rows that cannot be used: {told}; mend them or set "
                "dataset.bad_rows=drop"
            )
        dropped = reader.ragged + int((~good).sum())
        warnings.append(f"{path}: dropped {dropped} of {table.num_rows + reader.ragged} rows: {told}")
        ids = {role: values[good] for role, values in ids.items()}
        labels, times = labels[good], None if times is None else times[good]
    if repeats := duplicates(list(ids.values())):
        named = " and ".join(fields.values())
        warnings.append(
            f"{path}: {repeats} of {len(labels)} rows repeat the {named} of an earlier row; all are kept"
        )
    return Rows(f"dataset.path={path}", ids, labels, times, warnings=tuple(warnings))


def duplicates(columns: list[npt.NDArray[Any]]) -> int:
    """How many rows have the same values as an earlier one in all columns, integers from 0 on (rows,)."""
    keys: npt.NDArray[np.int64] = np.zeros(len(columns[0]), np.int64)
    distinct = 1
    for column in columns:
        size = int(column.max(initial=0)) + 1
        if distinct * size >= 2**63:  # renumbered, so that a key never exceeds 64 bits
            codes, distinct = numbered(keys)
            keys = codes.astype(np.int64)
        keys, distinct = keys * size + column, distinct * size
    keys.sort()
    return int((keys[1:] == keys[:-1]).sum())


class _Delimited:
    """A CSV or TSV file, perhaps gzipped, by pyarrow's reader."""

    def __init__(self, path: Path) -> None:
        self._path, self._separator = path, SEPARATORS[_suffix(path)]
        self.ragged = 0
        with self._text() as file:
            names = next((row for row in csv.reader(file, delimiter=self._separator) if row), None)
        if names is None:
            raise RequestError(f"dataset.path={path}: no rows; give a file with a header line and rows")
        self.names = names

    def _text(self) -> TextIO:
        opened = gzip.open if self._path.suffix.lower() == ".gz" else open
        return cast(TextIO, opened(self._path, "rt", encoding="utf-8-sig", newline=""))

    def table(self, columns: list[str], ids: list[str], label: str) -> Any:
        """The columns: ids as text, the label as numbers where it has nothing else."""
        import pyarrow as pa
        from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

        def skip(row: Any) -> str:
            self.ragged += 1
            return "skip"

        types = {**{name: pa.string() for name in ids}, label: pa.float64()}
        # quoted text may hold line ends
        parse = ParseOptions(delimiter=self._separator, newlines_in_values=True)
        text = lenient = False
        while True:
            self.ragged = 0
            convert = ConvertOptions(
                include_columns=columns, column_types=types, null_values=[""], strings_can_be_null=True
            )
            try:
                return read_csv(self._path, parse_options=parse, convert_options=convert)
            except pa.ArrowInvalid as error:
                if "conversion error" in str(error) and not text:
                    text, types = True, {name: pa.string() for name in columns}  # to be counted
                elif "CSV parse error" in str(error) and not lenient:
                    with self._text() as file:  # pyarrow cannot hand over a row that is not UTF-8
                        while file.read(1 << 20):
                            pass
                    lenient, parse.invalid_row_handler = True, skip
                else:
                    raise


class _Parquet:
    """A Parquet file, perhaps gzipped as a whole."""

    ragged = 0

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        gzipped = path.suffix.lower() == ".gz"
        self._file = parquet.ParquetFile(
            pa.BufferReader(gzip.decompress(path.read_bytes())) if gzipped else path
        )
        self.names = list(self._file.schema_arrow.names)

    def table(self, columns: list[str], ids: list[str], label: str) -> Any:
        """The columns, as they are."""
        return self._file.read(columns=columns)


def _ids(column: Any, name: str) -> tuple[npt.NDArray[np.int32], Mask]:
    """Codes of a column of ids, equal where they are equal, and where there is an id."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _plain(column)
    kind = column.type
    if pa.types.is_floating(kind):  # integers with missing ones among them, as pandas writes them
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise RequestError(f"{name}: holds fractions; ids are text or integers") from error
    elif not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise RequestError(f"{name}: holds {kind}; ids are text or integers")
    codes, there, dictionary = _codes(column)
    if _is_text(dictionary.type) and len(dictionary):
        there = there & ~to_numpy(pc.equal(pc.utf8_trim_whitespace(dictionary), ""))[codes]
    return codes, there


def _codes(column: Any) -> tuple[npt.NDArray[np.int32], Mask, Any]:
    """Positions in a dictionary of a column's distinct values, where there is one, and the dictionary."""
    encoded = column.dictionary_encode().combine_chunks()
    codes = to_numpy(encoded.indices.fill_null(0)).astype(np.int32, copy=False)
    return codes, to_numpy(encoded.is_valid()), encoded.dictionary


def _plain(column: Any) -> Any:
    """A column of values: a file's own dictionary may hold one twice, or nulls."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(column: Any) -> npt.NDArray[np.float64]:
    """A column as float64, NaN where it holds no number."""
    import pyarrow as pa

    column = _plain(column)
    if _is_text(column.type):
        return _translated(column, _number)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    try:
        return np.array(to_numpy(column.cast(pa.float64(), safe=False).fill_null(np.nan)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.full(len(column), np.nan)


def _times(column: Any) -> tuple[npt.NDArray[np.int64], Mask]:
    """A column of times as integers of the same order, and where there is a time."""
    import pyarrow as pa

    column = _plain(column)
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_temporal(kind) or pa.types.is_integer(kind):
        return to_numpy(column.cast(pa.int64()).fill_null(0)), to_numpy(column.is_valid())
    seconds = _translated(column, _second) if _is_text(kind) else _numbers(column)
    there = np.isfinite(seconds)
    # ranks: seconds with a fraction have no integer unit of their own
    _, order = np.unique(np.where(there, seconds, 0.0), return_inverse=True)
    return order.astype(np.int64), there


def _translated(column: Any, to: Callable[[str], float]) -> npt.NDArray[np.float64]:
    """``to`` of each text, called once for each distinct one; NaN where there is none."""
    codes, there, dictionary = _codes(column)
    table = np.array([to(word) for word in dictionary.to_pylist()] or [np.nan])
    return np.where(there, table[codes], np.nan)


def _number(word: str) -> float:
    try:
        return float(word) if "_" not in word else np.nan
    except ValueError:
        return np.nan


def _second(word: str) -> float:
    number = _number(word)
    if np.isfinite(number):
        return number
    try:
        time = datetime.fromisoformat(word.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return np.nan


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _suffixes() -> str:
    return ", ".join(SUFFIXES) + ", or in one of these and .gz"


def _trouble(error: Exception) -> str:
    words = " ".join(str(error).split())
    if "UTF8" in words or isinstance(error, UnicodeDecodeError):
        return "not UTF-8; save it as UTF-8"
    return f"cannot be read ({words or type(error).__name__}); give a whole file"
