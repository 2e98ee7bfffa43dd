"""A table of floating-point numbers of eight bits, trained as such by stochastic rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.families.rounded import RoundedTable
from bench.embeddings.served.eight_bits import EightBits, FloatKind, coded, nearest, stochastic

SCALE = 2.0**-5
"""The scale of the numbers. With it those at the start, which are below 0.05, have all their bits down to 0.0005, and
the largest number of fp8 is 7.5."""


@dataclass
class TrainedFloat8Settings:
    """Settings of ``trained_float8``."""

    kind: FloatKind = "nfp8"
    """The numbers. ``fp8``: the largest is 7.5. ``nfp8``: the largest exponent is used too, up to 14."""


class TrainedFloat8(RoundedTable[TrainedFloat8Settings]):
    """vector(id)[j] = 2^-5 times a float8 number, with a table that is rounded after each update.

    The optimizer updates a row in float32. Then each number becomes one of its two neighbours among the float8 numbers
    times 2^-5, by chance, so that the expectation stays and small updates are not lost. In the forward pass a row is
    rounded to the nearest numbers, because initial values and momentum are between them. The gradient passes this
    rounding unchanged.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import TrainedFloat8Embedding
        >>> layer = TrainedFloat8Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # a byte a number, and the list of all numbers
        387584

    Reference:
        Micikevicius et al., "FP8 formats for deep learning", 2022 (arXiv 2209.05433). Gupta et al., "Deep learning with
        limited numerical precision", 2015 (arXiv 1502.02551): stochastic rounding.
    """

    Settings = TrainedFloat8Settings

    def nearest(self, values: Any, xp: Any) -> Any:
        """Rounds to the nearest numbers."""
        return nearest(values * np.float32(1 / SCALE), self.settings.kind, xp) * np.float32(SCALE)

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """Rounds the rows stochastically."""
        scaled = rows * np.float32(1 / SCALE)
        return stochastic(scaled, noise, self.settings.kind, xp) * np.float32(SCALE)

    def served(self) -> EightBits:
        """Describes a byte a number, and the list of all numbers."""
        return EightBits(self.vocabulary, self.embedding_dim)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Rounds to the nearest numbers."""
        return coded(arrays["table"], SCALE, self.settings.kind)
