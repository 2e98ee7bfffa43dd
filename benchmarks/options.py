"""The options of a benchmark, as NAME=VALUE, in a dataclass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TypeVar

from bench.cli.values import values
from bench.config.typed import build

T = TypeVar("T")


def options_of(kind: type[T], arguments: Sequence[str]) -> T:
    """Reads options into their dataclass.

    Raises:
        RequestError: an argument is no option or is given twice, or its value does not work.
    """
    given = values(arguments, [field.name for field in fields(kind)])  # type: ignore[arg-type]
    return build(kind, {name: {"true": True, "false": False}.get(text, text) for name, text in given.items()})
