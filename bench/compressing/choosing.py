"""Methods that compress a finished table, and their settings as a command gives them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import yaml

from bench.config.method_file import METHODS
from bench.config.schema import Globals
from bench.config.typed import Range, Value, build, checked, hints, nearest, shown, sizes
from bench.embeddings import registry
from bench.embeddings.base import Method, Vocabulary
from bench.embeddings.methods.full import Full
from bench.embeddings.trial import DIM, SIZE
from bench.errors import RequestError

COUNTS = "counts"
"""The value of settings by which a method goes by training frequencies."""


@functools.cache
def post_training() -> tuple[str, ...]:
    """Names the methods that need no training of their own: ``full``, and those whose parent is ``full``, sorted."""
    found = []
    for name in registry.names():
        with suppress(RequestError):  # a method that is being written; it is named when it is chosen
            if _needs_a_table_alone(registry.find(name)):
                found.append(name)
    return tuple(found)


def _needs_a_table_alone(method: type[Method[Any]]) -> bool:
    if method is Full or method.parent is Method.parent:
        return method is Full
    return type(method(Vocabulary("trial", SIZE), DIM).parent()) is Full


def method_of(name: str) -> type[Method[Any]]:
    """Finds a post-training method.

    Raises:
        RequestError: there is no such method, or it is trained with a model.
    """
    known = post_training()
    if name in known:
        return registry.checked(name)
    if name in registry.names():
        method = registry.find(name)  # says what is wrong in its files
        raise RequestError(
            f"method={name}: {method.name()} is trained with a model (python -m bench.run strategy={name}); a finished "
            f"table can be compressed by {', '.join(known)}"
        )
    if (METHODS / f"{name}.py").is_file():
        registry.find(name)  # its settings file is missing
    raise RequestError(
        f"method={shown(name)}: no such method{nearest(name, known)}; a finished table can be compressed by "
        f"{', '.join(known)}"
    )


def settings_of(method: type[Method[Any]], given: Mapping[str, str], others: tuple[str, ...]) -> Any:
    """Makes the settings of a method from texts.

    Args:
        method: the method.
        given: texts by the setting's name.
        others: names that the command has itself, for suggestions.

    Raises:
        RequestError: the method has no such setting, or a value does not work.
    """
    own = sorted(hints(method.Settings))
    for name, value in given.items():
        if name in own:
            continue
        from bench.config.names import methods_with  # imports Hydra

        owners = [other for other in methods_with(name) if other in post_training()]
        hint = f"; method={' or '.join(owners)} has it" if owners else nearest(name, [*others, *own])
        raise RequestError(
            f"{name}={value}: the method {method.name()} has no such setting{hint} (it has: {', '.join(own) or 'none'})"
        )
    values = {name: parsed(name, value) for name, value in given.items()}
    for name, value in given.items():
        if value == COUNTS:
            raise RequestError(
                f"{name}={value}: a finished table comes without training frequencies; leave it out"
            )
    return build(method.Settings, values, refine=sizes)


def parsed(name: str, text: str) -> Value:
    """Reads a value as YAML does: 8, 0.1, null, true, [1, 2], or a text.

    Raises:
        RequestError: it cannot be read.
    """
    try:
        value: Value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        raise RequestError(
            f"{name}={text}: cannot be read as a value; quotes and brackets must be closed"
        ) from None
    return value


def budget_of(text: str | None) -> float | str | None:
    """Reads a budget, as ``budget=`` of a run: a share, bytes with a unit, or ``smallest``.

    Raises:
        RequestError: it is none of them.
    """
    hint = hints(Globals)["budget"]
    found: float | str | None = None if text is None else checked("budget", parsed("budget", text), hint)
    return found


def seed_of(text: str) -> int:
    """Reads a seed, as ``seed=`` of a run.

    Raises:
        RequestError: it is none.
    """
    found: int = checked("seed", parsed("seed", text), hints(Globals)["seed"])
    return found


def sample_of(text: str) -> int:
    """Reads a number of rows, 0 or more.

    Raises:
        RequestError: it is none.
    """
    found: int = checked("sample", parsed("sample", text), Annotated[int, Range(low=0)])
    return found
