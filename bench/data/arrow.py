"""Between NumPy and Arrow without pandas, which Arrow's own conversions import (0.4 s)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def from_numpy(values: npt.NDArray[Any]) -> Any:
    """An Arrow array on the memory of a NumPy one of numbers, shape (rows,)."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    buffers = [None, pa.py_buffer(values)]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), buffers)


def whole(column: Any) -> Any:
    """An Arrow array of all chunks of a column."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # of no chunks, in older versions
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def to_numpy(column: Any) -> npt.NDArray[Any]:
    """A NumPy array of an Arrow one of numbers or booleans without nulls, shape (rows,); read-only."""
    import pyarrow as pa

    column = whole(column)
    if pa.types.is_boolean(column.type):
        return np.from_dlpack(column.cast(pa.uint8())).view(np.bool_)
    return np.from_dlpack(column)


def numbered(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Numbers distinct values in order of appearance.

    Args:
        values: integers (rows,).

    Returns:
        The number of each value, int32 (rows,), and the value of each number.
    """
    encoded = from_numpy(values).dictionary_encode()
    return to_numpy(encoded.indices).astype(np.int32, copy=False), to_numpy(encoded.dictionary)


def to_arrays(values: Any) -> dict[str, npt.NDArray[Any]]:
    """The NumPy arrays that hold an Arrow array of text or integers without nulls.

    Returns:
        ``integers``, int64 (ids,); or the bytes of all texts one after the other as ``text``, uint8 (bytes,), and where
        each of them ends as ``ends``, int64 (ids,). Integers beyond int64 are text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    fits = values.type != pa.uint64() or not len(values) or pc.max(values).as_py() < 2**63
    if pa.types.is_integer(values.type) and fits:
        return {"integers": to_numpy(values.cast(pa.int64()))}
    _, offsets, text = values.cast(pa.large_string()).buffers()
    if not len(values) or text is None:
        return {"ends": np.zeros(len(values), np.int64), "text": np.zeros(0, np.uint8)}
    ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    return {"ends": ends[1:] - ends[0], "text": np.frombuffer(text, np.uint8)[ends[0] : ends[-1]]}


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """The Arrow array that ``to_arrays`` has taken apart."""
    import pyarrow as pa

    if "integers" in arrays:
        return from_numpy(arrays["integers"])
    offsets = np.concatenate([np.zeros(1, np.int64), arrays["ends"]])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(arrays["text"]))]
    return pa.Array.from_buffers(pa.large_string(), len(arrays["ends"]), buffers)
