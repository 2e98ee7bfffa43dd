"""Post-training quantization to four bits: a trained full table, each row on a range of its own.

Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv 1911.02079).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from bench.embeddings.forms.quantized import ByRows, ByRowsSettings


@dataclass
class PTQInt4Settings(ByRowsSettings):
    """Settings of ``ptq_int4``."""

    range_dtype: Literal["float32", "float16"] = "float16"
    """Of the two numbers that each row keeps beside its codes."""

    clipping: Literal["none", "greedy"] = "none"
    """How a row's range is chosen: from its smallest number to its largest (``none``), or, for less squared
    error, the best of those that a search goes through which narrows that (``greedy``)."""


class PTQInt4(ByRows):
    """vector(id) = step(id) code(id) + offset(id), with codes of four bits of a table trained as ``full``'s."""

    Settings = PTQInt4Settings
    bits: ClassVar[int] = 4
