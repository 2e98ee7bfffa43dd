"""The overrides of a command, made from Python's values."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.config.quoting import override, text
from bench.errors import RequestError
from bench.records.result import Tree

CONFIG_DIR = "--config-dir"


def arguments(
    given: Sequence[str], settings: Tree, config_dir: str | os.PathLike[str] | Sequence[Any], swept: bool
) -> list[str]:
    """Gives the arguments of ``python -m bench.run`` for the arguments of a function.

    Args:
        given: overrides as the command takes them.
        settings: values by name. A dict holds the settings of a group. Texts are taken as they are: no comma, quote or
            ``${`` in them means anything.
        config_dir: the user's own folders of settings.
        swept: True if the elements of a list are the values of a sweep, and not one value.

    Raises:
        RequestError: a text is no override, or a value has no form on the command line.
    """
    for one in given:
        if not isinstance(one, str):
            raise RequestError(f"{one!r}: give overrides as texts, such as 'seed=1', or by name, as seed=1")
        if one.startswith("-"):
            raise RequestError(f"{one}: an option of the command; give settings only, such as 'seed=1'")
    folders = [config_dir] if isinstance(config_dir, str | os.PathLike) else list(config_dir)
    options = [word for folder in folders for word in (CONFIG_DIR, os.fspath(folder))]
    named = [made for name, value in settings.items() for made in _overrides(name, value, swept)]
    return [*options, *(["-m"] if swept else []), *given, *named]


def _overrides(name: str, value: Any, swept: bool) -> Iterator[str]:
    value = plain(name, value)
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _overrides(f"{name}.{key}", item, swept)
    elif swept and isinstance(value, list):
        if not value:
            raise RequestError(f"{name}=[]: a sweep over no values; give at least one")
        yield f"{name}={','.join(map(text, value))}"
    else:
        yield override(name, value)


def plain(name: str, value: Any) -> Any:
    """Gives a value as texts, numbers, bools, None, lists and dicts alone.

    Args:
        name: the setting's name in messages.
        value: one of these, or a path, a tuple, a range, or an array or a number of NumPy.

    Raises:
        RequestError: the value is of another type.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): plain(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(name, item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise RequestError(
        f"{name}={value!r}: of type {type(value).__name__}; give a text, a number, a bool, None, a path, a list, a dict"
    )
