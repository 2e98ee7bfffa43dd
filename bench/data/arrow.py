"""Between NumPy and Arrow without pandas, which Arrow's own conversions import (0.4 s)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def from_numpy(values: npt.NDArray[Any]) -> Any:
    """An Arrow array on the memory of a NumPy one of numbers, shape (rows,)."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    buffers = [None, pa.py_buffer(values)]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), buffers)


def to_numpy(column: Any) -> npt.NDArray[Any]:
    """A NumPy array of an Arrow one of numbers or booleans without nulls, shape (rows,); read-only."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # of no chunks, in older versions
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_boolean(column.type):
        return np.from_dlpack(column.cast(pa.uint8())).view(np.bool_)
    return np.from_dlpack(column)


def numbered(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int32], int]:
    """Numbers distinct values in order of appearance.

    Args:
        values: integers (rows,).

    Returns:
        The number of each value, int32 (rows,), and how many there are.
    """
    encoded = from_numpy(values).dictionary_encode()
    return to_numpy(encoded.indices).astype(np.int32, copy=False), len(encoded.dictionary)
