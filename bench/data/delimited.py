"""Reads CSV and TSV files in blocks, and counts every row of them.

A block ends where a row ends. Quotes decide where that is, so the quoted fields of a block are found first. Then Arrow
parses the block, and the rows that it gives and those that it leaves out must add up to the rows of the block.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bench.data.pieces import Piece, Positions, quoted_fields
from bench.data.table_settings import COMPRESSED, SEPARATORS, Form, suffix
from bench.errors import RequestError

BLOCK_BYTES = 24 << 20
"""Bytes of a file that are read at once."""

CHUNK_BYTES = 1 << 20
"""Bytes that a file is asked for at once."""

PARSED_BYTES = 1 << 22
"""Bytes that Arrow parses at once: no more than what a processor's cache holds, and more than a row has."""

QUOTED_BYTES = 1 << 20
"""Most bytes of a quoted field."""

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Some rows of a file, one after the other.

    Attributes:
        columns: the asked columns by name, Arrow arrays of chunks.
        rows: the number of rows in ``columns``.
        ragged: the lines of rows with another number of columns than the header. They are not in ``columns``.
        find_lines: gives the line, from 1, at which each row of ``columns`` begins, int64 (rows,).
    """

    columns: Mapping[str, Any]
    rows: int
    ragged: Sequence[int]
    find_lines: Callable[[], Positions]


class Delimited:
    """A CSV or TSV file, perhaps compressed.

    Args:
        path: the file.
        form: its separator, header and quotes.
        block_bytes: bytes that are read at once.

    Attributes:
        names: the names of its columns.
        separator: between columns.

    Raises:
        RequestError: the file has no rows, or is not UTF-8.
    """

    def __init__(self, path: Path, form: Form, block_bytes: int = BLOCK_BYTES) -> None:
        self._path, self._block_bytes = path, block_bytes
        with self._open() as (file, _):
            start = _without_bom(file.read(1 << 20), path)
        self.separator = form.separator or _separator(path, start)
        self._quoted = quoted_fields(self.separator) if form.quoting == "standard" else None
        first = self._first_row(start)
        self.names = first if form.header else list(form.names or map(str, range(len(first))))
        if len(self.names) != len(first):
            raise RequestError(
                f"dataset.names={form.names}: {path} has {len(first)} columns; give as many names"
            )
        self._header = form.header

    def blocks(
        self, columns: Sequence[str], numbers: Sequence[str]
    ) -> Iterator[tuple[Callable[[], Block], float]]:
        """Yields functions that give all rows in their order, and the share of the file that is read then.

        The functions may be called in any order, and in other threads.

        Args:
            columns: the columns that are needed. Their values are text in dictionaries, empty where they are missing.
            numbers: those of them that are float64 in blocks in which every value is a number, null where missing.

        Raises:
            RequestError: the file is not UTF-8, or a quote that is open swallows rows.
        """
        header = self._header
        for piece, share in self._pieces(numbers):
            if not piece.has_rows:
                continue
            if header:  # the header is the first row that is not blank
                piece.header, header = True, False
            if piece.has_rows:
                yield partial(self._parsed, piece, columns, numbers), share

    def _parsed(self, piece: Piece, columns: Sequence[str], numbers: Sequence[str]) -> Block:
        import pyarrow as pa

        data = piece.rows
        skips = False
        while True:
            try:
                is_number = {name: name in numbers for name in columns}
                found, ragged = self._arrow(data, is_number, piece.has_line_ends_in_quotes, skips)
                break
            except pa.ArrowInvalid as error:
                line = piece.not_utf8()  # Arrow hands over no row that is not UTF-8
                if line is not None:
                    raise RequestError(
                        f"dataset.path={self._path}: line {line} is not UTF-8; save it as UTF-8"
                    ) from error
                if "CSV parse error" in str(error) and not skips:
                    skips = True
                elif numbers:
                    numbers = ()  # what is no number is counted later
                else:
                    raise
        rows = found[columns[0]].length()
        read = rows + len(ragged)
        if read != piece.num_lines - piece.header and read != piece.num_rows:
            raise RequestError(
                f"dataset.path={self._path}: of {piece.num_rows} rows from line {piece.lines[0]} on, {rows} were "
                "read; give dataset.quoting=none if quotes are letters there"
            )

        def lines() -> Positions:
            return np.delete(piece.lines, ragged)

        return Block(found, rows, piece.lines[ragged].tolist() if ragged else (), lines)

    def _arrow(
        self, data: memoryview, columns: Mapping[str, bool], several: bool, skips: bool
    ) -> tuple[dict[str, Any], list[int]]:
        """The columns, and the positions of rows with another number of columns.

        Args:
            data: whole rows.
            columns: the needed columns, and whether each holds numbers.
            several: a row may have several lines.
            skips: rows with another number of columns are skipped.

        Raises:
            pyarrow.ArrowInvalid: a column holds something else, or a row has another number of columns.
        """
        import pyarrow as pa
        from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

        ragged: list[int] = []

        def skip(row: Any) -> str:
            ragged.append(row.number - 1)
            return "skip"

        positions = {name: str(self.names.index(name)) for name in columns}
        text = pa.dictionary(pa.int32(), pa.string())
        table = read_csv(
            pa.BufferReader(data),
            # one thread: the number of a row that is skipped is known then, and blocks are read beside each other
            read_options=ReadOptions(
                column_names=[str(n) for n in range(len(self.names))], use_threads=False, block_size=PARSED_BYTES
            ),
            parse_options=ParseOptions(
                delimiter=self.separator, newlines_in_values=several, invalid_row_handler=skip if skips else None,
                quote_char=False if self._quoted is None else '"',
            ),
            convert_options=ConvertOptions(
                include_columns=list(positions.values()),
                column_types={positions[name]: pa.float64() if columns[name] else text for name in columns},
                null_values=[""],
                strings_can_be_null=False,
            ),
        )  # fmt: skip
        return {name: table[position] for name, position in positions.items()}, ragged

    def _pieces(self, numbers: Sequence[str]) -> Iterator[tuple[Piece, float]]:
        """Yields bytes of whole rows, and the share of the file that is read then."""
        rest, line, first = b"", 1, True
        with self._open() as (file, share):
            while True:
                # What is left of the last piece may be long: as much is read again.
                new = list(_chunks(file, max(self._block_bytes, len(rest))))
                if first and new:
                    new[0], first = _without_bom(new[0], self._path), False
                data = b"".join([rest, *new])
                if not new and data and not data.endswith((b"\n", b"\r")):
                    data += b"\n"
                piece = Piece(data, line, self._quoted)
                if piece.opened is not None and (not new or len(data) - piece.opened > QUOTED_BYTES):
                    self._refuse_open(piece)
                if new:
                    rest = data[piece.end :]
                    piece = piece.whole()
                self._refuse_swallowed(piece, numbers)
                if piece.num_lines:
                    yield piece, share()
                    line += piece.num_lines
                if not new:
                    return

    def _refuse_swallowed(self, piece: Piece, numbers: Sequence[str]) -> None:
        """Refuses a quoted field that holds rows."""
        ends = (b"", b"\n", b"\r", self.separator.encode())
        for begin, end in piece.spans:
            inner = re.split(rb"\r\n|\n|\r", piece.data[begin:end])[1:]
            if not inner:
                continue
            rows = sum(self._is_row(text, numbers) for text in inner[:-1])
            if rows or piece.data[end : end + 1] not in ends:
                raise RequestError(
                    f"dataset.path={self._path}: the quote that opens in line {piece.line_of(begin)} takes "
                    f"{max(rows, 1)} of the lines that follow for text, and they could be rows; mend the quotes, or "
                    "read them as letters with dataset.quoting=none"
                )

    def _refuse_open(self, piece: Piece) -> None:
        at = piece.line_of(piece.opened or 0)
        rest = piece.line + piece.num_lines - at
        raise RequestError(
            f"dataset.path={self._path}: the quote that opens in line {at} does not close in the {rest} lines "
            "that follow; mend it, or read quotes as letters with dataset.quoting=none"
        )

    def _is_row(self, text: bytes, numbers: Sequence[str]) -> bool:
        """Returns True if a line could be a row: it has as many columns, and numbers where they belong."""
        try:
            (row,) = csv.reader([text.decode()], delimiter=self.separator)
            [float(row[self.names.index(name)]) for name in numbers if len(row) == len(self.names)]
        except (ValueError, csv.Error):
            return False
        return len(row) == len(self.names) > 1

    def _first_row(self, start: bytes) -> list[str]:
        text = start.decode("utf-8", "surrogateescape")  # rows further down are judged when they are read
        try:
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=self.separator,
                              quotechar='"' if self._quoted else None,
                              quoting=csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE)  # fmt: skip
            found = next((row for row in rows if row), None)
        except csv.Error as error:
            raise RequestError(
                f"dataset.path={self._path}: its first line cannot be read ({error})"
            ) from error
        if found is None:
            raise RequestError(f"dataset.path={self._path}: no rows; give a file that has some")
        if any("\udc80" <= letter <= "\udcff" for name in found for letter in name):
            raise RequestError(f"dataset.path={self._path}: its first line is not UTF-8; save it as UTF-8")
        return found

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
        """Yields the content, and a function that gives the share of the file that is read."""
        import pyarrow as pa

        compression = COMPRESSED.get(self._path.suffix.lower())
        size = max(1, self._path.stat().st_size)
        with self._path.open("rb") as raw:
            file: Any = raw
            if compression == "gzip":
                from isal import igzip  # twice as fast as zlib

                file = igzip.open(raw)  # type: ignore[no-untyped-call]
            elif compression:
                file = pa.CompressedInputStream(pa.PythonFile(raw), compression)
            yield file, lambda: raw.tell() / size


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yields the next bytes of a file, ``size`` of them at most, in parts whose memory is used again at once."""
    while size > 0 and (chunk := file.read(min(size, CHUNK_BYTES))):
        yield chunk
        size -= len(chunk)


def _without_bom(data: bytes, path: Path) -> bytes:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RequestError(f"dataset.path={path}: not UTF-8 but UTF-16; save it as UTF-8")
    return data.removeprefix(BOM)


def _separator(path: Path, start: bytes) -> str:
    """The separator that the ending names, or one that the first line has in its place."""
    usual = SEPARATORS.get(suffix(path), ",")
    first = next((line for line in re.split(rb"[\r\n]+", start) if line.strip()), b"")
    first = re.sub(rb'"[^"]*"', b"", first)
    if usual.encode() in first:
        return usual
    counts = {other: first.count(other.encode()) for other in ("\t", ";", ",")}
    best = max(counts, key=lambda other: counts[other])
    return best if counts[best] else usual
