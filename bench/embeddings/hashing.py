"""The one family of universal hashes: exact in int64, seeded, and equal on every machine, in NumPy and in Keras.

h(x) = (c_0 + c_1 x + ... + c_k x^k) mod p, with p = 2^31 - 1 and random c_i in [0, p). The values of any k + 1 ids are
independent and uniform. With k = 3, mean and variance of a chi-square statistic are those of truly random values. The
offset c_0 gives id 0 a random place too.

Reference:
    Wegman and Carter, "New hash functions and their use in authentication and set equality", 1981.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from bench.embeddings.base import Array, Kind, int32

PRIME = (1 << 31) - 1
"""A Mersenne prime above every id. Products of two residues fit into int64, and the remainder needs no division."""

DEGREE = 3
"""Degree of the polynomials, unless a method chooses another."""


def coefficients(count: int, seed: int, field: str = "", degree: int = DEGREE) -> np.ndarray:
    """Draws the coefficients of independent hashes.

    Args:
        count: number of hashes.
        seed: equal seeds give equal hashes.
        field: name of the field whose ids are hashed. Fields with equal seeds have different hashes.
        degree: degree of the polynomials; the values of any degree + 1 ids are independent.

    Returns:
        int64 of shape (count, degree + 1), the offset first.
    """
    raw = np.random.PCG64([seed, zlib.crc32(field.encode())]).random_raw(count * (degree + 1))
    return (raw % np.uint64(PRIME)).astype(np.int64).reshape(count, degree + 1)


def array(name: str, count: int, degree: int = DEGREE) -> Array:
    """Describes ``coefficients`` as a map of a method."""
    return Array(name, (count, degree + 1), "int64", kind=Kind.MAPS)


def hashes(ids: Any, coefficients: Any, xp: Any) -> Any:
    """Computes the values of all hashes of every id.

    Args:
        ids: integers from 0 to 2^31 - 2, shape (...).
        coefficients: the result of the function ``coefficients``, shape (count, degree + 1).
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        int64 of shape (..., count), from 0 to 2^31 - 2.
    """
    x = np.asarray(ids).astype(np.int64) if xp is np else xp.cast(ids, "int64")
    x = xp.expand_dims(x, -1)
    degree = coefficients.shape[1] - 1
    value = coefficients[:, degree]
    for power in range(degree - 1, -1, -1):
        value = _reduced(value * x + coefficients[:, power], xp)
    return value


def below(values: Any, size: int, xp: Any) -> Any:
    """Scales hash values to numbers from 0 to size - 1, int32: floor(value size / 2^31).

    Args:
        values: the result of ``hashes``.
        size: number of buckets, at most 2^31 - 1. The buckets' shares differ by at most 1 in 2^31 / size.
        xp: ``numpy`` or ``keras.ops``.
    """
    return int32(xp.right_shift(values * size, 31), xp)


def signs(values: Any, xp: Any) -> Any:
    """Turns hash values into -1 or 1, int32, by their lowest bit."""
    return int32(2 * xp.bitwise_and(values, 1) - 1, xp)


def _reduced(value: Any, xp: Any) -> Any:
    """Returns ``value`` mod PRIME, for 0 <= value < 2^62."""
    value = xp.bitwise_and(value, PRIME) + xp.right_shift(value, 31)
    return xp.where(value >= PRIME, value - PRIME, value)
