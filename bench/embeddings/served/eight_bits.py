"""Floating-point numbers of eight bits: a sign, four bits of exponent with bias 7, three bits of mantissa.

A number is (-1)^sign 2^(exponent - 7) (1 + mantissa / 8), or (-1)^sign 2^-6 mantissa / 8 where the exponent is 0. There
are two kinds. ``fp8`` does not use the exponent 15, as IEEE 754 reserves it: its largest number is 240. ``nfp8`` uses
it, but for NaN, which has all bits of exponent and mantissa: its largest number is 448.

Reference:
    Micikevicius et al., "FP8 formats for deep learning", 2022 (arXiv 2209.05433): E4M3, which is nfp8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Lookups, int32
from bench.embeddings.families.onesize import OneSize

FloatKind = Literal["fp8", "nfp8"]

LARGEST = {"fp8": 240.0, "nfp8": 448.0}
"""The largest number of each kind."""

LEAST_EXPONENT = -6
"""Exponent of the smallest number with all its bits. Below, numbers are multiples of 2^-9."""

BLOCK = 1 << 20
"""Number of numbers that are looked up at once, which bounds the memory."""


def numbers(kind: FloatKind) -> np.ndarray:
    """Returns the numbers of all codes, float32 (256,). A code that the kind does not use has its largest number."""
    codes = np.arange(128)
    exponents, mantissas = np.maximum(codes >> 3, 1), (codes & 7) + 8 * (codes >= 8)
    positive = np.ldexp(mantissas / 8, exponents - 7)
    if kind == "nfp8":
        positive[127] = LARGEST[kind]
    positive = np.minimum(positive, LARGEST[kind]).astype(np.float32)
    return np.concatenate([positive, -positive])


def spacing(values: Any, kind: FloatKind, xp: Any) -> Any:
    """Returns the distance of neighbouring numbers around each value, a power of two."""
    sizes, out = xp.abs(values), np.float32(2.0 ** (LEAST_EXPONENT - 3))
    for exponent in range(LEAST_EXPONENT + 1, 9 if kind == "nfp8" else 8):
        out = xp.where(sizes >= np.float32(2.0**exponent), np.float32(2.0 ** (exponent - 3)), out)
    return out


def nearest(values: Any, kind: FloatKind, xp: Any) -> Any:
    """Rounds to the nearest numbers, of two equally near ones to that with an even mantissa. Beyond, to the largest."""
    step = spacing(values, kind, xp)
    return xp.clip(xp.round(values / step) * step, -LARGEST[kind], LARGEST[kind])


def stochastic(values: Any, noise: Any, kind: FloatKind, xp: Any) -> Any:
    """Rounds to one of the two neighbours by chance, so that the expectation is the value. Beyond, to the largest.

    Args:
        values: float32 of any shape.
        noise: independent draws from U[0, 1), of the same shape.
        kind: the kind of numbers.
        xp: ``keras.ops`` or ``numpy``.
    """
    step = spacing(values, kind, xp)
    return xp.clip(xp.floor(values / step + noise) * step, -LARGEST[kind], LARGEST[kind])


def codes(values: np.ndarray, kind: FloatKind) -> np.ndarray:
    """Returns the code of the number nearest to each value, uint8 of the values' shape."""
    positive = numbers(kind)[:128]
    flat, out = values.reshape(-1), np.empty(values.size, np.uint8)
    for begin in range(0, flat.size, BLOCK):
        rounded = nearest(flat[begin : begin + BLOCK], kind, np)
        place = positive.searchsorted(np.abs(rounded)).astype(np.uint8)
        out[begin : begin + BLOCK] = place | np.signbit(rounded).astype(np.uint8) << 7
    return out.reshape(values.shape)


@dataclass
class EightBitsSettings:
    """Settings of ``EightBits``: it has none."""


class EightBits(OneSize[EightBitsSettings]):
    """The form that serves: vector(id)[j] = numbers[codes[id, j]].

    ``codes`` is uint8 (vocabulary, embedding_dim). ``numbers``, float32 (256,), has the number of each code, times the
    scale of the table.
    """

    Settings = EightBitsSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``codes``."""
        shape = (self.vocabulary.size, self.embedding_dim)
        return (Array("codes", shape, "uint8", kind=Kind.CODES),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``numbers``."""
        return (Array("numbers", (256,), kind=Kind.OTHER, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"codes": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Takes the numbers of the codes."""
        return xp.take(weights["numbers"], int32(rows["codes"], xp), axis=0)


def coded(table: np.ndarray, scale: float, kind: FloatKind) -> dict[str, np.ndarray]:
    """Makes the arrays of ``EightBits``: the codes of table / scale, and the numbers of all codes times the scale.

    Args:
        table: float32 (vocabulary, embedding_dim).
        scale: a power of two, so that multiplying by it rounds nothing.
        kind: the kind of numbers.
    """
    found = np.empty(table.shape, np.uint8)
    step = max(1, BLOCK // table.shape[1])
    for begin in range(0, len(table), step):
        found[begin : begin + step] = codes(table[begin : begin + step] * np.float32(1 / scale), kind)
    return {"codes": found, "numbers": numbers(kind) * np.float32(scale)}
