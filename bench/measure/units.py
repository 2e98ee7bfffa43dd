"""Numbers as people read them: counts, bytes, seconds, and rows of aligned cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence


def count(number: int) -> str:
    """A whole number as people read it: ``117,968``."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """A count and its noun: ``1 run``, ``2 runs``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Bytes as people read them: ``471,872 bytes (461 KiB)``."""
    exact = "1 byte" if number == 1 else f"{count(number)} bytes"
    return f"{exact} ({short_size(number)})" if number >= 1024 else exact


def short_size(number: float) -> str:
    """Bytes to three digits: ``461 KiB``, ``2.38 MiB``."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    power = 0
    while number >= 1000 and power < len(units) - 1:
        number, power = number / 1024, power + 1
    return f"{digits(number)} {units[power]}"


def duration(seconds: float) -> str:
    """Seconds as people read them: ``0.41 s``, ``12.3 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if seconds < 99.95:
        return f"{digits(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def digits(number: float) -> str:
    """Gives a number to three significant digits, without an exponent."""
    if number == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{min(decimals, 6)}f}"


def aligned(rows: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Rows of equally many cells as lines, the first ``left`` columns to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
