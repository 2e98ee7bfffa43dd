"""Functions that quote commands for printing. If such a command is copied to a shell, Hydra reads the same values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:+%@*")
_WORDS = ("true", "false", "null", "nan", "inf")
_IN_KEYS = re.compile(r"([\\()\[\]{}:=, \t])")


def command(module: str, words: Iterable[str]) -> str:
    """A command for a shell, such as ``python -m bench.run strategy=qr``.

    Args:
        module: the module that ``python -m`` runs.
        words: options, and overrides as ``override`` or a user gives them.
    """
    return shlex.join(["python", "-m", module, *words])


def override(name: str, value: Any) -> str:
    """The override that gives a setting a value, such as ``dataset.path='my data, all.csv'``."""
    return f"{name}={text(value)}"


def text(value: Any) -> str:
    """Writes a value such that Hydra reads the same value: a text, number, bool, None, or a list or dict of these.

    Hydra has no quotes for the keys of a dict. So Hydra reads a key such as ``1`` or ``true`` as a number or a bool.
    """
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, Mapping):
        keys = (_IN_KEYS.sub(r"\\\1", str(key)) for key in value)
        return (
            "{"
            + ",".join(f"{key}:{text(item)}" for key, item in zip(keys, value.values(), strict=True))
            + "}"
        )
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _string(value: str) -> str:
    if value and set(value) <= _PLAIN and value.lower() not in _WORDS and not _is_number(value):
        return value
    # Hydra would read ${ as the start of an interpolation, so it is escaped; Hydra halves the backslashes before it
    value = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
    # elsewhere Hydra halves backslashes only before a quote or the end
    value = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + (r"\'" if found[2] else ""), value)
    return f"'{value}'"


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
