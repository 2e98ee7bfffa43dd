"""The folder ``conf/`` of the settings files, and the choices of its config groups. Imports nothing slow."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
"""The folder of the settings files. It has a folder for each config group, and there a file for each choice."""


def choices(group: str, folder: Path = CONF) -> list[str]:
    """The names of a group's files, sorted.

    Args:
        group: a config group, such as ``model``.
        folder: the folder that holds the groups.
    """
    return sorted(path.stem for path in (folder / group).glob("*.yaml"))


def options(group: str) -> list[str]:
    """The choices of a config group, sorted. The group ``strategy`` also has one choice for each method."""
    own = choices(group)
    return sorted({*own, *choices("embedding")}) if group == "strategy" else own


def shown(path: Path) -> str:
    """The name of a file in messages: relative to the project's folder if the file lies within it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
