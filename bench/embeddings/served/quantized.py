"""Forms that serve tables as small integers: each row with its own range, or with a scale.

Reference:
    Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv
    1911.02079).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Lookups, float32, int32
from bench.embeddings.families.onesize import OneSize
from bench.embeddings.families.trained import OfFull
from bench.embeddings.served.bits import pack, packed_width, unpack

SEARCH_STEPS = 200
"""Number of steps into which the greedy search cuts the range of a row."""

SEARCH_SHARE = 0.16
"""Largest share of the range of a row that the greedy search gives up, as published for four bits."""

BLOCK_NUMBERS = 1 << 20
"""Number of weights that are quantized at once, which bounds the memory."""


@dataclass
class ByRowsSettings:
    """Settings of post-training quantization by rows."""

    range_dtype: Literal["float32", "float16"] = "float32"
    """Type of the step and the offset that each row keeps."""

    clipping: Literal["none", "greedy"] = "none"
    """The choice of a row's range. ``none``: from its smallest number to its largest. ``greedy``: by a search that
    narrows this range, for the smallest squared error."""


@dataclass
class PackedSettings:
    """Settings of ``PackedRows``."""

    bits: int = 8
    """Bits of a code."""

    range_dtype: str = "float32"
    """NumPy's name of the type of steps and offsets."""


class PackedRows(OneSize[PackedSettings]):
    """The form that serves: vector(id) = step(id) code(id) + offset(id), float32.

    ``codes``, uint8 (vocabulary, bytes of a row), holds integers of ``bits`` bits, packed by ``served.bits.pack``.
    ``ranges`` (vocabulary, 2) holds the step and the offset of each row.
    """

    Settings = PackedSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``codes`` and ``ranges``."""
        size, settings = self.vocabulary.size, self.settings
        width = packed_width(self.embedding_dim, settings.bits)
        return (
            Array("codes", (size, width), "uint8", kind=Kind.CODES),
            Array("ranges", (size, 2), settings.range_dtype, kind=Kind.OTHER, trainable=False),
        )

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row of each table whose number is the id."""
        row = int32(ids, xp)
        return {"codes": row, "ranges": row}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the codes by the step, and adds the offset."""
        codes = rows["codes"]
        if self.settings.bits != 8:
            codes = unpack(codes, self.embedding_dim, self.settings.bits, xp)
        ranges = float32(rows["ranges"], xp)
        return float32(codes, xp) * ranges[..., :1] + ranges[..., 1:]


@dataclass
class ScaledSettings:
    """Settings of ``ScaledRows``."""

    bits: int = 8
    """Bits of an integer."""

    scale_dtype: str = "float32"
    """NumPy's name of the type of scales."""

    one_scale: bool = False
    """True for one scale of all rows."""


class ScaledRows(OneSize[ScaledSettings]):
    """The form that serves: vector(id) = scales[id] k(id), with integers k from -2^(bits - 1) to 2^(bits - 1) - 1.

    ``codes``, uint8 (vocabulary, bytes of a row), holds k + 2^(bits - 1), packed by ``served.bits.pack``. ``scales`` is
    (vocabulary, 1), or (1,) for one scale of all rows.
    """

    Settings = ScaledSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``codes``, and ``scales`` if each row has its own."""
        size, width = self.vocabulary.size, packed_width(self.embedding_dim, self.settings.bits)
        codes = Array("codes", (size, width), "uint8", kind=Kind.CODES)
        return (codes,) if self.settings.one_scale else (codes, self._scales((size, 1)))

    def weights(self) -> tuple[Array, ...]:
        """Describes ``scales`` if all rows have the same."""
        return (self._scales((1,)),) if self.settings.one_scale else ()

    def _scales(self, shape: tuple[int, ...]) -> Array:
        return Array("scales", shape, self.settings.scale_dtype, kind=Kind.OTHER, trainable=False)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row of each table whose number is the id."""
        row = int32(ids, xp)
        return {table.name: row for table in self.tables()}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the integers by the scale."""
        codes, bits = rows["codes"], self.settings.bits
        if bits != 8:
            codes = unpack(codes, self.embedding_dim, bits, xp)
        scales = weights["scales"] if self.settings.one_scale else rows["scales"]
        return (float32(codes, xp) - np.float32(1 << (bits - 1))) * float32(scales, xp)


class ByRows(OneSize[ByRowsSettings], OfFull[ByRowsSettings]):
    """A trained full table whose rows are quantized, each on its own range.

    A subclass sets ``bits``.
    """

    family = "precision"

    bits: ClassVar[int]
    """Bits of a code."""

    search_share: ClassVar[float] = SEARCH_SHARE
    """Largest share of the range of a row that the greedy search gives up."""

    def served(self) -> PackedRows:
        """Describes packed codes, and two numbers a row."""
        settings = PackedSettings(self.bits, self.settings.range_dtype)
        return PackedRows(self.vocabulary, self.embedding_dim, settings)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Quantizes the rows of the table, and packs their codes."""
        table = arrays["table"]
        parts: dict[str, list[np.ndarray]] = {"codes": [], "ranges": []}
        step = max(1, BLOCK_NUMBERS // table.shape[1])
        for start in range(0, len(table), step):
            codes, ranges = quantize(table[start : start + step], self.bits, self.settings, self.search_share)
            parts["codes"].append(pack(codes, self.bits))
            parts["ranges"].append(ranges)
        return {name: np.concatenate(blocks) for name, blocks in parts.items()}


def quantize(
    rows: np.ndarray, bits: int, settings: ByRowsSettings, search_share: float = SEARCH_SHARE
) -> tuple[np.ndarray, np.ndarray]:
    """Replaces each number of a row by the nearest of 2^bits evenly spaced numbers.

    Args:
        rows: float32 of shape (rows, width).
        bits: bits of a code.
        settings: how ranges are chosen, and their type.
        search_share: largest share of the range of a row that the greedy search gives up.

    Returns:
        The codes from 0 to 2^bits - 1, int32 (rows, width), and the ranges (rows, 2): step and offset. A row of equal
        numbers has the step 0.
    """
    low, high = rows.min(axis=1), rows.max(axis=1)
    if settings.clipping == "greedy":
        low, high = _greedy(rows, low, high, bits, search_share)
    # In float64: the difference of two float32 numbers may be beyond the range of float32.
    steps = (high.astype(np.float64) - low) / ((1 << bits) - 1)
    dtype = np.dtype(settings.range_dtype)
    most = float(np.finfo(dtype).max)
    ranges = np.clip(np.stack([steps, low.astype(np.float64)], axis=1), -most, most).astype(dtype)
    # The codes are chosen for the stored ranges. So the rounding of the ranges adds no error to that of the codes.
    kept = ranges.astype(np.float64)
    return _codes(rows, kept[:, 0], kept[:, 1], bits).astype(np.int32), ranges


def _codes(rows: np.ndarray, steps: np.ndarray, low: np.ndarray, bits: int) -> np.ndarray:
    """Returns the nearest codes as floats; 0 if the step is 0."""
    inverse = np.divide(1.0, steps, out=np.zeros_like(steps), where=steps > 0)
    codes: np.ndarray = np.clip(np.rint((rows - low[:, None]) * inverse[:, None]), 0, (1 << bits) - 1)
    return codes


def _greedy(
    rows: np.ndarray, low: np.ndarray, high: np.ndarray, bits: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Searches the range of each row with the smallest squared error.

    It begins with the whole range. Each step cuts 1 / SEARCH_STEPS of the whole range off one end, the end that then
    gives the smaller error. Returns the best of all these ranges, as low and high.
    """

    def loss(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        steps = (high - low) / ((1 << bits) - 1)
        error = _codes(rows, steps, low, bits) * steps[:, None] + low[:, None] - rows
        squares: np.ndarray = np.einsum("ij,ij->i", error, error)
        return squares

    low, high = low.astype(np.float64), high.astype(np.float64)
    width = (high - low) / SEARCH_STEPS
    best, best_low, best_high = loss(low, high), low, high
    for _ in range(int(SEARCH_STEPS * share)):
        from_low, from_high = loss(low + width, high), loss(low, high - width)
        left = from_low < from_high
        low, high = np.where(left, low + width, low), np.where(left, high, high - width)
        now = np.where(left, from_low, from_high)
        better = now < best
        best = np.where(better, now, best)
        best_low, best_high = np.where(better, low, best_low), np.where(better, high, best_high)
    return best_low, best_high
