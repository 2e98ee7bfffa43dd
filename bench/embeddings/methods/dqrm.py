"""DQRM: a table whose rows are read as small integers while it is trained in float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np

from bench.config.typed import Range, checked
from bench.embeddings.base import Array, Arrays, Change, Kind, Lookups, Method, Progress, Vocabulary, int32
from bench.embeddings.families.rounded import clipped, straight_through
from bench.embeddings.served.bits import pack
from bench.embeddings.served.quantized import ScaledRows, ScaledSettings

Bits = Annotated[int, Range(low=2, high=8)]

SPREAD = 0.05
"""Bound of the numbers at the start, which are drawn from U(-0.05, 0.05)."""

RENEWALS = 20
"""Number of times in a run that the step of a whole table is renewed. The paper renews it every 1,000 steps."""


@dataclass
class DQRMSettings:
    """Settings of ``dqrm``."""

    bits: Bits | None = None
    """Bits of an integer, from 2 to 8. None: 8; under a budget, as many as fit."""

    granularity: Literal["row", "table"] = "row"
    """The numbers that share a step. ``row``: those of an id. ``table``: all, as published."""


class DQRM(Method[DQRMSettings]):
    """vector(id) = s k(id), with integers k = clip(round(table[id] / s)) of ``bits`` bits and a step s.

    The table is trained in float32. Only what a step reads is rounded, and the gradient passes the rounding unchanged,
    also where it clips.

    s = max |table[id]| / (2^(bits - 1) - 1), with the maximum as float16, as it serves. With ``granularity=table`` the
    maximum is that of the whole table, as float32. It is taken after the first chunk of steps and 20 times in the run;
    before, it is 0.05, the bound of the numbers at the start.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import DQRMEmbedding
        >>> layer = DQRMEmbedding(6040, 64, bits=4)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 32 bytes of integers and 2 of the step an id
        205360

    Reference:
        Zhou, Dong, Chan, Kalamkar, Marculescu and Keutzer, "DQRM: deep quantized recommendation models", 2024 (arXiv
        2410.20046).
    """

    Settings = DQRMSettings
    family = "precision"

    def resolve(self, settings: DQRMSettings) -> DQRMSettings:
        """Chooses the bits."""
        return replace(settings, bits=checked("bits", 8 if settings.bits is None else settings.bits, Bits))

    @property
    def bits(self) -> int:
        """Bits of an integer."""
        assert self.settings.bits is not None
        return self.settings.bits

    @property
    def most(self) -> int:
        """The largest integer."""
        return (1 << self.bits - 1) - 1

    @property
    def by_row(self) -> bool:
        """True if each row has its own step."""
        return self.settings.granularity == "row"

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, float32 (vocabulary, embedding_dim)."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim)),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``step``, float32 (1,), if all rows share it; 0 until it is taken for the first time."""
        return () if self.by_row else (Array("step", (1,), kind=Kind.OTHER, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Rounds the row to multiples of its step. In training, the gradient is that of the row."""
        table = rows["table"]
        steps = self._steps(table, weights, xp)
        rounded = self._codes(table, steps, xp) * steps
        return straight_through(table, rounded, xp) if training else rounded

    def _steps(self, table: Any, weights: Arrays, xp: Any) -> Any:
        """Returns float32 steps, (..., 1) or (1,)."""
        if self.by_row:
            largest = xp.max(xp.abs(table), axis=-1, keepdims=True, initial=0.0)  # of no rows there is none
            return _float16(largest * np.float32(1 / self.most), xp)
        return xp.where(weights["step"] > 0, weights["step"], np.float32(SPREAD / self.most))

    def _codes(self, table: Any, steps: Any, xp: Any) -> Any:
        """Returns the nearest integers as floats; 0 if the step is 0."""
        some = xp.where(steps > 0, steps, np.float32(1))
        return xp.where(steps > 0, clipped(xp.round(table / some), self.bits, xp), np.float32(0))

    def is_due(self, progress: Progress) -> bool:
        """Returns True where the step of the whole table is to be renewed."""
        return not self.by_row and (progress.previous == 0 or progress.passed(RENEWALS))

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Renews the step of the whole table."""
        table = arrays["table"]
        largest = max(table.max(), -table.min())
        return Change({"step": np.array([largest / self.most], np.float32)})

    def served(self) -> ScaledRows:
        """Describes packed integers, and a float16 step a row or one float32 step."""
        settings = ScaledSettings(self.bits, "float16" if self.by_row else "float32", not self.by_row)
        return ScaledRows(self.vocabulary, self.embedding_dim, settings)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Packs the nearest integers, and adds the steps."""
        steps = self._steps(arrays["table"], arrays, np)
        codes = self._codes(arrays["table"], steps, np).astype(np.int32)
        scales = steps.astype(np.float16) if self.by_row else steps
        return {"codes": pack(codes + (1 << self.bits - 1), self.bits), "scales": scales}

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: DQRMSettings, budget_bytes: int
    ) -> DQRMSettings:
        """Chooses the most bits within the bytes, from 2 to 8."""
        return cls.fit_size(vocabulary, embedding_dim, settings, budget_bytes, "bits", 2, 8)


def _float16(values: Any, xp: Any) -> Any:
    """Rounds float32 numbers that are not negative to float16, up to its largest. The result is float32."""
    values = xp.minimum(values, np.float32(np.finfo(np.float16).max))
    if xp is np:
        return values.astype(np.float16).astype(np.float32)
    return xp.cast(xp.cast(values, "float16"), "float32")
