"""A trained full table as small integers, each row with a range of its own.

Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv 1911.02079).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, float32, int32
from bench.embeddings.forms.bits import pack, packed_width, unpack
from bench.embeddings.forms.onesize import OneSize
from bench.embeddings.forms.trained import OfFull

SEARCH_STEPS = 200
"""Steps that a row's range is cut into by the greedy search."""

SEARCH_SHARE = 0.16
"""Of a row's range, the share that the greedy search gives up at most."""

BLOCK_NUMBERS = 1 << 20
"""Numbers that are quantized at once: bounds the memory that takes."""


@dataclass
class ByRowsSettings:
    """Settings of post-training quantization by rows."""

    range_dtype: Literal["float32", "float16"] = "float32"
    """Of the two numbers that each row keeps beside its codes."""

    clipping: Literal["none", "greedy"] = "none"
    """How a row's range is chosen. ``none``: from its smallest number to its largest. ``greedy``: the one with
    the least squared error of those that a search goes through, which narrows that range end by end."""


@dataclass
class PackedSettings:
    """What describes a ``PackedRows``."""

    bits: int = 8
    """Bits of a code."""

    range_dtype: str = "float32"
    """NumPy's name for the type of steps and offsets."""


class PackedRows(OneSize[PackedSettings]):
    """What serves: vector(id) = step(id) code(id) + offset(id), float32.

    ``codes``, uint8 of shape (vocabulary, bytes of a row), holds integers of ``bits`` bits each, packed as
    ``forms.bits`` does; ``ranges``, of shape (vocabulary, 2), holds each row's step and offset.
    """

    Settings = PackedSettings

    def tables(self) -> tuple[Array, ...]:
        """``codes`` and ``ranges``, which are read at the same row."""
        size, settings = self.vocabulary.size, self.settings
        width = packed_width(self.embedding_dim, settings.bits)
        return (
            Array("codes", (size, width), "uint8", kind=Kind.CODES),
            Array("ranges", (size, 2), settings.range_dtype, kind=Kind.OTHER, trainable=False),
        )

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row of both."""
        row = int32(ids, xp)
        return {"codes": row, "ranges": row}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Step times code, plus offset."""
        codes = rows["codes"]
        if self.settings.bits != 8:
            codes = unpack(codes, self.embedding_dim, self.settings.bits, xp)
        ranges = float32(rows["ranges"], xp)
        return float32(codes, xp) * ranges[..., :1] + ranges[..., 1:]


class ByRows(OneSize[ByRowsSettings], OfFull[ByRowsSettings]):
    """A trained full table, each row of it quantized on a range of its own; a subclass says with how many bits."""

    bits: ClassVar[int]
    """Bits of a code."""

    def served(self) -> PackedRows:
        """Packed codes, and two numbers a row."""
        settings = PackedSettings(self.bits, self.settings.range_dtype)
        return PackedRows(self.vocabulary, self.embedding_dim, settings)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The codes and ranges of the table's rows."""
        table = arrays["table"]
        parts: dict[str, list[np.ndarray]] = {"codes": [], "ranges": []}
        step = max(1, BLOCK_NUMBERS // table.shape[1])
        for start in range(0, len(table), step):
            codes, ranges = quantize(table[start : start + step], self.bits, self.settings)
            parts["codes"].append(pack(codes, self.bits))
            parts["ranges"].append(ranges)
        return {name: np.concatenate(blocks) for name, blocks in parts.items()}


def quantize(rows: np.ndarray, bits: int, settings: ByRowsSettings) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of 2^bits evenly spaced numbers for each number of a row.

    Args:
        rows: float32 of shape (rows, width).
        bits: of a code.
        settings: how ranges are chosen, and the type that they are kept in.

    Returns:
        Codes from 0 to 2^bits - 1, int32 of shape (rows, width), and ranges, (rows, 2): step and offset. A row of
        equal numbers has the step 0.
    """
    low, high = rows.min(axis=1), rows.max(axis=1)
    if settings.clipping == "greedy":
        low, high = _greedy(rows, low, high, bits)
    # In float64, since the difference of two float32 may be beyond float32.
    steps = (high.astype(np.float64) - low) / ((1 << bits) - 1)
    dtype = np.dtype(settings.range_dtype)
    most = float(np.finfo(dtype).max)
    ranges = np.clip(np.stack([steps, low.astype(np.float64)], axis=1), -most, most).astype(dtype)
    # Codes follow the ranges as they are kept, so that the rounding of these costs nothing twice.
    kept = ranges.astype(np.float64)
    return _codes(rows, kept[:, 0], kept[:, 1], bits).astype(np.int32), ranges


def _codes(rows: np.ndarray, steps: np.ndarray, low: np.ndarray, bits: int) -> np.ndarray:
    """The nearest codes, as floats; 0 where the step is 0."""
    inverse = np.divide(1.0, steps, out=np.zeros_like(steps), where=steps > 0)
    codes: np.ndarray = np.clip(np.rint((rows - low[:, None]) * inverse[:, None]), 0, (1 << bits) - 1)
    return codes


def _greedy(rows: np.ndarray, low: np.ndarray, high: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """For each row the range with the least squared error on a path that narrows it where that costs less.

    From the whole range, each of the steps takes 1 / SEARCH_STEPS of it off the end whose loss is smaller.
    """

    def loss(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        steps = (high - low) / ((1 << bits) - 1)
        error = _codes(rows, steps, low, bits) * steps[:, None] + low[:, None] - rows
        squares: np.ndarray = np.einsum("ij,ij->i", error, error)
        return squares

    low, high = low.astype(np.float64), high.astype(np.float64)
    width = (high - low) / SEARCH_STEPS
    best, best_low, best_high = loss(low, high), low, high
    for _ in range(int(SEARCH_STEPS * SEARCH_SHARE)):
        from_low, from_high = loss(low + width, high), loss(low, high - width)
        left = from_low < from_high
        low, high = np.where(left, low + width, low), np.where(left, high, high - width)
        now = np.where(left, from_low, from_high)
        better = now < best
        best = np.where(better, now, best)
        best_low, best_high = np.where(better, low, best_low), np.where(better, high, best_high)
    return best_low, best_high
