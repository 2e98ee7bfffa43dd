"""The functions of ``keras.ops``, with those that LiteRT has no operations for made of others.

LiteRT's own operations shift no integers, and combine no bits of 64. All such numbers of methods are at least 0. So
arithmetic does the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops


def __getattr__(name: str) -> Any:
    """Gives any other function of ``keras.ops``."""
    return getattr(ops, name)


def take(x: Any, indices: Any, axis: int) -> Any:
    """Reads entries along an axis; that of Keras looks at the sign of each index first."""
    x = tf.convert_to_tensor(x)
    if x.dtype in (tf.float16, tf.uint16):  # LiteRT reads int16 alone of this width
        return tf.bitcast(tf.gather(tf.bitcast(x, tf.int16), indices, axis=axis), x.dtype)
    return tf.gather(x, indices, axis=axis)


def right_shift(x: Any, y: Any) -> Any:
    """Divides by a power of two; of int64 by 2^31 alone, as hashes do."""
    if x.dtype != tf.int64:
        return x // (1 << np.asarray(y)).astype(x.dtype.as_numpy_dtype)
    if y != 31:
        raise NotImplementedError(f"a shift of int64 by {y} bits")
    halves = tf.bitcast(x, tf.int32)  # (..., 2), the lower first; LiteRT divides no int64
    upper, lower_is_negative = halves[..., 1], halves[..., 0] < 0
    return tf.cast(upper, tf.int64) * 2 + tf.cast(lower_is_negative, tf.int64)


def left_shift(x: Any, y: int) -> Any:
    """Multiplies by a power of two."""
    return x * (1 << y)


def bitwise_and(x: Any, y: Any) -> Any:
    """Takes the remainder, which are the lowest bits."""
    size = int(y) + 1
    if size & (size - 1):
        raise NotImplementedError(f"bits by the mask {int(y)}")
    if size == 1 << 31:  # of int32, 2^31 is none
        return x - right_shift(x, 31) * size
    return tf.math.floormod(x, tf.constant(size, x.dtype))


def bitwise_or(x: Any, y: Any) -> Any:
    """Adds numbers that have no bit in common, as the bytes of ``bench.embeddings.served.bits`` have none."""
    return x + y
