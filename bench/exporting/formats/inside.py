"""What graphs of TensorFlow make of row numbers: NaN for those outside a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.exporting.formats.base import Operands


def rows(ids: Any, size: int) -> tuple[Any, Any]:
    """Tells which row numbers are inside a field.

    Args:
        ids: int64 (n,).
        size: number of rows of the field.

    Returns:
        Row numbers, 0 in place of those outside, int32 (n,); which were inside, bool (n,).
    """
    from keras import ops

    inside = ops.logical_and(ids >= 0, ids < size)
    return ops.cast(ops.where(inside, ids, ops.zeros_like(ids)), "int32"), inside


def or_nan(values: Any, inside: Any) -> Any:
    """Gives values (n,) or (n, k), with NaN where a row number was outside."""
    from keras import ops

    inside = inside if len(values.shape) == 1 else ops.expand_dims(inside, -1)
    return ops.where(inside, values, float("nan"))


def prediction(model: Any, given: Operands, sizes: Mapping[str, int]) -> Any:
    """Computes a model's output, float32 (n,), NaN where a row number is outside its field.

    Args:
        model: a trained model.
        given: the model's inputs by name, with row numbers as int64.
        sizes: number of rows by field.
    """
    from keras import ops

    safe, all_inside = dict(given), None
    for name, size in sizes.items():
        safe[name], inside = rows(given[name], size)
        all_inside = inside if all_inside is None else ops.logical_and(all_inside, inside)
    return or_nan(model(safe), all_inside)
