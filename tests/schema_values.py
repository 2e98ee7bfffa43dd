"""Every setting that there is, from the dataclasses that take them, and values that most of them cannot take."""

from __future__ import annotations

import functools
import json
import math
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from hydra.types import RunMode
from omegaconf import DictConfig

from bench.config import Loader, check_job, options
from bench.config.composing import opened
from bench.config.readers import settings_class
from bench.config.schema import Globals, Tracking, Training
from bench.config.typed import AsBytes, AsGroups, Range, WithUnit, describe, group, hints, shown, sizes
from bench.errors import RequestError

__all__ = ["Annotated", "Literal"]

HUGE = 10**40

SLOW = ("keras", "tensorflow", "mlflow", "pandas", "sklearn", "scipy", "pyarrow")
"""What no refusal waits for."""

VALUES: Mapping[str, Any] = {
    "''": "",
    "' '": " ",
    "word": "word",
    "'12 parsecs'": "12 parsecs",
    "Ünïcödé": "Ünïcödé",
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "-1": -1,
    "0": 0,
    "-0.5": -0.5,
    "1.5": 1.5,
    str(HUGE): HUGE,
    str(-HUGE): -HUGE,
    "true": True,
    "null": None,
    "[]": [],
    "[word]": ["word"],
    "[nan]": [math.nan],
    "[-1,1e400]": [-1, math.inf],
    "[null]": [None],
    "[[1]]": [[1]],
    "{}": {},
    "{a:nan}": {"a": math.nan},
    "x" * 3000: "x" * 3000,
}
"""Texts of the command line, and what they mean there."""


@dataclass(frozen=True)
class Setting:
    """A setting as it is typed.

    Attributes:
        choices: the overrides without which there is no such setting.
        name: its full name.
        hint: the type that its dataclass gives it.
    """

    choices: tuple[str, ...]
    name: str
    hint: Any


CHOICES: Mapping[str, tuple[str, ...]] = {
    "synthetic": ("dataset=synthetic",),
    "synthetic_ctr": ("dataset=synthetic_ctr", "model=neumf"),
    "movielens_100k": ("dataset=movielens_100k",),
    "table": ("dataset=table", "dataset.path=t.csv"),
}
"""A data set of each kind, with what it needs."""


def below(cls: Any, prefix: str, choices: tuple[str, ...], refine: Any = None) -> Iterator[Setting]:
    """The settings of a dataclass, those of the groups in it included."""
    for name, hint in (hints(cls, refine) if refine else hints(cls)).items():
        yield Setting(choices, f"{prefix}{name}", hint)
        if inner := group(hint):
            yield from below(inner, f"{prefix}{name}.", choices)


def of_the_run() -> Iterator[Setting]:
    """The settings at the root, and those of training and of MLflow. ``strategy`` is a choice of a file."""
    yield from (one for one in below(Globals, "", ()) if one.name != "strategy")
    yield from below(Training, "training.", ())
    yield from below(Tracking, "tracking.", ())


def of_data(name: str) -> Iterator[Setting]:
    """The settings of a data set."""
    yield from below(settings_class("dataset", name.removesuffix("_100k")), "dataset.", CHOICES[name])


def of_model(name: str) -> Iterator[Setting]:
    """The settings of a model."""
    yield from below(settings_class("model", name), "model.", (f"model={name}",))


def of_method(name: str) -> Iterator[Setting]:
    """The settings of a method, as its strategy puts them at the root."""
    yield from below(settings_class("embedding", name), "", (f"strategy={name}",), sizes)


def everything() -> Iterator[Setting]:
    """All settings of a run, for every choice of a data set, a model and a method.

    What all data sets have, and what several models have, is there once.
    """
    yield from of_the_run()
    shared = [*(one for name in CHOICES for one in of_data(name))]
    shared += [one for name in options("model") for one in of_model(name)]
    yield from {(one.name, repr(one.hint)): one for one in reversed(shared)}.values()
    for name in options("embedding"):
        yield from of_method(name)


def takes(hint: Any, value: Any) -> bool:
    """Whether a type takes a value: another way to say what ``bench.config.typed`` checks."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if group(hint):
        return (value is None and type(None) in inside) or isinstance(value, Mapping)
    if origin in (typing.Union, types.UnionType):
        return any(takes(option, value) for option in inside)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in inside)
    if origin is list:
        return isinstance(value, list) and bool(value) and all(takes(inside[0], item) for item in value)
    if origin is Annotated:
        return _marked(inside[0], inside[1:], value)
    if hint is type(None) or value is None:
        return hint is type(None) and value is None
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if origin is dict:
        return isinstance(value, dict) and all(
            not isinstance(v, float) or math.isfinite(v) for v in value.values()
        )
    if hint in (str, Path):
        return isinstance(value, int | float) or (isinstance(value, str) and value.strip() != "")
    wanted = int if hint is int else (int, float)
    return isinstance(value, wanted) and math.isfinite(value)


def _marked(hint: Any, marks: tuple[Any, ...], value: Any) -> bool:
    for mark in marks:
        if isinstance(mark, WithUnit):
            return False  # none of the values has a unit
        if isinstance(mark, AsGroups):  # an empty list is as good as none
            return value == [] or (not isinstance(value, Mapping) and takes(hint, value))
        if isinstance(mark, AsBytes) and isinstance(value, str):
            return False
    if not takes(hint, value):
        return False
    return all(_within(mark, value) for mark in marks if isinstance(mark, Range))


def _within(bounds: Range, value: Any) -> bool:
    if value is None:
        return True
    low, above, high, below = bounds.low, bounds.above, bounds.high, bounds.below
    too_low = (low is not None and value < low) or (above is not None and value <= above)
    return not too_low and not ((high is not None and value > high) or (below is not None and value >= below))


# What is said of them


@functools.cache
def _loader() -> Loader:
    return Loader()


@functools.cache
def _sweep(choices: tuple[str, ...]) -> DictConfig:
    return _loader().compose(choices, RunMode.MULTIRUN)


def refusal(choices: tuple[str, ...], override: str) -> str | None:
    """What is said of an override beside some choices; None if it is taken. As each run of a sweep is checked."""
    try:
        check_job(_sweep(choices), opened([*choices, override]), _loader())
    except RequestError as error:
        return str(error)
    return None


def faults(cases: Iterable[tuple[Setting, str]]) -> list[str]:
    """The cases in which a wrong value is taken, a right one is refused for its type, or the message is wrong."""
    found = []
    for one, text in cases:
        value, message = VALUES[text], refusal(one.choices, f"{one.name}={text}")
        why = _fault(one, text, value, message)
        if why:
            found.append(f"{' '.join(one.choices)} {one.name}={text[:60]}: {why}: {message}")
    return found


def _fault(one: Setting, text: str, value: Any, message: str | None) -> str:
    if takes(one.hint, value):  # it may still not go with other settings
        if message is None:
            return ""
        return "is of the right type" if f"give {describe(one.hint)}" in message else _line(message)
    if message is None:
        return "is taken"
    said = [shown(value), text, f"{shown(value)[:40]}..."]
    if isinstance(value, dict):
        said += [f"{one.name}.{name}={shown(item)}" for name, item in value.items()]
    if not message.startswith((f"{one.name}=", f"{one.name}.")):
        return "another setting is named"
    if not any(words in message for words in said):
        return "the value is not said"
    return _line(message)


def _line(message: str) -> str:
    return "" if message.isprintable() and message == message.strip() and "=" in message else "is no line"


def main() -> None:
    """Tries every value of every setting, and prints what was found as JSON."""
    cases = [(one, text) for one in everything() for text in VALUES]
    found = faults(cases)
    slow = [name for name in SLOW if name in sys.modules]
    print(json.dumps({"cases": len(cases), "faults": found, "slow_imports": slow}))


if __name__ == "__main__":
    main()
