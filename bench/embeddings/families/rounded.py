"""Tables that are trained in the numbers in which they serve, by stochastic rounding.

Reference:
    Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015
    (arXiv 1502.02551).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np

from bench.config.typed import Range, checked
from bench.embeddings.base import Array, Arrays, Kind, Lookups, S, float32, int32
from bench.embeddings.families.onesize import OneSize


@dataclass
class RoundedSettings:
    """Settings of a table of integers."""

    scale: Annotated[float, Range(above=0)] = 0.005
    """Distance of neighbouring numbers."""


@dataclass
class IntegersSettings(RoundedSettings):
    """Settings of ``Integers``."""

    bits: int = 8
    """Bits of an integer, 8 or 16."""


class Integers(OneSize[IntegersSettings]):
    """The form that serves: vector(id) = scale codes[id], with int8 or int16 codes."""

    Settings = IntegersSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``codes``, (vocabulary, embedding_dim)."""
        shape = (self.vocabulary.size, self.embedding_dim)
        return (Array("codes", shape, f"int{self.settings.bits}", kind=Kind.CODES),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"codes": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the integers by the scale."""
        return float32(rows["codes"], xp) * np.float32(self.settings.scale)


class RoundedTable(OneSize[S]):
    """A table whose rows are rounded after each update, by chance.

    The optimizer updates a row in float32. Then each number becomes one of its two neighbours among those that the
    method has, by chance, so that the expectation stays and small updates are not lost. In the forward pass a row is
    rounded to the nearest numbers, because initial values are between them, and momentum changes values while no batch
    reads the row. The gradient passes this rounding unchanged.
    """

    family = "precision"

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, float32 (vocabulary, embedding_dim)."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim)),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Rounds the row to the nearest numbers. In training, the gradient is that of the row."""
        table = rows["table"]
        nearest = self.nearest(table, xp)
        return straight_through(table, nearest, xp) if training else nearest

    def rounded(self) -> tuple[str, ...]:
        """Names the table."""
        return ("table",)

    @abstractmethod
    def nearest(self, values: Any, xp: Any) -> Any:
        """Rounds to the nearest numbers."""


class Rounded(RoundedTable[RoundedSettings]):
    """A table of numbers scale k, with integers k of ``bits`` bits. A subclass sets ``bits``.

    After an update each number w becomes scale floor(w / scale + u), with u drawn from U[0, 1): the multiple above with
    probability w / scale - floor(w / scale), and else the one below. So the expectation is w. Numbers beyond the range
    of the integers become the nearest end of that range.
    """

    bits: ClassVar[int]
    """Bits of an integer, 8 or 16."""

    def resolve(self, settings: RoundedSettings) -> RoundedSettings:
        """Returns the settings as they are: no size is open."""
        return replace(settings, scale=checked("scale", settings.scale, Annotated[float, Range(above=0)]))

    def nearest(self, values: Any, xp: Any) -> Any:
        """Rounds to the nearest multiples of the scale."""
        return self._codes(values, xp) * np.float32(self.settings.scale)

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """Rounds the rows stochastically to multiples of the scale."""
        codes = xp.floor(rows * np.float32(1 / self.settings.scale) + noise)
        return clipped(codes, self.bits, xp) * np.float32(self.settings.scale)

    def served(self) -> Integers:
        """Describes a table of integers."""
        return Integers(self.vocabulary, self.embedding_dim, IntegersSettings(self.settings.scale, self.bits))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Rounds to the nearest integers."""
        return {"codes": self._codes(arrays["table"], np).astype(f"int{self.bits}")}

    def _codes(self, values: Any, xp: Any) -> Any:
        # A product, because XLA replaces a division by a constant with one, which may round differently.
        return clipped(xp.round(values * np.float32(1 / self.settings.scale)), self.bits, xp)


def clipped(codes: Any, bits: int, xp: Any) -> Any:
    """Clips ``codes`` to the range from -2^(bits - 1) to 2^(bits - 1) - 1."""
    return xp.clip(codes, -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def straight_through(values: Any, rounded: Any, xp: Any) -> Any:
    """Returns ``rounded`` with the gradient of ``values`` (Bengio et al., 2013, arXiv 1308.3432)."""
    return rounded if xp is np else values + xp.stop_gradient(rounded - values)
