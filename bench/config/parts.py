"""Settings that are numbers of arrays, such as the layers of a network."""

from __future__ import annotations

from collections.abc import Callable

from bench.errors import RequestError

PARTS, MOST_PARTS = ("cross_layers", "num_cores", "num_layers", "num_partitions"), 1 << 9
"""The names of these settings, and the most that they may be. A model and an export have an array for each."""


def check(settings: object, name: Callable[[str], str] = str) -> None:
    """Refuses a number of arrays that no model is built of.

    Args:
        settings: the settings of a method or a model.
        name: a function that gives a setting's full name in messages, from the name in the dataclass.

    Raises:
        RequestError: a number is above ``MOST_PARTS``.
    """
    for part in PARTS:
        number = getattr(settings, part, None)
        if number is not None and number > MOST_PARTS:
            raise RequestError(
                f"{name(part)}={number}: give at most {MOST_PARTS}; each is an array of its own"
            )
