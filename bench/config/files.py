"""The folder of the settings files, and the choices of its config groups. Imports nothing slow.

A checkout has the folder as ``conf/`` at its top, an installed wheel as ``bench/conf/``.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent


def settings_folder(package: Path) -> Path:
    """Gives the folder of the settings files that belong to a copy of ``bench``.

    The place of the copy decides. The folder beside an installed ``bench`` may be of another package, and the current
    folder often has a ``conf/`` of the user's own.

    Args:
        package: the folder of ``bench``.
    """
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


CONF = settings_folder(PACKAGE)
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
    """The name of a file in messages: relative to the project's folder if the file lies within it.

    A settings file is ``conf/GROUP/NAME.yaml`` in a checkout and in an installation.
    """
    if path.is_relative_to(CONF):
        return str(Path("conf") / path.relative_to(CONF))
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
