"""Writes the table of metrics into ``docs/results.md``: ``python -m bench.records.docs``."""

from pathlib import Path

from bench.records.result import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results.md"
START, END = "<!-- metrics: make generate -->\n", "<!-- end -->"

if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(START)
    PAGE.write_text(head + START + "\n".join(table()) + "\n" + END + rest.split(END, 1)[1], encoding="utf-8")
