"""Values of a manifest's JSON: each is of the type that it has to have, or refused with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from bench.serving.errors import ServingError
from bench.serving.layout import FORMAT_VERSION

T = TypeVar("T")

Tree = Mapping[str, Any]
"""An object of JSON."""


def of(value: Any, kind: type[T], where: str) -> T:
    """Gives a value that is of a type, and of no subclass.

    Args:
        value: the value.
        kind: the type.
        where: the place, for the message.

    Raises:
        ServingError: it is of another type.
    """
    if type(value) is not kind:
        raise ServingError(f"export.json: {where}: {str(value)[:40]!r} is no {kind.__name__}")
    return value


def get(tree: Tree, key: str, kind: type[T], where: str = "top") -> T:
    """Gives the value of a key; see ``of``.

    Raises:
        ServingError: it is missing, or of another type.
    """
    if key not in tree:
        raise ServingError(f"export.json: {where}: {key} is missing")
    return of(tree[key], kind, f"{where}: {key}")


def text(tree: Tree, key: str, where: str = "top") -> str:
    """Gives a text."""
    return get(tree, key, str, where)


def flag(tree: Tree, key: str, where: str = "top") -> bool:
    """Gives true or false."""
    return get(tree, key, bool, where)


def mapping(tree: Tree, key: str, where: str = "top") -> dict[str, Any]:
    """Gives an object."""
    return get(tree, key, dict, where)


def items(tree: Tree, key: str, where: str = "top") -> list[Any]:
    """Gives a list."""
    return get(tree, key, list, where)


def whole(tree: Tree, key: str, low: int, high: int, where: str) -> int:
    """Gives a whole number from ``low`` to ``high``."""
    value = get(tree, key, int, where)
    if not low <= value <= high:
        raise ServingError(f"export.json: {where}: {key} is not from {low} to {high}")
    return value


def only(tree: Tree, known: set[str], where: str) -> None:
    """Refuses keys that this version does not know.

    Raises:
        ServingError: names the first of them.
    """
    if unknown := tree.keys() - known:
        raise ServingError(
            f"export.json: {where}: {min(unknown)[:80]!r} is no key of format version {FORMAT_VERSION}"
        )
