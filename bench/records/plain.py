"""Values as JSON has them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np


def plain(value: Any, name: str) -> Any:
    """Gives a value as JSON has it: arrays as lists, paths as texts.

    Args:
        value: the value.
        name: its name, for the message.

    Raises:
        TypeError: JSON has no such value.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, name) for item in value]
    if isinstance(value, os.PathLike | StrEnum):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: a {type(value).__name__} cannot be written as JSON")


def finite(value: Any, name: str, invalid: list[str]) -> Any:
    """Gives a plain value with None in place of numbers that are not finite, and adds their names to ``invalid``."""
    if isinstance(value, dict):
        return {key: finite(item, f"{name}.{key}", invalid) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item, name, invalid) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        if name not in invalid:
            invalid.append(name)
        return None
    return value
