"""The cells of CSV files, which people open in spreadsheets."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet takes for a formula."""


def cell(value: object) -> object:
    """A value as a cell: a text that a spreadsheet would run as a formula gets a leading ``'``, but not a number."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
