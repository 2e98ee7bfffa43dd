"""Typed settings: a dataclass defines the values of settings. ``build`` fills it, or raises an error with a message.

The module needs only the standard library, so that every module can have its own settings dataclass.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

from bench.config.secrets import without_password
from bench.errors import RequestError

T = TypeVar("T")

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
"""A value of a setting, with the types of YAML and JSON."""

Tree: TypeAlias = Mapping[str, Value]
"""The content of a settings file: settings by name, with a nested dict for each group."""


@dataclass(frozen=True)
class Range:
    """The bounds of a number, as in ``Annotated[int, Range(low=1)]``.

    Attributes:
        low: the smallest value that is allowed.
        high: the largest value that is allowed.
        above: values must be greater than this.
        below: values must be smaller than this.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """Returns True if ``value`` lies within all bounds."""
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        words = [
            f"{word} {bound}"
            for word, bound in (("at least", self.low), ("above", self.above), ("at most", self.high))
            if bound is not None
        ]
        return " and ".join([*words, f"below {self.below}"] if self.below is not None else words)


Count = Annotated[int, Range(low=1, high=2**31 - 1)]  # counts are int32 in places
Seed = Annotated[int, Range(low=0, high=2**32 - 1)]  # the range of NumPy's and Keras's seeds
Share = Annotated[float, Range(above=0, below=1)]
Rest = Annotated[float, Range(low=0, below=1)]


class Choice(NamedTuple):
    """A choice by name for a part of a run, such as a method or a model.

    Attributes:
        name: the choice's name.
        settings: an instance of the choice's settings dataclass.
    """

    name: str
    settings: Any


class AsAddress:
    """Marks a text that may be the address of a SQLite file. ``bench.config.paths`` makes the file's path absolute."""


Address = Annotated[str, AsAddress()]


def is_address(hint: Any) -> bool:
    """Returns True if a type hint takes addresses."""
    return isinstance(hint, AsAddress) or any(map(is_address, typing.get_args(hint)))


class AsBytes:
    """Marks a number of bytes, which may be given with a unit: ``12MB`` is 12,000,000 and ``512KiB`` is 524,288."""


Bytes = Annotated[int, AsBytes(), Range(low=1)]


class WithUnit:
    """Marks a text that is a number of bytes with a unit."""


BytesText = Annotated[str, WithUnit()]


class AsGroups:
    """Marks groups of names: ``all``, ``{above: NUMBER}``, or a list of lists of names, which may be empty."""


UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip
"""Bytes by unit, in capital letters."""


def number_of_bytes(text: str) -> int:
    """Reads a number of bytes with a unit or without.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*", text)
    if found is None or (found[2] or "B").upper() not in UNITS:
        raise ValueError(text)
    return round(Decimal(found[1]) * UNITS[(found[2] or "B").upper()])


def shown(value: object) -> str:
    """Writes ``value`` as on the command line, without passwords."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = without_password(value)
        return text if text.strip() and text.isprintable() else repr(text)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(v) for v in value) + "]"
    return str(value)


def nearest(name: str, options: Iterable[str]) -> str:
    """Gives ``; did you mean X?`` if an option is close to ``name``, else an empty text."""
    from difflib import get_close_matches  # for errors only

    close = get_close_matches(name, list(options), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def describe(hint: Any) -> str:
    """Describes in words the values that a type hint takes."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        if any(isinstance(mark, AsBytes | WithUnit) for mark in arguments[1:]):
            return "a number of bytes, such as 12MB or 512KiB"
        if any(isinstance(mark, AsGroups) for mark in arguments[1:]):
            return "all, lists of fields, such as [[user,item]], or {above: NUMBER OF IDS}"
        bounds = [str(bound) for bound in arguments[1:] if isinstance(bound, Range)]
        return ", ".join([describe(arguments[0]), *bounds])
    if origin in (typing.Union, types.UnionType):
        each = [describe(option) for option in arguments]
        return (", or " if "," in each[0] else " or ").join(each)
    if origin is typing.Literal:
        *others, last = (str(option) for option in arguments)
        return f"{', '.join(others)} or {last}" if others else last
    if origin in (list, tuple):
        return f"a list, each {describe(arguments[0])}" if arguments else "a list"
    if origin is dict or hint is dict:
        return "{name: value, ...} without nan and inf"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
    return "null" if hint is type(None) else words.get(hint, "a value")


def convert(value: Any, hint: Any) -> Any:
    """Converts ``value`` to the type that ``hint`` names.

    Args:
        value: None, bool, int, float, str, or a list or dict of them.
        hint: ``int``, ``float``, ``bool``, ``str``, ``Path``, ``list[X]``, ``dict[str, X]``, ``Literal``, ``Any``,
            ``X | None``, or any of these ``Annotated`` with a ``Range``. The values of a dict are not converted.

    Raises:
        ValueError: the hint does not take the value, a number is not finite, or a text or a list is empty.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return _finite(value)
    if origin is Annotated:
        if isinstance(value, str) and any(isinstance(mark, AsBytes) for mark in arguments[1:]):
            value = number_of_bytes(value)
        if any(isinstance(mark, WithUnit) for mark in arguments[1:]):
            if not isinstance(value, str) or number_of_bytes(value) < 1 or not value.strip()[-1].isalpha():
                raise ValueError(hint)
            return value.strip()
        if any(isinstance(mark, AsGroups) for mark in arguments[1:]):
            return _groups(value, arguments[0])
        value = convert(value, arguments[0])
        bounds = [bound for bound in arguments[1:] if isinstance(bound, Range)]
        if value is not None and not all(bound.holds(value) for bound in bounds):
            raise ValueError(hint)
        return value
    if origin in (typing.Union, types.UnionType):
        return _first_of(value, arguments)
    if origin is typing.Literal:
        if any(value == option and type(value) is type(option) for option in arguments):
            return value
        raise ValueError(hint)
    if origin in (list, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise ValueError(hint)
        return [convert(item, arguments[0] if arguments else Any) for item in value]
    if origin is dict or hint is dict:
        if not isinstance(value, Mapping):
            raise ValueError(hint)
        return _finite(dict(value))
    return _scalar(value, hint)


def _groups(value: Any, hint: Any) -> Any:
    if not isinstance(value, Mapping):
        return None if value == [] else convert(value, hint)
    if value.keys() != {"above"}:
        raise ValueError(hint)
    return {"above": convert(value["above"], Annotated[int, Range(low=0)])}


def _first_of(value: Any, options: tuple[Any, ...]) -> Any:
    # null comes first; otherwise a setting that takes texts would read null as a text
    for option in sorted(options, key=lambda option: option is not type(None)):
        try:
            return convert(value, option)
        except ValueError:
            continue
    raise ValueError(options)


def _scalar(value: Any, hint: Any) -> Any:
    if hint is type(None):
        if value is None:
            return None
    elif hint is bool:
        if isinstance(value, bool):
            return value
    elif hint in (int, float):
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            if hint is int and isinstance(value, float):
                raise ValueError(hint)
            return _finite(hint(value))
    elif hint in (str, Path):
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return hint(str(value))
    else:
        raise TypeError(f"a setting cannot be a {hint}")
    raise ValueError(hint)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(item)
    return value


def _unchanged(hint: Any) -> Any:
    return hint


def checked(name: str, value: object, hint: Any) -> Any:
    """Calls ``convert``. Its own error names the setting, the value and a remedy.

    Raises:
        RequestError: the hint does not take the value.
    """
    try:
        return convert(value, hint)
    except ValueError:
        suggestion = ""
        choices = [option for option in _literals(hint) if isinstance(option, str)]
        if isinstance(value, str):
            suggestion = nearest(value, choices)
        raise RequestError(f"{name}={shown(value)}: give {describe(hint)}{suggestion}") from None


def check_words(settings: object) -> None:
    """Checks the settings of a dataclass that take one of a few words. It serves settings that ``build`` did not make.

    Raises:
        RequestError: a setting does not take its word.
    """
    for name, hint in hints(type(settings)).items():
        if _literals(hint):
            checked(name, getattr(settings, name), hint)


def _literals(hint: Any) -> list[Any]:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return list(arguments)
    return [literal for argument in arguments for literal in _literals(argument)]


def sizes(hint: Any) -> Any:
    """Narrows a type hint for sizes: whole numbers without a ``Range`` must be at least 1."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is int:
        return Annotated[int, Range(low=1)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(map(sizes, arguments))]  # noqa: UP007
    return list[sizes(arguments[0])] if origin is list else hint  # type: ignore[misc]


def build(
    cls: type[T],
    values: Tree,
    name: Callable[[str], str] = str,
    refine: Callable[[Any], Any] = _unchanged,
) -> T:
    """Makes an instance of the dataclass ``cls``, with each value converted to its setting's type.

    Args:
        cls: a dataclass. A setting whose type is a dataclass takes a mapping.
        values: the values by the setting's name. Settings with a default may be missing.
        name: a function that gives a setting's full name in messages, from the name in the dataclass.
        refine: a function that narrows the type hint of a setting.

    Raises:
        RequestError: a setting is unknown or missing, its type hint does not take the value, or ``__post_init__``
            raises a ValueError.
    """
    fields = hints(cls, refine)
    for key in values:
        if key not in fields:
            raise RequestError(unknown(name(key), values[key], map(name, fields)))
    arguments: dict[str, object] = {}
    for field in dataclasses.fields(typing.cast(Any, cls)):
        if field.name in values:
            arguments[field.name] = _built(field.name, values[field.name], fields[field.name], name)
        elif field.init and field.default is field.default_factory is dataclasses.MISSING:
            raise RequestError(f"{name(field.name)}: not set; give {describe(fields[field.name])}")
    try:
        return cls(**arguments)
    except ValueError as error:
        raise RequestError(str(error)) from None


def _built(field: str, value: Value, hint: Any, name: Callable[[str], str]) -> object:
    cls, full = group(hint), name(field)
    if cls is None or (value is None and hint is not cls):
        return checked(full, value, hint)
    if not isinstance(value, Mapping):
        raise RequestError(f"{full}={shown(value)}: a group of settings; give {full}.NAME=VALUE")
    return build(cls, value, lambda key: name(f"{field}.{key}"))


def hints(cls: Any, refine: Callable[[Any], Any] = _unchanged) -> Mapping[str, Any]:
    """The type hint of each setting of a dataclass, by name.

    Args:
        cls: the dataclass.
        refine: a function that narrows the type hint of a setting.
    """
    return _hints(cls, refine)


@functools.cache
def _hints(cls: Any, refine: Callable[[Any], Any]) -> Mapping[str, Any]:
    found = typing.get_type_hints(cls, include_extras=True)
    return {field.name: refine(found[field.name]) for field in dataclasses.fields(cls) if field.init}


def group(hint: Any) -> type[Any] | None:
    """The dataclass that a type hint takes, alone or with None. None if the hint takes plain values."""
    for option in (hint, *typing.get_args(hint)):
        if isinstance(option, type) and dataclasses.is_dataclass(option):
            return option
    return None


def plain(settings: object) -> Any:
    """Converts settings to the form that is logged: dataclasses to dicts by setting, paths to texts."""
    if dataclasses.is_dataclass(settings):
        return {field.name: plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)}
    if isinstance(settings, Mapping):
        return {key: plain(value) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [plain(value) for value in settings]
    return str(settings) if isinstance(settings, Path) else settings


def unknown(name: str, value: object, options: Iterable[str]) -> str:
    """The message for a setting that does not exist, with the given value, the nearest name and all names."""
    options = sorted(options)
    listed = f"there are: {', '.join(options)}" if options else "there are no settings"
    return f"{name}={shown(value)}: no such setting{nearest(name, options)} ({listed})"
