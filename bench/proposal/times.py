"""Which columns hold times."""

from __future__ import annotations

from bench.proposal import names
from bench.proposal.describing import short
from bench.proposal.looking import MOSTLY, Seen

EPOCH = (631_152_000.0, 2_524_608_000.0)
"""1990 and 2050 in seconds since 1970."""

UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}


def rank(seen: Seen) -> int:
    """How surely a column is a timestamp: 4 to 1, 0 if it is none."""
    own = {*names.words(seen.name)}
    hinted = bool(own & names.TIMES) and not own & (names.IDS | names.COUNTS - {"hours", "days"})
    if seen.distinct < 2 or seen.missing + seen.odd > (1 - MOSTLY) * seen.rows:
        return 0
    if seen.kind == "time":
        return 3 + hinted
    if epoch(seen) and (hinted or not names.is_id(seen.name)):
        return 1 + hinted
    is_day = seen.low >= 19_000_101 and seen.high <= 21_001_231
    is_hour = "hour" in own and seen.low >= 1e7 and seen.high < 1e8  # YYMMDDHH
    return 2 if hinted and seen.kind == "whole" and (is_day or is_hour) else 0


def epoch(seen: Seen) -> str | None:
    """The unit of numbers that are times since 1970, or None."""
    if not seen.is_numeric or not len(seen.values):
        return None
    low, high = EPOCH
    fitting = (unit for unit, a in UNITS.items() if low * a <= seen.low and seen.high <= high * a)
    return next(fitting, None)


def described(seen: Seen) -> str:
    """A timestamp in words."""
    unit = epoch(seen)
    if unit:
        return f"{unit} since 1970"
    return f"times, such as {short(seen.examples[0])}" if seen.examples else "times"


def has_hours(seen: Seen) -> bool:
    """Returns True if the transform ``hour_parts`` can read it: dates as text."""
    return seen.kind == "time" and seen.codes is not None
