"""A table of 8-bit integers, trained as such by stochastic rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from bench.config.typed import Range
from bench.embeddings.families.rounded import Rounded, RoundedSettings


@dataclass
class Int8Settings(RoundedSettings):
    """Settings of ``int8``."""

    scale: Annotated[float, Range(above=0)] = 0.005
    """Distance of neighbouring numbers. The default reaches from about -0.64 to 0.64."""


class Int8(Rounded):
    """vector(id) = scale codes[id], with integers of 8 bits.

    The table is trained as float32 numbers, which are rounded stochastically after each update: see
    ``bench.embeddings.families.rounded``.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Int8Embedding
        >>> layer = Int8Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        386560

    Reference:
        Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015 (arXiv
        1502.02551).
    """

    Settings = Int8Settings
    bits: ClassVar[int] = 8
