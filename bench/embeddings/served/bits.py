"""Small integers, packed side by side into bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.embeddings.base import int32

BLOCK = 1 << 18
"""Number of integers that are packed at once, which bounds the memory: the bits of an integer take 64 bytes."""


def packed_width(count: int, bits: int) -> int:
    """Returns the bytes of a row of ``count`` integers of ``bits`` bits each."""
    return -(-count * bits // 8)


def pack(values: np.ndarray, bits: int) -> np.ndarray:
    """Packs rows of small integers into rows of bytes.

    Integer j takes the bits from j * bits to (j + 1) * bits - 1 of its row, its lowest bit first. Bit i of a row is bit
    i mod 8 of byte i // 8, counted from the lowest.

    Args:
        values: integers from 0 to 2^bits - 1, shape (rows, count).
        bits: from 1 to 8.

    Returns:
        uint8 of shape (rows, ``packed_width(count, bits)``).

    Raises:
        ValueError: a value needs more bits, or is negative.
    """
    if values.size and (values.min() < 0 or values.max() >= 1 << bits):
        raise ValueError(f"values from {values.min()} to {values.max()} in {bits} bits")
    if bits == 8:
        return values.astype(np.uint8)
    rows, count = values.shape
    out = np.empty((rows, packed_width(count, bits)), np.uint8)
    step = max(1, BLOCK // count)
    for begin in range(0, rows, step):
        part = values[begin : begin + step]
        each = ((part[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8)
        out[begin : begin + step] = np.packbits(each.reshape(len(part), -1), axis=1, bitorder="little")
    return out


def unpack(rows: Any, count: int, bits: int, xp: Any) -> Any:
    """Returns the integers that ``pack`` has put into bytes.

    Args:
        rows: uint8 of shape (..., ``packed_width(count, bits)``).
        count: number of integers in a row.
        bits: from 1 to 8.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        int32 of shape (..., count).
    """
    wide = int32(rows, xp)
    first = np.arange(count) * bits
    low = xp.take(wide, first // 8, axis=-1)
    # An integer may begin in one byte and end in the next. After the last byte, the last byte is read again, and its
    # bits are not used.
    high = xp.take(wide, np.minimum(first // 8 + 1, packed_width(count, bits) - 1), axis=-1)
    both = xp.bitwise_or(low, xp.left_shift(high, 8))
    shift = (first % 8).astype(np.int32)
    return xp.bitwise_and(xp.right_shift(both, shift), np.int32((1 << bits) - 1))
