"""Tables that are trained on the grid of their integers, by stochastic rounding.

Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015 (arXiv
1502.02551).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, float32, int32
from bench.embeddings.forms.onesize import OneSize
from bench.settings import Range, checked


@dataclass
class RoundedSettings:
    """Settings of a table trained on a grid."""

    scale: Annotated[float, Range(above=0)] = 0.005
    """Distance of neighbouring numbers of the grid."""


@dataclass
class IntegersSettings(RoundedSettings):
    """What describes ``Integers``."""

    bits: int = 8
    """Of an integer: 8 or 16."""


class Integers(OneSize[IntegersSettings]):
    """What serves: vector(id) = scale codes[id], with int8 or int16 ``codes`` of shape (vocabulary, embedding_dim)."""

    Settings = IntegersSettings

    def tables(self) -> tuple[Array, ...]:
        """The one table."""
        shape = (self.vocabulary.size, self.embedding_dim)
        return (Array("codes", shape, f"int{self.settings.bits}", kind=Kind.CODES),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"codes": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The integers times the scale."""
        return float32(rows["codes"], xp) * np.float32(self.settings.scale)


class Rounded(OneSize[RoundedSettings]):
    """A table of numbers k scale, with integers k of ``bits`` bits; a subclass says how many.

    The optimizer updates a row in float32, then w becomes scale floor(w / scale + u), with u drawn from U[0, 1) for
    each number: the neighbour above with probability w / scale - floor(w / scale). So the expectation is w, and
    updates smaller than scale are not lost. What is beyond the integers' range becomes its end.

    Forward, a row is rounded to the nearest numbers of the grid: its first values and what momentum adds while no
    batch reads it lie off it. The gradient passes that rounding unchanged.
    """

    bits: ClassVar[int]
    """Of an integer: 8 or 16."""

    def resolve(self, settings: RoundedSettings) -> RoundedSettings:
        """Nothing is left open."""
        return replace(settings, scale=checked("scale", settings.scale, Annotated[float, Range(above=0)]))

    def tables(self) -> tuple[Array, ...]:
        """``table``, float32 of shape (vocabulary, embedding_dim)."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim)),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The nearest numbers of the grid; in training with the gradient of the row itself."""
        table = rows["table"]
        nearest = self._codes(table, xp) * np.float32(self.settings.scale)
        return straight_through(table, nearest, xp) if training else nearest

    def rounded(self) -> tuple[str, ...]:
        """The table."""
        return ("table",)

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """The rows on the grid, by stochastic rounding."""
        codes = xp.floor(rows * np.float32(1 / self.settings.scale) + noise)
        return clipped(codes, self.bits, xp) * np.float32(self.settings.scale)

    def served(self) -> Integers:
        """The integers."""
        return Integers(self.vocabulary, self.embedding_dim, IntegersSettings(self.settings.scale, self.bits))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The nearest integers."""
        return {"codes": self._codes(arrays["table"], np).astype(f"int{self.bits}")}

    def _codes(self, values: Any, xp: Any) -> Any:
        # A product: XLA makes one of a division by a constant anyway, which may round otherwise.
        return clipped(xp.round(values * np.float32(1 / self.settings.scale)), self.bits, xp)


def clipped(codes: Any, bits: int, xp: Any) -> Any:
    """``codes``, held between -2^(bits - 1) and 2^(bits - 1) - 1."""
    return xp.clip(codes, -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def straight_through(values: Any, rounded: Any, xp: Any) -> Any:
    """``rounded`` with the gradient of ``values`` (Bengio et al. 2013, arXiv 1308.3432)."""
    return rounded if xp is np else values + xp.stop_gradient(rounded - values)
