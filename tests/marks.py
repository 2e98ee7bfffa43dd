"""Which cases of a test are slow, and which methods stand for others."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Any

import numpy as np
import pytest

from bench.embeddings import find, names
from bench.embeddings.base import Method, Vocabulary

HOOKS = ("penalty", "rounded", "after_update", "is_due", "change")


def slow_but(fast: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """The values of a parameter, or of several as tuples; those that are not ``fast`` are run with the slow tests."""
    return [
        value if value in fast
        else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        for value in values
    ]  # fmt: skip


def unlike_in_training() -> list[str]:
    """One method of each kind that training can tell apart: by arrays, by the rows that an id reads, and by hooks."""
    return list({_kind(find(name)): name for name in reversed(names())}.values())


def _kind(cls: type[Method[Any]]) -> Hashable:
    method = cls(Vocabulary("item", 50), 8)
    read = method.lookups(np.arange(3), method.build_maps(), np)
    tables = {(read[table.name].ndim, table.trainable) for table in method.tables()}
    own = {hook for hook in HOOKS if getattr(cls, hook) is not getattr(Method, hook)}
    rest = (len(method.tables()) > 1, bool(method.weights()), bool(method.maps()))
    return frozenset(tables), frozenset(own), rest, method.parent() is None, cls.needs_dense_updates
