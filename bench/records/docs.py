"""Writes the table of metrics into ``docs/results.md``: ``python -m bench.records.docs``."""

from collections.abc import Iterable
from pathlib import Path

from bench.records.result import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results.md"
START, END = "<!-- metrics: make generate -->\n", "<!-- end -->"


def filled(text: str, start: str, lines: Iterable[str]) -> str:
    """Gives a page with lines in the place of those between ``start``, which it has once, and the next ``END``."""
    head, rest = text.split(start)
    return head + start + "\n".join(lines) + "\n" + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), START, table()), encoding="utf-8")
