"""Absolute paths in settings: ``~`` is the home folder, and relative paths begin where the command was started.

Hydra may change the current folder before a run begins (``hydra.job.chdir``). A setting means the same in both cases.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from bench.config.typed import hints, is_address
from bench.errors import RequestError

T = TypeVar("T")

SQLITE = "sqlite:///"
"""The start of the address of a SQLite file. An absolute path adds a fourth ``/``."""

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""The most bytes of a file's name, and of a path, on the usual file systems."""


def absolute(path: str | Path, start: Path, name: str) -> Path:
    """Makes a path absolute. Links are not followed.

    Args:
        path: the path as it was given.
        start: the folder at which a relative path begins.
        name: the setting's name in messages.

    Raises:
        RequestError: the home folder that ``~`` stands for is not known, or no file system takes such a name.
    """
    refuse_long(str(path), name)
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:
        raise RequestError(
            f"{name}={path}: the home folder is not known (is HOME set?); give a path without ~"
        ) from None
    return Path(os.path.abspath(start / expanded))  # noqa: PTH100 - resolve() would follow links


def refuse_long(path: str, name: str) -> None:
    """Refuses a path that no file system takes, before it is looked for.

    Args:
        path: the path as it was given.
        name: the setting's name in messages.

    Raises:
        RequestError: the path or a name in it is too long, or holds a zero character.
    """
    longest = max(len(os.fsencode(part)) for part in path.split("/"))
    if longest > LONGEST_NAME or len(os.fsencode(path)) > LONGEST_PATH:
        raise RequestError(
            f"{name}={path[:40]}... ({len(path)} characters): a path has at most {LONGEST_PATH} bytes, and each name "
            f"in it at most {LONGEST_NAME}; give a shorter one"
        )
    if "\0" in path:
        raise RequestError(f"{name}={path!r}: a path holds no zero character; leave it out")


def address(uri: str, start: Path, name: str) -> str:
    """Makes the path in the address of a SQLite file absolute. Returns any other address as it is.

    Args:
        uri: the address as it was given, such as ``sqlite:///outputs/mlflow.db`` or ``sqlite:///~/mlflow.db``. Its
            path may hold percent-escapes.
        start: the folder at which a relative path begins.
        name: the setting's name in messages.

    Raises:
        RequestError: the home folder that ``~`` stands for is not known.
    """
    prefix, path = uri[: len(SQLITE)], uri[len(SQLITE) :]
    if prefix == SQLITE:
        refuse_long(path, name)
    if prefix != SQLITE or not path or path.startswith(("/", ":memory:", "?", "file:")):
        return uri
    home, slash, rest = path.partition("/") if path.startswith("~") else ("", "/", path)
    return f"{SQLITE}{quote(str(absolute(home, start, name)), safe='/ :')}{slash}{rest}"


def located(settings: T, start: Path, name: Callable[[str], str] = str) -> T:
    """Makes every ``Path`` and every ``Address`` in a dataclass of settings absolute, also in nested dataclasses.

    Args:
        settings: the settings, as ``bench.config.typed.build`` gives them.
        start: the folder at which relative paths begin.
        name: a function that gives a setting's full name in messages, from the name in the dataclass.

    Raises:
        RequestError: the home folder that ``~`` stands for is not known.
    """
    changed: dict[str, object] = {}
    for field, hint in hints(type(settings)).items():
        value = getattr(settings, field)
        if isinstance(value, Path):
            changed[field] = absolute(value, start, name(field))
        elif isinstance(value, list) and any(isinstance(item, Path) for item in value):
            changed[field] = [absolute(item, start, name(field)) for item in value]
        elif isinstance(value, str) and is_address(hint):
            changed[field] = address(value, start, name(field))
        elif is_dataclass(value):
            changed[field] = located(value, start, _below(name(field)))
    return replace(settings, **changed) if changed else settings  # type: ignore[type-var]


def _below(prefix: str) -> Callable[[str], str]:
    return lambda field: f"{prefix}.{field}"
