"""Markdown tables of kept numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.methods import REFERENCE
from benchmarks.published.kept import Kept, Row, Time, Times, full_first

NO_SIZE, NOT_RUN = "-", ""
TIMED = ("ms a step", f"over `{REFERENCE}`", "lookup, µs")
"""The headings of times."""


def score(row: Row) -> str:
    """Gives the mean of a row with half of its 95 % interval."""
    found = row.score
    if found.mean is None:
        return "failed"
    spread = f" ± {(found.ci95[1] - found.ci95[0]) / 2:.4f}" if found.ci95 else ""
    return f"{found.mean:.4f}{spread}"


def rows_of(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Gives the lines of a table whose first column is text."""
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


@dataclass(frozen=True)
class Column:
    """A column of scores: those of a study at a budget.

    Attributes:
        head: its heading.
        kept: the study's numbers.
        budget: the budget; None for runs without one.
        marks: what is put before and after a cell, by strategy.
        full: True shows full tables beside those of a budget.
    """

    head: str
    kept: Kept
    budget: float | None
    marks: Mapping[str, tuple[str, str]]
    full: bool = False

    @classmethod
    def starred(cls, head: str, kept: Kept, budget: float | None) -> Column:
        """Makes a column with a star before the rows of the study's front."""
        front = [row.strategy for row in kept.front() if row.budget == budget]
        return cls(head, kept, budget, dict.fromkeys(front, ("★ ", "")))

    @classmethod
    def best_bold(cls, head: str, kept: Kept, budget: float, full: bool = False) -> Column:
        """Makes a column with its best mean in bold, full tables aside."""
        return cls(head, kept, budget, {kept.ranked(budget)[0]: ("**", "**")}, full)

    def cell(self, strategy: str) -> str:
        """Gives the cell of a strategy."""
        row = self.kept.find(strategy, None if self.full and strategy == "full" else self.budget)
        if row is None:
            return NO_SIZE if self.budget is None else NOT_RUN
        if row.refused:
            return NO_SIZE
        before, after = self.marks.get(strategy, ("", ""))
        size = ""
        if self.budget is None and strategy != "full" and row.embedding_bytes:
            size = f" ({self.kept.full_embedding_bytes / row.embedding_bytes:.2f}x)"
        return f"{before}{score(row)}{after}{size}"


def of_study(kept: Kept) -> list[str]:
    """Gives the table of a study: a row a strategy, a column a budget, and the number of seeds."""
    short = kept.headline.short
    columns = [
        Column.starred(f"{short}, {'at its own size' if budget is None else f'budget {budget:g}'}", kept, budget)
        for budget in kept.budgets
    ]  # fmt: skip
    lines = []
    for strategy in kept.strategies:
        counts = {len(row.scores) for row in kept.rows if row.strategy == strategy and not row.refused}
        cells = [column.cell(strategy) for column in columns]
        if counts:  # else no size of it meets any budget
            lines.append([f"`{strategy}`", *cells, ", ".join(map(str, sorted(counts)))])
    return rows_of(["strategy", *(column.head for column in columns), "seeds"], lines)


def side_by_side(columns: Sequence[Column], times: Times | None, lookups: bool) -> list[str]:
    """Gives a table of several columns, with times if they were taken.

    Args:
        columns: of scores. A strategy that none of them has a number for is left out.
        times: milliseconds a step, and their ratio to the reference's.
        lookups: True adds the time of a lookup.
    """
    names = dict.fromkeys(name for column in columns for name in column.kept.strategies)
    known = [name for name in names if any(column.cell(name) not in (NO_SIZE, NOT_RUN) for column in columns)]
    shown = 0 if times is None else len(TIMED) if lookups else len(TIMED) - 1
    heads = ["method", *(column.head for column in columns), *TIMED[:shown]]
    lines = []
    for name in full_first(known):
        timed = _times(times.methods.get(name)) if times else []
        lines.append([f"`{name}`", *(column.cell(name) for column in columns), *timed[:shown]])
    return rows_of(heads, lines)


def of_times(times: Times) -> list[str]:
    """Gives the table of the times of methods."""
    return rows_of(
        ["method", *TIMED], [[f"`{name}`", *_times(time)] for name, time in sorted(times.methods.items())]
    )


def _times(time: Time | None) -> list[str]:
    """Gives the cells of a method's times: of a step, its ratio, and of a lookup."""
    if time is None:
        return [NOT_RUN] * len(TIMED)
    step = ["as `full`", ""]
    if time.step_ms is not None and time.ratio is not None:
        step = [f"{time.step_ms:.3f}", f"{time.ratio:.2f}"]
    return [*step, f"{time.lookup_us:.0f}"]
