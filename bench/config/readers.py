"""The dataclasses that take the settings of choices.

The package that reads a config group's settings imports ``bench.config``, so ``bench.config`` cannot import it at the
start. Its module is found by name once a choice of the group is checked. The module has ``settings_class(choice)``.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

READERS = {"dataset": "bench.data.settings", "embedding": "bench.embeddings", "model": "bench.models"}
"""The module of each config group whose choices have settings of their own."""


def settings_class(group: str, choice: object) -> type[Any]:
    """The dataclass that takes the settings of a choice.

    Args:
        group: the config group.
        choice: the kind of a data set, or else the name of the choice.

    Raises:
        RequestError: the choice is unknown, or the module that should take its settings is wrong.
    """
    return _found(group, choice) if isinstance(choice, str) else _found.__wrapped__(group, choice)


@functools.cache
def _found(group: str, choice: object) -> type[Any]:
    cls: type[Any] = importlib.import_module(READERS[group]).settings_class(choice)
    return cls
