"""Adaptive low-precision training: a table of small integers with a learned scale a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range, checked
from bench.embeddings.base import Array, Arrays, Lookups, Method, Vocabulary, int32
from bench.embeddings.families.rounded import clipped
from bench.embeddings.served.bits import pack
from bench.embeddings.served.quantized import ScaledRows, ScaledSettings

SCALE = 0.08
"""The scale at the start times 2^(bits / 2). So fewer bits have coarser steps and a smaller range."""

Bits = Annotated[int, Range(low=2, high=8)]


@dataclass
class AlptSettings:
    """Settings of ``alpt``."""

    bits: Bits | None = None
    """Bits of an integer, from 2 to 8. None: 8; under a budget, as many as fit."""

    scale: Annotated[float, Range(above=0)] | None = None
    """Scale of every row at the start. None: 0.08 / 2^(bits / 2), which is 0.005 for 8 bits and 0.02 for 4."""

    scale_rate: Annotated[float, Range(low=0)] = 2.0
    """Learning rate of the logarithm of the scales, as a multiple of the vectors'. 0 keeps the scales constant."""


class Alpt(Method[AlptSettings]):
    """vector(id) = s k, with a scale s for each id and integers k of ``bits`` bits.

    A row of the trained table holds embedding_dim numbers w and a further number t, with s = scale exp(scale_rate t).
    So row and scale are read and updated together, and the scale has its own learning rate. After each update w becomes
    s floor(w / s + u), clipped to the range of the integers, with u drawn from U[0, 1) for each number.

    In the forward pass, k = clip(round(w / s)). By straight-through, the gradient of s k by w is 1 inside the range and
    0 outside. By s it is k - w / s inside the range, and the end of the range outside. The paper computes the gradient
    of the scale in a second pass, at rows that are updated and not yet rounded. Here one pass computes both: between a
    row's roundings, momentum moves it off the grid, and the gradient of the scale sees that.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AlptEmbedding
        >>> layer = AlptEmbedding(6040, 64, bits=4)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 32 bytes of integers and 4 of the scale an id
        217440

    Reference:
        Li, Guo, Hou, Zhang, Tang, Tang, Zhang and Li, "Adaptive low-precision training for embeddings in click-through
        rate prediction", 2023 (arXiv 2212.05735). Esser et al., "Learned step size quantization", 2020 (arXiv
        1902.08153): the gradient of the scale.
    """

    Settings = AlptSettings
    family = "precision"

    def resolve(self, settings: AlptSettings) -> AlptSettings:
        """Chooses the bits and the scale at the start."""
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
        """Describes ``table``, float32 (vocabulary, embedding_dim + 1), with the number of the scale last."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim + 1)),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies integers by the scale; in training with the gradients that the class describes."""
        vectors, scales = self._split(rows["table"], xp)
        inside = clipped(vectors / scales, self.bits, xp)
        codes = xp.round(inside)
        return scales * (inside + xp.stop_gradient(codes - inside) if training and xp is not np else codes)

    def rounded(self) -> tuple[str, ...]:
        """Names the table."""
        return ("table",)

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """Rounds the rows stochastically to the grids of their scales. The scales stay."""
        vectors, scales = self._split(rows, xp)
        codes = clipped(xp.floor(vectors / scales + noise[..., :-1]), self.bits, xp)
        return xp.concatenate([codes * scales, rows[..., -1:]], axis=-1)

    def _split(self, rows: Any, xp: Any) -> tuple[Any, Any]:
        """Returns vectors (..., embedding_dim) and scales (..., 1)."""
        scales = xp.exp(rows[..., -1:] * np.float32(self.settings.scale_rate))
        assert self.settings.scale is not None
        return rows[..., :-1], scales * np.float32(self.settings.scale)

    def served(self) -> ScaledRows:
        """Describes packed integers, and a scale a row."""
        return ScaledRows(self.vocabulary, self.embedding_dim, ScaledSettings(self.bits))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Packs the nearest integers, and adds the scales."""
        vectors, scales = self._split(arrays["table"], np)
        codes = np.round(clipped(vectors / scales, self.bits, np)).astype(np.int32)
        return {"codes": pack(codes + (1 << (self.bits - 1)), self.bits), "scales": scales}

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: AlptSettings, budget_bytes: int
    ) -> AlptSettings:
        """Chooses the most bits within the bytes, from 2 to 8."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "bits", 2, 8)
