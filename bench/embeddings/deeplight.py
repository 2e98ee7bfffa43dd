"""DeepLight: a full table that is pruned little by little while it is trained.

Deng, Pan, Zhou, Kong, Flores and Lin, "DeepLight: deep lightweight feature interactions for accelerating CTR
predictions in ad serving", 2021 (arXiv 2002.06987).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Change, Progress, int32
from bench.embeddings.forms.pruned import Pruned, PrunedSettings
from bench.embeddings.forms.sparse import largest_entries
from bench.settings import Range


@dataclass
class DeepLightSettings(PrunedSettings):
    """Settings of ``deeplight``."""

    warmup_share: Annotated[float, Range(low=0, below=1)] = 0.2
    """The share of the run's steps before the first weight is pruned."""

    damping: Annotated[float, Range(above=0, below=1)] = 0.001
    """What the damping factor D^k has fallen to at the end of the run: smaller prunes more of it early. The
    published 0.99^(step / 100) is there after 68,700 steps."""


class DeepLight(Pruned[DeepLightSettings]):
    """vector(id) = table[id], of which all but the largest ``nnz`` magnitudes are zero at the end.

    With u from 0, at the end of the warm-up, to 1, at the end of the run, and e = ``damping``, the share of the
    weights that is set to zero is

        (1 - density) (1 - e^u) / (1 - e)

    It is brought about at the ends of chunks of steps, smallest magnitudes first. Zeros may grow again in between: the
    table, its gradients and the optimizer's moments stay whole. Before the end more than ``nnz`` are nonzero; what
    serves of such a table are its ``nnz`` largest.
    """

    Settings = DeepLightSettings

    def tables(self) -> tuple[Array, ...]:
        """``table``, (vocabulary, embedding_dim)."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim)),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row is the vector."""
        return rows["table"]

    def kept_at(self, share: float) -> int:
        """How many weights are kept when this share of the run's steps is done."""
        total, warmup = self.vocabulary.size * self.embedding_dim, self.settings.warmup_share
        end = self.settings.damping
        u = min(1.0, max(0.0, (share - warmup) / (1 - warmup)))
        if u == 1:
            return self.nnz
        return total - int((total - self.nnz) * (1 - end**u) / (1 - end))

    def is_due(self, progress: Progress) -> bool:
        """After the warm-up always."""
        return progress.share > self.settings.warmup_share

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """The smallest magnitudes set to zero.

        Raises:
            RunFailed: a weight that is no finite number.
        """
        return Change({"table": self._pruned(arrays["table"], self.kept_at(progress.share))})

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The largest magnitudes: all that is not zero, where training has come to its end."""
        table = arrays["table"]
        return self.served().stored(table, largest_entries(np.abs(table), self.nnz, self.vocabulary.name))

    def _pruned(self, table: np.ndarray, count: int) -> np.ndarray:
        kept = largest_entries(np.abs(table), count, self.vocabulary.name)
        out = np.zeros_like(table)
        out.reshape(-1)[kept] = table.reshape(-1)[kept]
        return out
