"""Parts of a CSV or TSV file: where lines, rows and quoted fields end."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

_FILLED = re.compile(rb"[^\n]")


class Piece:
    """Bytes of a file that begin where a row begins.

    Args:
        data: the bytes.
        line: the line that they begin in, from 1.
        quoted: finds quoted fields; None if quotes are letters.

    Attributes:
        spans: the places of quoted fields.
        opened: where a quoted field begins that does not end.
        header: True if the first row that is not blank names the columns.
    """

    def __init__(self, data: bytes, line: int, quoted: re.Pattern[bytes] | None) -> None:
        self.data, self.line, self.header = data, line, False
        self.spans: list[tuple[int, int]] = []
        self.opened: int | None = None
        if quoted is not None and b'"' in data:
            found = [(*match.span(), bool(match[1])) for match in quoted.finditer(data)]
            self.spans = [(begin, end) for begin, end, closed in found if closed]
            self.opened = found[-1][0] if found and not found[-1][2] else None

    @cached_property
    def line_ends(self) -> Positions:
        """Positions behind the ends of lines, int64 (lines,)."""
        return _line_ends(self.data)

    @cached_property
    def row_ends(self) -> Positions:
        """Positions behind the ends of rows, int64 (rows,)."""
        ends = self.line_ends if self.opened is None else self.line_ends[self.line_ends <= self.opened]
        if self.spans and len(ends):
            begins, closes = np.array(self.spans, np.int64).T
            before = np.searchsorted(begins, ends - 1, side="right") - 1
            ends = ends[(before < 0) | (ends > closes[before])]
        return ends

    @property
    def _row_starts(self) -> Positions:
        return np.concatenate([np.zeros(1, np.int64), self.row_ends])[: len(self.row_ends)]

    @cached_property
    def is_plain(self) -> bool:
        """True if each row is a line that ends in LF."""
        return not self.spans and self.opened is None and b"\r" not in self.data

    @cached_property
    def end(self) -> int:
        """The end of the rows that are whole: of a line end at the very end, more may follow."""
        if self.is_plain:
            return self.data.rfind(b"\n") + 1
        ends = self.row_ends[:-1] if self.data.endswith(b"\r") else self.row_ends
        return int(ends[-1]) if len(ends) else 0

    @cached_property
    def num_lines(self) -> int:
        """The number of lines."""
        return self.data.count(b"\n") if self.is_plain else len(self.line_ends)

    @property
    def has_line_ends_in_quotes(self) -> bool:
        """True if a row has several lines."""
        return not self.is_plain and len(self.line_ends) != len(self.row_ends)

    def whole(self) -> Piece:
        """The rows that are whole."""
        if self.is_plain:
            return self  # what follows them is no row, and is not copied
        piece = Piece(self.data[: self.end], self.line, None)
        piece.spans = [span for span in self.spans if span[0] < self.end]
        return piece

    @cached_property
    def _filled(self) -> npt.NDArray[np.bool_]:
        return ~_blank(self.data, self._row_starts, self.row_ends)

    @property
    def rows(self) -> memoryview:
        """The bytes of all rows of data."""
        return memoryview(self.data)[self.begin : self.end if self.is_plain else len(self.data)]

    @property
    def has_rows(self) -> bool:
        """True if a row of data is not blank."""
        return bool(_FILLED.search(self.rows)) if self.is_plain else self.num_rows > 0

    @property
    def begin(self) -> int:
        """Where the rows of data begin."""
        return int(self.row_ends[int(np.argmax(self._filled))]) if self.header else 0

    @property
    def num_rows(self) -> int:
        """The number of rows of data; blank ones are none."""
        return int(self._filled.sum()) - self.header

    @cached_property
    def lines(self) -> Positions:
        """The line at which each row of data begins, int64 (rows,)."""
        starts = self._row_starts[self._filled]
        found = self.line + np.searchsorted(self.line_ends, starts, side="right")
        return found[int(self.header) :]

    def line_of(self, position: int) -> int:
        """The line of a position."""
        return self.line + int(np.searchsorted(self.line_ends, position, side="right"))

    def not_utf8(self) -> int | None:
        """The first line that is not UTF-8, or None."""
        try:
            self.data[: self.end].decode()
        except UnicodeDecodeError as error:
            return self.line_of(error.start)
        return None


def quoted_fields(separator: str) -> re.Pattern[bytes]:
    """Finds quoted fields. The group is the closing quote, empty where the data end before it."""
    before = re.escape(separator.encode())
    return re.compile(rb"(?:\A|(?<=[" + before + rb'\n\r]))"(?:[^"]|"")*+("?)')


def _line_ends(data: bytes) -> Positions:
    """The positions behind the ends of lines: LF, CR LF, and CR alone, int64 (lines,)."""
    view = np.frombuffer(data, np.uint8)
    ends = view == 10
    if b"\r" in data:
        returns = view == 13
        returns[:-1] &= ~ends[1:]
        ends = ends | returns
    return np.flatnonzero(ends) + 1


def _blank(data: bytes, starts: Positions, ends: Positions) -> npt.NDArray[np.bool_]:
    """True for rows that hold nothing but their end."""
    lengths = ends - starts
    blank: npt.NDArray[np.bool_] = (lengths == 1) | (
        (lengths == 2) & (np.frombuffer(data, np.uint8)[starts] == 13)
    )
    return blank
