"""Half precision: a trained full table, kept as float16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Lookups, float32, int32
from bench.embeddings.families.onesize import OneSize
from bench.embeddings.families.trained import OfFull


@dataclass
class Float16Settings:
    """Settings of ``float16``: it has none."""


class Float16(OneSize[Float16Settings], OfFull[Float16Settings]):
    """vector(id) = float32(float16(table[id])), with a trained full table.

    Half precision has 11 significant bits. Numbers from 6.1e-5 to 65,504 change by at most 1 part in 2,048.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Float16Embedding
        >>> layer = Float16Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        773120

    Reference:
        IEEE 754, "Standard for floating-point arithmetic", 2008: binary16.
    """

    Settings = Float16Settings
    family = "precision"

    def served(self) -> HalfTable:
        """Describes the table in half of its bytes."""
        return HalfTable(self.vocabulary, self.embedding_dim)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Rounds to half precision. Numbers beyond its range become 65,504 or -65,504."""
        largest = np.finfo(np.float16).max
        with np.errstate(over="ignore"):
            halves = arrays["table"].astype(np.float16)
        return {"halves": np.clip(halves, -largest, largest, out=halves)}


class HalfTable(OneSize[Float16Settings]):
    """The form that serves: ``halves``, float16 (vocabulary, embedding_dim)."""

    Settings = Float16Settings

    def tables(self) -> tuple[Array, ...]:
        """Describes one table."""
        shape = (self.vocabulary.size, self.embedding_dim)
        return (Array("halves", shape, "float16", trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"halves": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Converts the row to float32."""
        return float32(rows["halves"], xp)
