"""The forms that serve hot rows with the list of their ids: with shared rows for all other ids, or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.embeddings.base import Array, Arrays, Kind, Lookups, float32, int32
from bench.embeddings.families.hot import HOT, find_hot
from bench.embeddings.families.onesize import OneSize
from bench.embeddings.hashing import array, below, hashes


@dataclass
class HotColdSettings:
    """Settings of ``HotCold``."""

    num_hot: int = 1
    """Number of ids with their own row."""

    num_cold: int = 0
    """Number of rows that all other ids share. 0: the vectors of these ids are zero."""


class HotCold(OneSize[HotColdSettings]):
    """vector(id) = table[p] for the p-th hot id, by id, and table[num_hot + h(id)] for others, or zero.

    It serves and is never trained. h is a hash to num_cold rows.
    """

    Settings = HotColdSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, (num_hot + num_cold, embedding_dim)."""
        rows = self.settings.num_hot + self.settings.num_cold
        return (Array("table", (rows, self.embedding_dim), trainable=False),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hot``, the hot ids, ascending, int32 (num_hot,), and ``hash``, the coefficients of h."""
        listed = Array(HOT, (self.settings.num_hot,), "int32", kind=Kind.MAPS)
        return (listed, array("hash", 1)) if self.settings.num_cold else (listed,)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row of a hot id, and the shared row of another; without shared rows ``is_hot`` says which it is."""
        ids = int32(ids, xp)
        place, is_hot = find_hot(maps[HOT], ids, xp)
        if not self.settings.num_cold:
            return {"table": place, "is_hot": int32(is_hot, xp)}
        cold = below(hashes(ids, maps["hash"], xp), self.settings.num_cold, xp)[..., 0]
        return {"table": int32(xp.where(is_hot, place, self.settings.num_hot + cold), xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Returns the row as it is, or zero for an id without a row."""
        if self.settings.num_cold:
            return rows["table"]
        return rows["table"] * float32(xp.expand_dims(indices["is_hot"], -1), xp)
