"""Random numbers and functions that have the same bits on every processor.

Only raw integers of PCG64 and + - * / and square roots in a fixed order are used, because BLAS, SIMD exponentials,
pairwise sums and NumPy's distributions differ between processors or versions in the last bit. Normal numbers are sums
of four uniform 16-bit integers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]

LN2 = 0.6931471805599453

LOG2 = tuple(2 / (LN2 * (2 * k + 1)) for k in range(11))
"""Coefficients of log2((1 + t) / (1 - t)) in odd powers of t."""

EXP2 = tuple(itertools.accumulate(range(1, 15), lambda term, k: term * LN2 / k, initial=1.0))
"""Coefficients of 2**x."""


class Stream:
    """Random integers of one purpose, so that the numbers of one do not depend on how many another took."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(list(seeds)))

    def raw(self, n: int) -> npt.NDArray[np.uint64]:
        """Uniform 64-bit integers, shape (n,)."""
        return self._bits.random_raw(n)

    def uniform(self, n: int) -> Floats:
        """Uniform on (0, 1) with 52 bits, never 0 or 1, shape (n,)."""
        return ((self.raw(n) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def below(self, n: int, limit: int) -> Ints:
        """Uniform integers 0 to limit - 1 (limit below 2**32), shape (n,)."""
        return (((self.raw(n) >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)

    def normal(self, n: int) -> Floats:
        """Nearly standard normal: the sum of four 16-bit integers, centred and scaled, shape (n,)."""
        return normal(self.raw(n))

    def permutation(self, n: int) -> Ints:
        """The integers 0 to n - 1 in random order."""
        return np.argsort(self.raw(n), kind="stable")


def hashed(ids: npt.NDArray[np.int64], key: int) -> Bits:
    """Random 64 bits of each id, equal for equal ids and keys: SplitMix64's function of both.

    Args:
        ids: integers from 0 (rows,).
        key: 64 bits.
    """
    z = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Bits = z ^ (z >> np.uint64(31))
    return found


def lanes(bits: Bits) -> list[Floats]:
    """Four numbers, uniform with mean 0 and variance 1, from each 64 bits: four arrays of shape (rows,)."""
    found = []
    for lane in range(4):
        whole = ((bits >> np.uint64(16 * lane)) & np.uint64(0xFFFF)).astype(np.int64) * 2 - 65_535
        found.append(whole.astype(np.float64) / math.sqrt((2.0**32 - 1) / 3))
    return found


def normal(bits: Bits) -> Floats:
    """A nearly standard normal number from each 64 bits, shape (rows,)."""
    lanes = bits.view(np.uint16).reshape(len(bits), 4)
    total = lanes[:, 0].astype(np.int64)
    for lane in range(1, 4):
        total += lanes[:, lane]
    return (total - 2 * 65_535).astype(np.float64) / math.sqrt((2.0**32 - 1) / 3)


def log2(x: Floats) -> Floats:
    """The logarithm to base 2 of positive numbers, right to 1e-14 or so."""
    mantissa, exponent = np.frexp(x)  # mantissa from 1/2 to 1
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, mantissa * 2, mantissa)
    t = (mantissa - 1) / (mantissa + 1)
    square = t * t
    found = np.full(len(x), LOG2[-1])
    for coefficient in LOG2[-2::-1]:
        found = found * square + coefficient
    result: Floats = found * t + (exponent - small)
    return result


def exp2(x: Floats) -> Floats:
    """Two to the power of numbers, right to 1e-14 or so."""
    whole = np.floor(x)
    rest = x - whole
    found = np.full(len(x), EXP2[-1])
    for coefficient in EXP2[-2::-1]:
        found = found * rest + coefficient
    result: Floats = np.ldexp(found, whole.astype(np.int32))
    return result


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + exp2(-x / LN2))
