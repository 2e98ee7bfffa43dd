"""The arguments of a command that takes NAME=VALUE alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bench.config.typed import nearest
from bench.errors import RequestError


def values(arguments: Sequence[str], names: Sequence[str], secret: Collection[str] = ()) -> dict[str, str]:
    """Reads arguments of the form NAME=VALUE.

    Args:
        arguments: the command's arguments.
        names: the names that there are. A message lists those without a dot.
        secret: names whose values no message shows.

    Returns:
        The values by name.

    Raises:
        RequestError: a name is unknown or given twice, or a value is blank.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in names:
            known = ", ".join(name for name in names if "." not in name)
            raise RequestError(f"{argument}: give NAME=VALUE of {known}{nearest(name, names)}")
        shown = f"{name}=" if name in secret else argument
        if name in given:
            raise RequestError(f"{shown}: {name} is given twice")
        if not value.strip():
            raise RequestError(f"{shown}: give a value")
        given[name] = value
    return given
