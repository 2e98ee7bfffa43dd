"""The transforms of ``dataset.transforms``: they change a column before it is an id or a number."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.table_settings import HOUR_ENDINGS

_PARTS: tuple[Callable[[datetime], int], ...] = (
    lambda time: time.hour,
    lambda time: time.weekday(),
    lambda time: int(time.weekday() >= 5),
)
HOUR_PARTS = dict(zip(HOUR_ENDINGS, _PARTS, strict=True))
"""The fields that ``hour_parts`` makes of a column, by the ending of their names: 0 to 23; Monday 0; 1 at weekends."""

_HOUR = re.compile(r"\d{8}", re.ASCII)


def log1p(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """ln(1 + max(x, 0)), float64 (rows,): DLRM's transform of Criteo's counts."""
    found: npt.NDArray[np.float64] = np.log1p(np.maximum(values, 0))
    return found


def ln2_bucket(value: str | float) -> int | None:
    """The category of a number: floor(ln(x)²) for x > 2, else floor(x). None for what is no number.

    As the published Criteo_x4 was made by; its description says the logarithm to base 2.
    """
    try:
        number = float(value)
        return math.floor(math.log(number) ** 2 if number > 2 else number)
    except (ValueError, OverflowError):
        return None


def hashed(value: object, rows: int) -> int:
    """A row number below ``rows``, by BLAKE2b of the id as text: equal on every machine."""
    digest = hashlib.blake2b(str(value).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % rows


def hour_part(value: object, part: str) -> int | None:
    """A part of a time, given as ``YYMMDDHH`` or as an ISO date; None for what is neither.

    Args:
        value: the time.
        part: a key of ``HOUR_PARTS``.
    """
    text = str(value).strip()
    try:
        if _HOUR.fullmatch(text):
            time = datetime(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]), int(text[6:]), tzinfo=UTC)
        else:
            time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return HOUR_PARTS[part](time)


def of_ids(transform: str, part: str = "") -> Callable[[Any], int | None] | None:
    """The function of a transform of ids; None for ``none``.

    Args:
        transform: ``none``, ``ln2_bucket``, ``hour_parts`` or ``hash:ROWS``.
        part: of ``hour_parts``.
    """
    if transform.startswith("hash:"):
        rows = int(transform.removeprefix("hash:"))
        return lambda value: hashed(value, rows)
    if transform == "ln2_bucket":
        return ln2_bucket
    return (lambda value: hour_part(value, part)) if transform == "hour_parts" else None
