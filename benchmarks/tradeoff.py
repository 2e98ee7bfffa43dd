"""The picture of the README and the tables of docs/methods.md, from the results that sweeps left.

``python -m benchmarks.tradeoff SWEEP_FOLDER ... PICTURE.png`` prints a table of the groups and draws the picture.
``python -m benchmarks.tradeoff SWEEP_FOLDER ...`` prints a table of strategies by budget.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.measure.units import plural, short_size
from bench.records.result import FILE, Result
from bench.reporting import contents, files
from bench.reporting.contents import Section
from bench.reporting.entries import Entry

CHART = "memory-error"


def read(folders: Sequence[Path]) -> list[Result]:
    """Reads the results below some folders."""
    paths = sorted(file.parent for folder in folders for file in folder.rglob(FILE))
    return [Result.read(path) for path in paths]


def _error(entry: Entry) -> str:
    """Gives mean and standard deviation of a group's headline metric as text."""
    found = entry.group.leading
    return "-" if found.mean is None else f"{found.mean:.4f} ± {found.sd or 0:.4f}"


def table(section: Section) -> str:
    """Gives a Markdown table with a line for each group."""
    lines = [
        f"| run | embedding memory | smaller by | {section.headline.title}, mean ± sd | seeds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for entry in section.entries:
        memory, ratio = short_size(entry.group.embedding_bytes), entry.group.compression_ratio
        lines.append(
            f"| {entry.name} | {memory} | {ratio:.1f}x | {_error(entry)} | {entry.group.leading.n} |"
        )
    return "\n".join(lines)


def by_budget(section: Section) -> str:
    """Gives a Markdown table with a line for each strategy: its error at each budget, or at its only size."""
    asked = {entry.group.budget for entry in section.entries}
    budgets = sorted((budget for budget in asked if isinstance(budget, int | float)), reverse=True)
    cells: dict[str, dict[float | str | None, Entry]] = defaultdict(dict)
    for entry in section.entries:
        cells[entry.group.strategy][entry.group.budget] = entry
    lines = [
        f"| method | {' | '.join(f'budget={budget:g}' for budget in budgets)} | at its own size |",
        f"| --- |{' ---: |' * (len(budgets) + 1)}",
    ]
    best = {
        budget: section.headline.best([own[budget].value or 0.0 for own in cells.values() if budget in own])
        for budget in budgets
    }
    for strategy, own in sorted(cells.items()):
        found = [
            "-" if budget not in own
            else f"**{_error(own[budget])}**" if own[budget].value == best[budget]
            else _error(own[budget])
            for budget in budgets
        ]  # fmt: skip
        alone = f"{_error(own[None])} ({own[None].group.compression_ratio:.2f}x)" if None in own else ""
        lines.append(f"| {strategy} | {' | '.join(found)} | {alone} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Prints a table, and draws the picture if its file is named."""
    *folders, last = arguments or [""]
    pictured = last.endswith(".png")
    folders = folders if pictured else arguments
    if not folders:
        print("error: give the folders of sweeps, and the picture's file (.png) if any", file=sys.stderr)
        return 2
    report = contents.build(read([Path(folder) for folder in folders]))
    if len(report.sections) != 1:
        found = (
            f"{plural(len(report.sections), 'set')} that cannot be compared"
            if report.sections
            else "no finished result"
        )
        print(f"error: {found} in {' '.join(folders)}; give the folders of one sweep", file=sys.stderr)
        return 2
    (section,) = report.sections
    print(table(section) if pictured else by_budget(section))
    if pictured:
        Path(last).parent.mkdir(parents=True, exist_ok=True)
        Path(last).write_bytes(files.pictures(report)[f"{CHART}.png"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
