"""docs/reference.md is that of the code."""

from __future__ import annotations

import re

import pytest

from bench.api import listed, reference
from bench.cli import help as helped
from bench.embeddings import names


@pytest.fixture(scope="module")
def page() -> str:
    return reference.page()


def test_the_page_is_that_of_the_code(page: str) -> None:
    assert reference.PAGE.read_text(encoding="utf-8") == page, "make generate writes it"


def test_settings_have_their_default_values_and_meaning() -> None:
    runs, methods, reports = (
        "\n".join(part()) for part in (listed.of_runs, listed.of_methods, listed.of_reports)
    )
    assert (
        "| `training.epochs` | `3` | a whole number, at least 1 and at most 2147483647 | passes over" in runs
    )
    assert "| `dataset.split.kind` | `random` | random, last, time, folds or seven_parts |" in runs
    assert "`~/.cache/embedding-bench`, or the variable `BENCH_DATA_DIR`" in runs
    assert "| `num_partitions` | `2` | a whole number, at least 2 | Number of tables." in methods
    assert "| `combine` | `product` | product, sum or concat |" in methods
    assert "| `strategy` | `null` | " in reports and "only." not in reports


def test_no_setting_of_help_is_missing(page: str) -> None:
    said = helped.usage(["dataset=table", "model=dlrm"])
    settings = set(re.findall(r"^  ([a-z][\w.]*)=", said, re.MULTILINE))
    assert len(settings) > 140
    assert [name for name in sorted(settings) if f"| `{name}` |" not in page] == []
    assert [name for name in names() if f"### `strategy={name}`" not in page] == []


def test_a_docstring_becomes_markdown() -> None:
    doc = """Does ``one`` *thing.

    Args:
        first: a number,
            two lines.
        **more: of them.

    Returns:
        What ``it`` is.

    Example:
        >>> 1 + 1  # doctest: +SKIP
        2
    """
    assert "\n".join(reference.text(doc)).splitlines() == [
        "Does `one` \\*thing.", "", "Args:", "", "- `first`: a number,", "  two lines.", "- `**more`: of them.",
        "", "Returns: What `it` is.", "", "```python", ">>> 1 + 1", "2", "```",
    ]  # fmt: skip
