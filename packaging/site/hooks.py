"""Makes pages of the site from pages that are written for a code host. MkDocs calls the functions here by their names.

The site takes the project's ``README.md`` as its first page, and has ``RESULTS.md``, ``CONTRIBUTING.md``,
``CHANGELOG.md`` and ``SECURITY.md`` too. Links lead from file to file there; here they are turned into links between
pages.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]

PAGES = {
    "README.md": "index.md",
    "docs/README.md": "pages.md",
    "RESULTS.md": "measured.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""The page of the site by the project's file, for those whose place differs."""

_FILES = {page: name for name, page in PAGES.items()}
_PARTS = re.compile(
    r"(?P<code>^ *```.*?^ *```|`[^`\n]*`)|\]\((?P<link>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)",
    re.DOTALL | re.MULTILINE,
)
_ITEM = re.compile(r"- |\d\. ")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages of files beside ``docs/``."""
    listed = files.get_file_from_path("README.md")
    if listed is not None:
        files.remove(listed)
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Gives the text that MkDocs makes a page of."""
    return indented(turned(markdown, page.file.src_uri))


def turned(markdown: str, page: str) -> str:
    """Gives the text of a page with the links of the site.

    Args:
        markdown: the text of the project's file.
        page: the page of the site, such as ``methods/codes.md``.
    """
    name = _FILES.get(page, f"docs/{page}")

    def turn(found: re.Match[str]) -> str:
        if found["code"] is not None:
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), found["link"]))
        if target not in PAGES and not target.startswith("docs/"):
            return found[0]  # not on the site: the strict build refuses it
        place = PAGES.get(target, target.removeprefix("docs/"))
        return f"]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{found['anchor'] or ''})"

    return _PARTS.sub(turn, markdown)


def indented(markdown: str) -> str:
    """Gives the text with what belongs to an item of a list indented by four spaces, as MkDocs wants it.

    Code hosts take it from two spaces on, and need no empty line before the next item. Lists within lists do not occur.
    """
    lines: list[str] = []
    more, has_parts, is_code = "", False, False
    for line in markdown.splitlines():
        is_code ^= line.startswith("```")
        item = None if is_code else _ITEM.match(line)
        if item:
            if more and has_parts:
                lines.append("")
            more, has_parts = " " * (4 - item.end()), False
        elif not line:
            has_parts = True
        elif not line.startswith(" "):
            more = ""
        lines.append(line if item or not line else more + line)
    return "\n".join(lines) + "\n"
