"""What a column holds, in words."""

from __future__ import annotations

from collections.abc import Mapping

from bench.measure import units
from bench.proposal.looking import Seen


def is_truth(seen: Seen) -> bool:
    """Returns True if all its numbers are 0 or 1."""
    return seen.num_numbers == 2 and seen.low == 0 and seen.high == 1


def kind(seen: Seen) -> str:
    """What a column holds."""
    return {"time": "times", "text": "text", "other": "neither text nor numbers"}.get(seen.kind, "numbers")


def values(seen: Seen) -> str:
    """Ids, and how many of them."""
    what = {"time": "times", "text": "text"}.get(seen.kind, "whole numbers")
    return f"{what}, {units.count(seen.distinct)} values"


def span(seen: Seen) -> str:
    """The smallest and the largest number."""
    return f"{number(seen.low)} to {number(seen.high)}"


def number(value: float) -> str:
    """A number to four digits; a whole one to all of them."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"


def short(text: str) -> str:
    """The beginning of a text, fit to print."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean if len(clean) <= 30 else f"{clean[:27]}..."


def lacking(missing: Mapping[str, int]) -> str:
    """Where values are missing, and in how many rows."""
    parts = [f"{name} in {units.plural(count, 'row')}" for name, count in missing.items()]
    more = len(parts) - 5
    return f"missing: {', '.join(parts[:5])}" + (
        f" and {units.plural(more, 'more column')}" if more > 0 else ""
    )
