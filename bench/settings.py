"""Typed settings: a dataclass says which values its fields take, ``build`` fills it or says what is wrong.

Needs nothing but the standard library, so that every module can have a settings dataclass of its own.
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
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from bench.errors import RequestError

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """Bounds of a number, as ``Annotated[int, Range(low=1)]``.

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
        """Whether ``value`` lies within all bounds."""
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


_PASSWORD = re.compile(r"(?<=//)([^/@\s]*?):[^/\s]*(?=@)")


def without_password(text: str) -> str:
    """``text`` with the passwords of addresses in it replaced by ``***``."""
    return _PASSWORD.sub(r"\1:***", text)


def shown(value: Any) -> str:
    """``value`` as it is written on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value and value.isprintable() else repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(v) for v in value) + "]"
    return str(value)


def nearest(name: str, options: Iterable[str]) -> str:
    """``; did you mean X?`` where an option is close to ``name``, else nothing."""
    close = get_close_matches(name, list(options), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def describe(hint: Any) -> str:
    """What values a type hint takes, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        bounds = [str(bound) for bound in arguments[1:] if isinstance(bound, Range)]
        return ", ".join([describe(arguments[0]), *bounds])
    if origin in (typing.Union, types.UnionType):
        each = [describe(option) for option in arguments]
        return (", or " if "," in each[0] else " or ").join(each)
    if origin is typing.Literal:
        return ", ".join(str(option) for option in arguments[:-1]) + f" or {arguments[-1]}"
    if origin in (list, tuple):
        return f"a list, each {describe(arguments[0])}" if arguments else "a list"
    if origin is dict or hint is dict:
        return "{name: value, ...} without nan and inf"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return "null" if hint is type(None) else words.get(hint, "a value")


def convert(value: Any, hint: Any) -> Any:
    """``value`` as the type that ``hint`` names.

    Args:
        value: None, bool, int, float, str, or a list or dict of them.
        hint: ``int``, ``float``, ``bool``, ``str``, ``list[X]``, ``dict[str, Any]``, ``Literal``, ``Any``,
            ``X | None``, and ``Annotated`` ones of these with a ``Range``.

    Raises:
        ValueError: the value is none of the hint's; a number is not finite; a text or a list is empty.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return _finite(value)
    if origin is Annotated:
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


def _first_of(value: Any, options: tuple[Any, ...]) -> Any:
    # null first: a text setting would otherwise take the word
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
    elif hint is str:
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value)
    else:
        raise TypeError(f"a setting cannot be a {hint}")
    raise ValueError(hint)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(item)
    return value


def checked(name: str, value: Any, hint: Any) -> Any:
    """``convert`` with an error that names the setting, the value and what would work.

    Raises:
        RequestError: the value is none of the hint's.
    """
    try:
        return convert(value, hint)
    except ValueError:
        suggestion = ""
        choices = [option for option in _literals(hint) if isinstance(option, str)]
        if isinstance(value, str):
            suggestion = nearest(value, choices)
        raise RequestError(f"{name}={shown(value)}: give {describe(hint)}{suggestion}") from None


def check_words(settings: Any) -> None:
    """Checks the fields of a dataclass that take one of a few words; for settings that ``build`` did not make.

    Raises:
        RequestError: a word that is none of a field's.
    """
    for name, hint in _of_words(type(settings)):  # type: ignore[arg-type]
        checked(name, getattr(settings, name), hint)


@functools.cache
def _of_words(cls: Any) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return [(name, hint) for name, hint in hints.items() if _literals(hint)]


def _literals(hint: Any) -> list[Any]:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return list(arguments)
    return [literal for argument in arguments for literal in _literals(argument)]


def sizes(hint: Any) -> Any:
    """``hint`` with every whole number 1 or more where no ``Range`` says otherwise, as sizes are."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is int:
        return Annotated[int, Range(low=1)]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(map(sizes, arguments))]  # noqa: UP007
    return list[sizes(arguments[0])] if origin is list else hint  # type: ignore[misc]


def build(
    cls: type[T],
    values: Mapping[str, Any],
    name: Callable[[str], str] = str,
    refine: Callable[[Any], Any] = lambda hint: hint,
) -> T:
    """An instance of the dataclass ``cls``, each value converted to its field's type.

    Args:
        cls: a dataclass; a field that is a dataclass itself takes a mapping.
        values: by field name; fields with a default may be missing.
        name: the setting's full name from a field's, for messages.
        refine: a narrower type hint from a field's.

    Raises:
        RequestError: an unknown or missing field, or a value that its type hint does not take; also what
            ``__post_init__`` refuses with a ValueError.
    """
    hints = {key: refine(hint) for key, hint in typing.get_type_hints(cls, include_extras=True).items()}
    fields = [field for field in dataclasses.fields(typing.cast(Any, cls)) if field.init]
    for key in values:
        if key not in {field.name for field in fields}:
            raise RequestError(unknown(name(key), values[key], [name(field.name) for field in fields]))
    arguments: dict[str, Any] = {}
    for field in fields:
        if field.name not in values:
            if field.default is field.default_factory is dataclasses.MISSING:
                raise RequestError(f"{name(field.name)}: not set; give {describe(hints[field.name])}")
            continue
        value, hint = values[field.name], hints[field.name]
        if dataclasses.is_dataclass(hint):
            prefix = name(field.name)
            if not isinstance(value, Mapping):
                raise RequestError(f"{prefix}={shown(value)}: a group of settings; give {prefix}.NAME=VALUE")
            arguments[field.name] = build(typing.cast(type[Any], hint), value, _below(prefix))
        else:
            arguments[field.name] = checked(name(field.name), value, hint)
    try:
        return cls(**arguments)
    except ValueError as error:
        raise RequestError(str(error)) from None


def _below(prefix: str) -> Callable[[str], str]:
    return lambda key: f"{prefix}.{key}"


def unknown(name: str, value: Any, options: Iterable[str]) -> str:
    """The message for a setting that does not exist: what was given, the nearest name, all names."""
    options = sorted(options)
    listed = f"there are: {', '.join(options)}" if options else "there is none here"
    return f"{name}={shown(value)}: no such setting{nearest(name, options)} ({listed})"
