"""Adaptive low-precision training: a table of small integers with a learned scale a row.

Li, Guo, Hou, Zhang, Tang, Tang, Zhang and Li, "Adaptive low-precision training for embeddings in click-through rate
prediction", 2023 (arXiv 2212.05735); the scale's gradient is that of Esser et al., "Learned step size
quantization", 2020 (arXiv 1902.08153).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Method, Vocabulary, float32, int32
from bench.embeddings.forms.bits import pack, packed_width, unpack
from bench.embeddings.forms.onesize import OneSize
from bench.embeddings.forms.rounded import clipped
from bench.settings import Range, checked

SCALE = 0.08
"""The scale to begin with is this over 2^(bits / 2): fewer bits reach less far in coarser steps."""

Bits = Annotated[int, Range(low=2, high=8)]


@dataclass
class AlptSettings:
    """Settings of ``alpt``."""

    bits: Bits | None = None
    """Bits of an integer, from 2 to 8. None: 8, or what a budget allows."""

    scale: Annotated[float, Range(above=0)] | None = None
    """What every row's scale begins at. None: 0.08 / 2^(bits / 2): 0.005 for 8 bits, 0.02 for 4."""

    scale_rate: Annotated[float, Range(low=0)] = 2.0
    """The learning rate of the logarithm of the scales as a multiple of the vectors'. 0 keeps them where they are."""


class Alpt(Method[AlptSettings]):
    """vector(id) = s k, with the id's own scale s and integers k of ``bits`` bits.

    A row of the trained table holds d numbers w and one t more, with s = scale exp(scale_rate t): so that row and
    scale are read and updated together, and the scale has a learning rate of its own. After each update w becomes
    s floor(w / s + u), clipped, with u drawn from U[0, 1) for each number.

    Forward, k = clip(round(w / s)). By straight-through, the gradient of s k by w is 1 inside the range and 0 outside;
    by s it is k - w / s inside and the end of the range outside. The paper takes the scale's gradient in a second
    pass, at rows that are updated and not yet rounded. Here one pass does: what it sees off the grid is how far
    momentum has moved a row since its last rounding.
    """

    Settings = AlptSettings

    def resolve(self, settings: AlptSettings) -> AlptSettings:
        """Chooses bits and the scale to begin with."""
        bits = checked("bits", 8 if settings.bits is None else settings.bits, Bits)
        scale = SCALE / 2 ** (bits / 2) if settings.scale is None else settings.scale
        checked("scale", scale, Annotated[float, Range(above=0)])
        checked("scale_rate", settings.scale_rate, Annotated[float, Range(low=0)])
        return replace(settings, bits=bits, scale=scale)

    @property
    def bits(self) -> int:
        """Bits of an integer."""
        assert self.settings.bits is not None
        return self.settings.bits

    def tables(self) -> tuple[Array, ...]:
        """``table``, float32 of shape (vocabulary, embedding_dim + 1), the scale's number last."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim + 1)),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Scale times integers; in training with the gradients said above."""
        vectors, scales = self._split(rows["table"], xp)
        inside = clipped(vectors / scales, self.bits, xp)
        codes = xp.round(inside)
        return scales * (inside + xp.stop_gradient(codes - inside) if training and xp is not np else codes)

    def rounded(self) -> tuple[str, ...]:
        """The table."""
        return ("table",)

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """The rows on the grids of their scales, by stochastic rounding; scales stay."""
        vectors, scales = self._split(rows, xp)
        codes = clipped(xp.floor(vectors / scales + noise[..., :-1]), self.bits, xp)
        return xp.concatenate([codes * scales, rows[..., -1:]], axis=-1)

    def _split(self, rows: Any, xp: Any) -> tuple[Any, Any]:
        """Vectors (..., d) and scales (..., 1)."""
        scales = xp.exp(rows[..., -1:] * np.float32(self.settings.scale_rate))
        assert self.settings.scale is not None
        return rows[..., :-1], scales * np.float32(self.settings.scale)

    def served(self) -> ScaledRows:
        """Packed integers, and a scale a row."""
        return ScaledRows(self.vocabulary, self.embedding_dim, ScaledSettings(self.bits))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The nearest integers, and the scales."""
        vectors, scales = self._split(arrays["table"], np)
        codes = np.round(clipped(vectors / scales, self.bits, np)).astype(np.int32)
        return {"codes": pack(codes + (1 << (self.bits - 1)), self.bits), "scales": scales}

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: AlptSettings, budget_bytes: int
    ) -> AlptSettings:
        """The most bits within the bytes, of 2 to 8."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "bits", 2, 8)


@dataclass
class ScaledSettings:
    """What describes a ``ScaledRows``."""

    bits: int = 8
    """Bits of an integer."""


class ScaledRows(OneSize[ScaledSettings]):
    """What serves: vector(id) = scales[id] k(id), with integers k from -2^(bits - 1) to 2^(bits - 1) - 1.

    ``codes``, uint8 of shape (vocabulary, bytes of a row), holds k + 2^(bits - 1), packed as ``forms.bits`` does;
    ``scales`` is float32 of shape (vocabulary, 1).
    """

    Settings = ScaledSettings

    def tables(self) -> tuple[Array, ...]:
        """``codes`` and ``scales``, which are read at the same row."""
        size, width = self.vocabulary.size, packed_width(self.embedding_dim, self.settings.bits)
        return (
            Array("codes", (size, width), "uint8", kind=Kind.CODES),
            Array("scales", (size, 1), kind=Kind.OTHER, trainable=False),
        )

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row of both."""
        row = int32(ids, xp)
        return {"codes": row, "scales": row}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The integers times the row's scale."""
        codes, bits = rows["codes"], self.settings.bits
        if bits != 8:
            codes = unpack(codes, self.embedding_dim, bits, xp)
        return (float32(codes, xp) - np.float32(1 << (bits - 1))) * rows["scales"]
