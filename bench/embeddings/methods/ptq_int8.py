"""Post-training quantization to eight bits: a trained full table, each row on a range of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from bench.embeddings.served.quantized import ByRows, ByRowsSettings


@dataclass
class PTQInt8Settings(ByRowsSettings):
    """Settings of ``ptq_int8``."""

    range_dtype: Literal["float32", "float16"] = "float32"
    """Type of the step and the offset that each row keeps."""

    clipping: Literal["none", "greedy"] = "none"
    """The choice of a row's range. ``none``: from its smallest number to its largest. ``greedy``: by a search that
    narrows this range, for the smallest squared error."""


class PTQInt8(ByRows):
    """vector(id) = step(id) code(id) + offset(id), with codes of eight bits.

    ``full`` is trained, and each row of its table is quantized: see ``bench.embeddings.served.quantized``.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PTQInt8Embedding
        >>> layer = PTQInt8Embedding(6040, 64, clipping="greedy")
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        434880

    Reference:
        Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv
        1911.02079).
    """

    Settings = PTQInt8Settings
    bits: ClassVar[int] = 8
