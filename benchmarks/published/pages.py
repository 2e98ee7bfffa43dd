"""RESULTS.md, and the tables of other pages between their markers, from the numbers in ``docs/measured``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.measure.units import short_size
from bench.records.docs import filled
from benchmarks.published.kept import Kept, Row, Times
from benchmarks.published.studies import STUDIES, Study
from benchmarks.published.tables import Column, of_study, of_times, side_by_side

ROOT = Path(__file__).resolve().parents[2]
RESULTS, METHODS, README = "RESULTS.md", "docs/methods.md", "README.md"
FOLDER, TIMES = Path("docs") / "measured", "times-"
"""Where numbers are kept, and what the names of the files of times begin with."""

START = "<!-- measured {}: make results -->\n"

HEAD = """\
# Results

Written by `make results` from the files in `docs/measured`, which hold the score of each seed; no number here is typed.
Scores are means over seeds on one split, with half of their 95 % interval (Student's t): initial weights and the order
of batches vary, the rows held out do not. ★ marks the front of a study: nothing else in it needs fewer bytes and is as
good. A dash is a budget that the method has no size for. Nothing was tuned on the rows that are reported: settings are
the defaults, and all that the scores decide is which strategies get five seeds.
"""


@dataclass(frozen=True)
class Measured:
    """All that is kept: the numbers of studies and the times of methods, by name."""

    studies: Mapping[str, Kept]
    times: Mapping[str, Times]

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """Reads what a folder has."""
        paths = {path.stem: path for path in sorted(folder.glob("*.json"))}
        names = [study.name for study in STUDIES if study.name in paths]
        times = [name for name in paths if name.startswith(TIMES)]
        return cls(
            {name: Kept.read(paths[name]) for name in names},
            {name.removeprefix(TIMES): Times.read(paths[name]) for name in times},
        )


def _machine(machine: Mapping[str, Any]) -> str:
    named = {
        "Python": "python",
        "NumPy": "numpy",
        "Keras": "keras",
        "TensorFlow": "tensorflow",
        "commit": "git_commit",
    }
    device = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores"
    return "; ".join(
        [device, *(f"{name} {str(machine[key])[:12]}" for name, key in named.items() if machine[key])]
    )


def section(study: Study, found: Kept) -> list[str]:
    """Gives the lines of a study."""
    constant = f" The best constant has {found.constant:.4f}." if found.constant is not None else ""
    return [
        f"## {study.title}", "",
        f"{study.about} Full tables take {short_size(found.full_embedding_bytes)}.{constant}", "",
        *of_study(found), "",
        "```", *found.commands, "```", "",
        f"Data digest {found.data_digest[:16]}. "
        + " ".join(f"Made with {_machine(one)}." for one in found.machines), "",
    ]  # fmt: skip


def results_page(found: Measured) -> str:
    """Gives RESULTS.md."""
    lines = [HEAD]
    for study in STUDIES:
        if study.name in found.studies:
            lines += section(study, found.studies[study.name])
    for name, times in found.times.items():
        lines += [f"## Times: {name}", "", *of_times(times), ""]
        lines += ["```", times.command, "```", "", f"Measured on {_machine(times.machine)}.", ""]
    missing = [
        f"{study.title} (`studies={study.name}`)" for study in STUDIES if study.name not in found.studies
    ]
    if missing:
        lines += [f"Not made yet: {'; '.join(missing)}."]
    return "\n".join(lines).rstrip() + "\n"


def ratings_table(found: Measured) -> list[str]:
    """Gives the table of ratings in docs/methods.md: four budgets, the methods of one size, times."""
    ratings = found.studies["ratings"]
    budgets = [budget for budget in ratings.budgets if budget is not None]
    columns = [Column.best_bold(f"budget {budget:g}", ratings, budget) for budget in budgets]
    columns.append(Column("at its own size", found.studies["sizes"], None, {}))
    return side_by_side(columns, found.times.get("ratings"), lookups=True)


def clicks_table(found: Measured) -> list[str]:
    """Gives the table of clicks in docs/methods.md: generated clicks at three budgets, Frappe, times."""
    studies = found.studies
    extreme = studies["extreme"].with_rows_of(studies["partitions"])
    columns = [
        Column.best_bold(head, kept, budget, full=True)
        for head, kept, budget in (
            ("338,000 ids, budget 0.1", studies["clicks"], 0.1),
            ("0.01", studies["clicks"], 0.01),
            ("3.4 million ids, 0.001", extreme, 0.001),
            ("Frappe, 0.1", studies["frappe"], 0.1),
        )
    ]
    return side_by_side(columns, found.times.get("clicks"), lookups=False)


def shared_table(found: Measured) -> list[str]:
    """Gives the table of one table for all fields in docs/methods.md."""
    studies = found.studies
    extreme = studies["shared_extreme"].with_rows_of(studies["shared_partitions"])
    columns = [
        Column.best_bold("338,000 ids, 0.01", studies["shared"], 0.01, full=True),
        Column.best_bold("3.4 million ids, 0.001", extreme, 0.001, full=True),
    ]
    return side_by_side(columns, None, lookups=False)


def families_table(found: Measured) -> list[str]:
    """Gives the table of the README: a row a family, with the errors of its methods at a tenth, the smallest first."""
    ratings, sizes = found.studies["ratings"], found.studies["sizes"]
    tenth = [row for row in ratings.rows if row.budget == BUDGET and row.score.mean is not None]
    known = {row.strategy for row in tenth}
    alone = [row for row in sizes.rows if row.strategy not in known and row.score.mean is not None]
    cells: dict[str, list[str]] = {UNCOMPRESSED: []}
    for row in [*sorted(tenth, key=_mean), *sorted(alone, key=_mean)]:
        smaller = sizes.full_embedding_bytes / (row.embedding_bytes or 1)
        size = f" at {smaller:.1f}x" if row.budget is None and row.strategy != "full" else ""
        cells.setdefault(_family(row.method), []).append(f"`{row.strategy}` {_mean(row):.3f}{size}")
    lines = [f"| {family} | {', '.join(own)} |" for family, own in cells.items()]
    return ["| | strategies, from the smallest error |", "| --- | --- |", *lines]


def _mean(row: Row) -> float:
    assert row.score.mean is not None
    return row.score.mean


def _family(method: str) -> str:
    """Gives the name of a method's family; methods that compress a trained table are one of their own."""
    if method == "full":
        return UNCOMPRESSED
    cls = find(method)
    return "after training" if cls(Vocabulary("id", 64), 16).parent() is not None else cls.family


BUDGET, UNCOMPRESSED = 0.1, "uncompressed"
"""The budget of the README's table, and its first row."""

TABLES = {
    "ratings": (METHODS, ratings_table, ("ratings", "sizes")),
    "clicks": (METHODS, clicks_table, ("clicks", "extreme", "partitions", "frappe")),
    "shared": (METHODS, shared_table, ("shared", "shared_extreme", "shared_partitions")),
    "families": (README, families_table, ("ratings", "sizes")),
}
"""The tables within other pages: the page, and the studies that each needs."""


def written(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Gives the files that are made from the kept numbers, and their texts. A table without its studies stays."""
    found = Measured.read(root / FOLDER)
    yield root / RESULTS, results_page(found)
    texts = {page: (root / page).read_text(encoding="utf-8") for page in (METHODS, README)}
    for name, (page, table, needed) in TABLES.items():
        if all(one in found.studies for one in needed):
            texts[page] = filled(texts[page], START.format(name), table(found))
    for page, text in texts.items():
        yield root / page, text
