"""Which cases of a test are slow."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow_but(fast: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """The values of a parameter; those that are not ``fast`` are run with the slow tests."""
    return [value if value in fast else pytest.param(value, marks=pytest.mark.slow) for value in values]
