"""The functions of ``keras.ops`` that methods and models use, over arrays of ndonnx, which build an ONNX graph.

A method is called with this module in place of ``numpy`` or ``keras.ops``. Nothing is computed: each call adds nodes to
the graph. Shapes are known but for the number of rows, which is -1 in ``shape``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ndonnx as ndx
import numpy as np
import spox.opset.ai.onnx.v21 as opset


class Operand(ndx.Array):  # type: ignore[misc]
    """An input of a graph. As in NumPy, a subscript may leave out the last axes.

    Attributes:
        sizes: sizes of the axes, None for one that is not known. Parts of an input have none of their own.
    """

    sizes: tuple[int | None, ...] | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes of the axes."""
        return super().shape if self.sizes is None else self.sizes

    def __getitem__(self, key: Any) -> Any:
        """Reads a part."""
        given = key if isinstance(key, tuple) else (key,)
        return super().__getitem__(given if ... in given else (*given, ...))


def operand(shape: Sequence[int | str], dtype: str) -> Any:
    """Makes an input of a graph.

    Args:
        shape: sizes of the axes; a name for one that is not known.
        dtype: NumPy's name of the type.
    """
    # ONNX follows each number of a list of integers, which takes seconds for millions. So it is not told their length.
    known = (None,) if len(shape) == 1 and isinstance(shape[0], int) else tuple(shape)
    made = ndx.argument(shape=known, dtype=getattr(ndx, dtype))
    made.__class__ = Operand  # ndonnx has no public way to make an array of a class of one's own
    made.sizes = tuple(size if isinstance(size, int) else None for size in shape)
    return made


def build(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """Makes the ``onnx.ModelProto`` of a graph.

    Args:
        inputs: results of ``operand`` by name; those that nothing reads are left out.
        outputs: arrays by name.
    """
    return ndx.build(inputs, outputs, drop_unused=True)


def _array(x: Any) -> Any:
    return x if isinstance(x, ndx.Array) else ndx.asarray(np.asarray(x))


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Gives two arguments as arrays; a plain number takes the type of the other one."""
    if isinstance(a, int | float) and not isinstance(b, int | float):
        return ndx.asarray(a, dtype=_array(b).dtype), _array(b)
    if isinstance(b, int | float):
        return _array(a), ndx.asarray(b, dtype=_array(a).dtype)
    return _array(a), _array(b)


def cast(x: Any, dtype: str) -> Any:
    """Converts to a type."""
    return _array(x).astype(getattr(ndx, str(dtype)))


def shape(x: Any) -> tuple[int, ...]:
    """Gives the sizes of the axes, -1 for the number of rows."""
    return tuple(-1 if size is None else size for size in x.shape)


def reshape(x: Any, newshape: Sequence[int]) -> Any:
    """Gives the numbers another shape."""
    return ndx.reshape(_array(x), tuple(int(size) for size in newshape))


def take(x: Any, indices: Any, axis: int = 0) -> Any:
    """Reads entries along an axis, at indices of any shape."""
    x, places = _array(x), cast(indices, "int64")
    axis = axis % x.ndim
    if places.ndim == 1:
        return ndx.take(x, places, axis=axis)
    found = ndx.take(x, reshape(places, (-1,)), axis=axis)
    return reshape(found, (*shape(x)[:axis], *shape(places), *shape(x)[axis + 1 :]))


def where(condition: Any, x: Any, y: Any) -> Any:
    """Chooses entry by entry."""
    return ndx.where(_array(condition), *_pair(x, y))


def right_shift(x: Any, y: Any) -> Any:
    """Divides numbers that are not negative by powers of two. ONNX shifts no signed integers."""
    powers = 1 << np.asarray(y).astype(np.int64)
    x = _array(x)
    # Division truncates and needs no care for signs; ndonnx's // would add nodes for them.
    unsigned = {"int32": ndx.uint32, "int64": ndx.uint64}[str(x.dtype)]
    return (x.astype(unsigned) // ndx.asarray(powers.astype(np.int64)).astype(unsigned)).astype(x.dtype)


def left_shift(x: Any, y: int) -> Any:
    """Multiplies by a power of two."""
    return _array(x) * (1 << int(y))


def bitwise_and(x: Any, y: Any) -> Any:
    """Joins bits by and."""
    return ndx.bitwise_and(*_pair(x, y))


def bitwise_or(x: Any, y: Any) -> Any:
    """Joins bits by or."""
    return ndx.bitwise_or(*_pair(x, y))


def logical_and(x: Any, y: Any) -> Any:
    """Tells where both are true."""
    return ndx.logical_and(_array(x), _array(y))


def maximum(x: Any, y: Any) -> Any:
    """Takes the larger of each two."""
    return ndx.maximum(*_pair(x, y))


def minimum(x: Any, y: Any) -> Any:
    """Takes the smaller of each two."""
    return ndx.minimum(*_pair(x, y))


def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """Bounds numbers from both sides."""
    return minimum(maximum(x, x_min), x_max)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """Puts arrays side by side."""
    return ndx.concat([_array(x) for x in xs], axis=axis)


def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """Puts arrays side by side along a new axis."""
    return ndx.stack([_array(x) for x in xs], axis=axis)


def expand_dims(x: Any, axis: int) -> Any:
    """Adds an axis of size 1."""
    return ndx.expand_dims(_array(x), axis=axis)


def squeeze(x: Any, axis: int) -> Any:
    """Removes an axis of size 1."""
    return ndx.squeeze(_array(x), axis=axis)


def flip(x: Any, axis: int) -> Any:
    """Turns an axis round."""
    return ndx.flip(_array(x), axis=axis)


def transpose(x: Any, axes: Sequence[int]) -> Any:
    """Puts axes into another order."""
    return ndx.permute_dims(_array(x), tuple(axes))


def matmul(x: Any, y: Any) -> Any:
    """Multiplies matrices. That of ndonnx adds 30 KB to a graph, for matrices without columns."""
    return ndx.asarray(opset.matmul(_array(x).unwrap_spox(), _array(y).unwrap_spox()))


def zeros_like(x: Any, dtype: str | None = None) -> Any:
    """Makes zeros of the same shape."""
    return ndx.zeros_like(_array(x), dtype=getattr(ndx, dtype) if dtype else None)


def sum(x: Any, axis: int, keepdims: bool = False) -> Any:
    """Adds up along an axis."""
    return ndx.sum(_array(x), axis=axis, keepdims=keepdims)


def cumsum(x: Any, axis: int) -> Any:
    """Adds up to each entry along an axis."""
    return ndx.cumulative_sum(_array(x), axis=axis)


def mean(x: Any, axis: int, keepdims: bool = False) -> Any:
    """Takes the mean along an axis."""
    return ndx.mean(_array(x), axis=axis, keepdims=keepdims)


def max(x: Any, axis: int, keepdims: bool = False) -> Any:
    """Takes the largest along an axis."""
    return ndx.max(_array(x), axis=axis, keepdims=keepdims)


def min(x: Any, axis: int, keepdims: bool = False) -> Any:
    """Takes the smallest along an axis."""
    return ndx.min(_array(x), axis=axis, keepdims=keepdims)


def stop_gradient(x: Any) -> Any:
    """Gives the same numbers: a graph has no gradients."""
    return x


abs, exp, floor, round, sqrt, square = ndx.abs, ndx.exp, ndx.floor, ndx.round, ndx.sqrt, ndx.square
