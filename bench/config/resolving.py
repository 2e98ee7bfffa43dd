"""Interpolations in settings, such as ``${oc.env:HOME}``: their places, their sources and their values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from bench.config.typed import Tree, Value, shown
from bench.errors import RequestError

Path = tuple[str | int, ...]
"""The path to a value in nested settings: names, and positions in lists."""

_READS_SETTING = re.compile(r"\$\{(?:oc\.select:\s*)?(\w[\w.]*)\s*(?:,[^${}\\]*)?\}")
_READS_VARIABLE = re.compile(r"\$\{oc\.env:\s*(\w+)\s*(?:,[^${}\\]*)?\}")
_OF_ENVIRONMENT = re.compile(r"\$\{\s*oc\.env\s*:\s*(\w+)")


def variables(text: Value) -> list[str]:
    """The environment variables that an unresolved value names directly."""
    return _OF_ENVIRONMENT.findall(text) if isinstance(text, str) else []


def resolved(own: DictConfig) -> Tree:
    """All settings of a run, with the values of interpolations in their place.

    Args:
        own: the configuration without its ``hydra`` node.

    Raises:
        RequestError: a required setting is missing, or an interpolation refers to something that does not exist.
    """
    try:
        values: Tree = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)  # type: ignore[assignment]
        return values
    except OmegaConfBaseException as error:
        name = error.full_key or "settings"
        if isinstance(error, MissingMandatoryValue):
            raise RequestError(f"{name}: not set; give {name}=VALUE") from error
        given = shown(OmegaConf.to_container(own, resolve=False) if not error.full_key else raw_at(own, name))
        reason = " ".join(str(error.msg or error).split()).split(" full_key:")[0]
        raise RequestError(
            f"{name}={given}: refers to what cannot be read ({reason}); give a value"
        ) from error


def raw_at(cfg: DictConfig, name: str) -> Value:
    """The unresolved value at a dotted name, or None if the name does not exist."""
    path = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", name)]
    return at(OmegaConf.to_container(cfg, resolve=False), path)  # type: ignore[arg-type]


def at(values: Value | Tree, path: Sequence[str | int]) -> Value:
    """The value at a path, or None if the path does not exist."""
    found: Value | Tree = values
    for part in path:
        if isinstance(found, Mapping):
            found = found.get(str(part))
        elif isinstance(found, list) and isinstance(part, int) and part < len(found):
            found = found[part]
        else:
            return None
    return found  # type: ignore[return-value]


def interpolated(values: Value | Tree, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The paths and texts of all interpolations in unresolved values, and of missing values (``???``)."""
    if isinstance(values, str):
        if "${" in values or values == "???":
            yield path, values
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield from interpolated(value, (*path, key))
    elif isinstance(values, list):
        for position, value in enumerate(values):
            yield from interpolated(value, (*path, position))


def refuse_empty_variables(given: Value | Tree, values: Value | Tree) -> None:
    """Refuses a setting that is empty because an environment variable is empty.

    Args:
        given: settings, unresolved.
        values: the same settings, resolved.

    Raises:
        RequestError: a setting is empty for this reason. The message names the variable.
    """
    for path, text in interpolated(given):
        for variable in variables(text):
            if os.environ.get(variable) == "" and at(values, path) == "":
                name = ".".join(map(str, path))
                raise RequestError(f"{variable}='': unset the variable, or set it: {name} is read from it")


class Memory:
    """A cache of the values of interpolations, so that the jobs of a sweep need not resolve them again.

    OmegaConf takes milliseconds to resolve the settings of a run. Most of a sweep's interpolations read an environment
    variable, or a setting that has a plain value.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None], Value] = {}

    def resolved(self, own: Callable[[], DictConfig], given: Tree) -> Tree:
        """Does the work of the function ``resolved``, without OmegaConf if all values are known.

        Args:
            own: a function that gives the configuration without its ``hydra`` node.
            given: the same configuration as plain values, unresolved.

        Raises:
            RequestError: the same as from the function ``resolved``.
        """
        places = list(interpolated(given))
        values = given
        for path, text in places:
            try:
                values = cast(Tree, with_value(values, path, self._value(text, given)))
            except KeyError:
                break
        else:
            return values
        values = resolved(own())
        for path, text in places:
            if (key := _key(text, given)) is not None:
                self._known[key] = at(values, path)
        return values

    def _value(self, text: str, given: Tree) -> Value:
        """The value of an interpolation.

        Raises:
            KeyError: the value is not known.
        """
        if found := _READS_SETTING.fullmatch(text):
            *parents, last = found[1].split(".")
            level = at(given, tuple(parents))
            if isinstance(level, Mapping) and last in level:
                return _alone(level[last])
        key = _key(text, given)
        if key is None:
            raise KeyError(text)
        return self._known[key]


def _alone(value: Value) -> Value:
    """Gives a value that is plain: no interpolation, not missing, and not nested. A list of plain values is copied.

    Raises:
        KeyError: the value is not plain.
    """
    items = value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, list | dict) or (isinstance(item, str) and ("${" in item or item == "???")):
            raise KeyError(value)
    return list(value) if isinstance(value, list) else value


def _key(text: str, given: Tree) -> tuple[str, str | None] | None:
    """The cache key of an interpolation: its text, and the value of the environment variable that it reads.

    An interpolation of a missing root setting has None in place of the value. Any other interpolation has no key.
    """
    if found := _READS_VARIABLE.fullmatch(text):
        return text, os.environ.get(found[1])
    found = _READS_SETTING.fullmatch(text)
    return (text, None) if found and found[1] not in given and "." not in found[1] else None


def with_value(values: Value | Tree, path: Path, value: Value) -> Value:
    """A copy of nested values with another value at a path. The copy shares all values beside the path."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(values, list):
        return [
            with_value(item, rest, value) if position == first else item
            for position, item in enumerate(values)
        ]
    assert isinstance(values, Mapping)
    return {**values, str(first): with_value(values[str(first)], rest, value)}
