"""Floating-point numbers of eight bits: a trained full table, each number as a byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import frexp

import numpy as np

from bench.embeddings.families.onesize import OneSize
from bench.embeddings.families.trained import OfFull
from bench.embeddings.served.eight_bits import LARGEST, EightBits, FloatKind, coded
from bench.errors import RunFailed


@dataclass
class Float8Settings:
    """Settings of ``float8``."""

    kind: FloatKind = "nfp8"
    """The numbers. ``fp8``: the largest is 240. ``nfp8``: the largest exponent is used too, up to 448."""

    scaled: bool = True
    """Whether the table is divided by a power of two: the smallest with which its largest magnitude is in range. It
    costs no bytes, because the 256 numbers are stored with it. False: numbers beyond the range become its ends."""


class Float8(OneSize[Float8Settings], OfFull[Float8Settings]):
    """vector(id)[j] = the float8 number nearest to table[id, j], with a trained full table.

    Float8 has four significant bits: numbers that are not near 0 change by at most 1 part in 16. See
    ``bench.embeddings.served.eight_bits``. All 256 numbers are stored once, as 1,024 bytes.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Float8Embedding
        >>> layer = Float8Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # a byte a number, and the list of all numbers
        387584

    Reference:
        Micikevicius et al., "FP8 formats for deep learning", 2022 (arXiv 2209.05433).
    """

    Settings = Float8Settings
    family = "precision"

    def served(self) -> EightBits:
        """Describes a byte a number, and the list of all numbers."""
        return EightBits(self.vocabulary, self.embedding_dim)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Rounds to the nearest numbers.

        Raises:
            RunFailed: a weight is NaN or infinite.
        """
        table = arrays["table"]
        largest = float(max(table.max(), -table.min()))
        if not np.isfinite(largest):
            raise RunFailed(
                f"field {self.vocabulary.name}: a weight is no finite number; a smaller training.learning_rate is the "
                "usual cure"
            )
        kind = self.settings.kind
        return coded(table, power_of_two(largest / LARGEST[kind]) if self.settings.scaled else 1.0, kind)


def power_of_two(ratio: float) -> float:
    """Returns the smallest power of two that is not below a ratio, from 2^-100 to 2^119; 1 for 0."""
    mantissa, exponent = frexp(ratio)
    return 2.0 ** min(
        max(exponent - (mantissa == 0.5), -100), 119
    )  # so that float32 holds all numbers and 1 / scale
