"""Half precision: a trained full table, kept as float16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.base import Array, Arrays, float32, int32
from bench.embeddings.forms.onesize import OneSize
from bench.embeddings.forms.trained import OfFull


@dataclass
class Float16Settings:
    """``float16`` has no settings."""


class Float16(OneSize[Float16Settings], OfFull[Float16Settings]):
    """vector(id) = float32(float16(table[id])), the table trained as ``full``'s.

    IEEE 754 half precision: 11 significant bits, so that numbers from 6.1e-5 on are off by 1 part in 2,048 at most.
    """

    Settings = Float16Settings

    def served(self) -> HalfTable:
        """The table in half its bytes."""
        return HalfTable(self.vocabulary, self.embedding_dim)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The nearest numbers of half precision; those beyond its range become its largest, 65,504."""
        largest = float(np.finfo(np.float16).max)
        return {"halves": np.clip(arrays["table"], -largest, largest).astype(np.float16)}


class HalfTable(OneSize[Float16Settings]):
    """What serves: ``halves``, float16 of shape (vocabulary, embedding_dim)."""

    Settings = Float16Settings

    def tables(self) -> tuple[Array, ...]:
        """The one table."""
        shape = (self.vocabulary.size, self.embedding_dim)
        return (Array("halves", shape, "float16", trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"halves": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row as float32."""
        return float32(rows["halves"], xp)
