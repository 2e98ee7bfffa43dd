"""A table of 16-bit integers, trained as such by stochastic rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from bench.config.typed import Range
from bench.embeddings.families.rounded import Rounded, RoundedSettings


@dataclass
class Int16Settings(RoundedSettings):
    """Settings of ``int16``."""

    scale: Annotated[float, Range(above=0)] = 0.0001
    """Distance of neighbouring numbers. The default reaches from about -3.27 to 3.27."""


class Int16(Rounded):
    """vector(id) = scale codes[id], with integers of 16 bits.

    The table is trained as float32 numbers, which are rounded stochastically after each update: see
    ``bench.embeddings.families.rounded``.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Int16Embedding
        >>> layer = Int16Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        773120

    Reference:
        Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015 (arXiv
        1502.02551).
    """

    Settings = Int16Settings
    bits: ClassVar[int] = 16
