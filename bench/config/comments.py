"""A reader of settings files: gives the settings, their defaults, and the comments on their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_SETTING = re.compile(r"^( *)([\w-]+):(?: +([^#]*?))?(?: *# *(.*))?$")


def summary(path: Path) -> str:
    """Gives the first comment of a settings file, or an empty text if the file has none."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


def settings(path: Path, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Gives name, default and comment of each setting in a file.

    Args:
        path: the file.
        prefix: the text before each name, with its dot.
    """
    levels: list[str] = []
    skipped = -1  # indentation of a block that holds no settings
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        found = _SETTING.match(line)
        if not found:
            continue
        indent, name, value, comment = len(found[1]), found[2], (found[3] or "").strip(), found[4] or ""
        if 0 <= skipped < indent:
            continue
        skipped = indent if name in ("defaults", "hydra") and not indent else -1
        if skipped >= 0:
            continue
        del levels[indent // 2 :]
        levels.append(name)
        if value:
            yield prefix + ".".join(levels), value, comment
