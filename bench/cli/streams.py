"""Standard output and error of every command. Neither a missing character nor a missing reader ends the command."""

# ruff: noqa: RUF001 - the table lists letters that look like others

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

ERRORS = "bench.plain"
"""The name of the error handler for ``codecs.lookup_error``."""

PLAIN = {
    "±": "+/-", "×": "x", "÷": "/", "µ": "u", "μ": "u", "²": "^2", "√": "sqrt", "Δ": "d", "∞": "inf",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "→": "->", "←": "<-", "…": "...", "·": "*", "•": "*",
    "–": "-", "—": "-", "−": "-", "━": "-", "─": "-", "│": "|", "╸": "-", "╺": "-",
    "‘": "'", "’": "'", "“": '"', "”": '"', "\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ",
}  # fmt: skip
"""The texts in the place of characters that the terminal's encoding lacks. All others become a question mark."""


def prepare() -> None:
    """Prepares ``sys.stdout`` and ``sys.stderr`` of a command. A command calls it once, at its start.

    A character that the encoding lacks is replaced. If the reader ends, as ``| head`` does, all later text is dropped.
    A stream that the caller has closed also drops all text.
    """
    codecs.register_error(ERRORS, replaced)
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            nothing = open(os.devnull, "w", encoding="utf-8", errors=ERRORS)  # noqa: SIM115, PTH123
            setattr(sys, name, nothing)
        elif isinstance(stream, io.TextIOWrapper):
            stream.flush()
            lasting = _Lasting(
                open(stream.fileno(), "wb", closefd=False),  # noqa: SIM115
                encoding=stream.encoding,
                errors=ERRORS if stream.errors in ("strict", "surrogateescape") else stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, lasting)


def drop(descriptor: int) -> None:
    """Points a file descriptor to the null device, so that everything written to it is dropped."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


def replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """The text for a character that cannot be encoded, and the position after it, in the form that ``codecs`` needs.

    A byte of a file name that is not valid text (a lone surrogate from U+DC80 on) is written as that byte.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    first = letters[0]
    if "\udc80" <= first <= "\udcff":
        return bytes([ord(first) - 0xDC00]), error.start + 1
    return PLAIN.get(first, "?"), error.start + 1


class _Lasting(io.TextIOWrapper):
    """A stream that drops all text once its reader has ended."""

    def write(self, text: str, /) -> int:
        with self._dropped():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropped():
            super().flush()

    @contextlib.contextmanager
    def _dropped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):  # EIO: the terminal is gone
                raise
            drop(self.fileno())
