"""The pages of the documentation: their links, and that they name every method."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import ROOT

from bench.embeddings import names

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "packaging").rglob("*.md")]

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: letters, digits, hyphens and underscores are kept."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of a page to files or headings that are not there."""
    found = []
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        name, _, anchor = link.partition("#")
        if ":" in name:
            continue  # another site
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# Two words\n\n## `run`: it's 1\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#two-words) [c](there.md#run-its-1) [d](https://example.org/x.md) `[e](no.md)`\n"
        "[f](gone.md) [g](there.md#three) [h](#two-words)\n"
    )
    assert broken(page) == ["gone.md", "there.md#three", "#two-words"]


def test_every_method_is_named_and_counted() -> None:
    page, readme = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/methods.md", "README.md"))
    table = page[page.index("## All methods") : page.index("## Side by side")]
    assert [name for name in names() if f"`{name}`" not in table] == []
    assert f"{len(names())} methods" in readme
