"""Post-training quantization to two bits: a trained full table, each row on a range of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from bench.embeddings.served.quantized import ByRows, ByRowsSettings


@dataclass
class PTQInt2Settings(ByRowsSettings):
    """Settings of ``ptq_int2``."""

    range_dtype: Literal["float32", "float16"] = "float16"
    """Type of the step and the offset that each row keeps."""

    clipping: Literal["none", "greedy"] = "none"
    """The choice of a row's range. ``none``: from its smallest number to its largest. ``greedy``: by a search that
    narrows this range, to half of it at most, for the smallest squared error."""


class PTQInt2(ByRows):
    """vector(id) = step(id) code(id) + offset(id), with codes of two bits.

    ``full`` is trained, and each row of its table is quantized: see ``bench.embeddings.served.quantized``. Four numbers
    stand for all of a row. So the largest magnitudes cost the others much, and the greedy search may give up half of
    the range, where the paper's, for four bits, gives up 16%.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PTQInt2Embedding
        >>> layer = PTQInt2Embedding(6040, 64, clipping="greedy")
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120800

    Reference:
        Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv
        1911.02079).
    """

    Settings = PTQInt2Settings
    bits: ClassVar[int] = 2
    search_share: ClassVar[float] = 0.5
