"""DeepLight: a full table that is pruned little by little while it is trained.

Deng, Pan, Zhou, Kong, Flores and Lin, "DeepLight: deep lightweight feature interactions for accelerating CTR
predictions in ad serving", 2021 (arXiv 2002.06987).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Change, Kind, Progress, int32
from bench.embeddings.forms.pruned import Pruned, PrunedSettings
from bench.embeddings.forms.sparse import largest_entries
from bench.settings import Range


@dataclass
class DeepLightSettings(PrunedSettings):
    """Settings of ``deeplight``."""

    warmup_share: Annotated[float, Range(low=0, below=1)] = 0.0
    """The share of the run's steps before the first weight is pruned."""

    damping: Annotated[float, Range(above=0, below=1)] = 0.001
    """What the damping factor D^k has fallen to at the end of the run: smaller prunes more of it early. The
    published 0.99^(step / 100) is there after 68,700 steps."""


class DeepLight(Pruned[DeepLightSettings]):
    """vector(id) = table[id], of which all but the largest ``nnz`` magnitudes are zero at the end.

    With u from 0, at the end of the warm-up, to 1, at the end of the run, and e = ``damping``, the share of the
    weights that is set to zero is

        (1 - density) (1 - e^u) / (1 - e)

    It is brought about at the ends of chunks of steps, smallest magnitudes first. Zeros may grow again: the table,
    its gradients and the optimizer's moments stay whole. What was published prunes every 10 steps. A chunk has
    hundreds, so that what grows again counts as zero until it is as large as the smallest that was kept. Before the
    end more than ``nnz`` are nonzero; what serves of such a table are its ``nnz`` largest.
    """

    Settings = DeepLightSettings

    def tables(self) -> tuple[Array, ...]:
        """``table``, (vocabulary, embedding_dim)."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim)),)

    def weights(self) -> tuple[Array, ...]:
        """``smallest``, float32 (1,): the smallest magnitude that was kept last."""
        return (Array("smallest", (1,), initializer="zeros", kind=Kind.OTHER, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The row, zero below the smallest that was kept; its gradient goes to all of it."""
        table = rows["table"]
        less = xp.where(xp.abs(table) < weights["smallest"], table, np.float32(0))
        return table - (xp.stop_gradient(less) if training else less)

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
        table, count = arrays["table"].reshape(-1), self.kept_at(progress.share)
        kept = largest_entries(np.abs(table), count, self.vocabulary.name)
        pruned = np.zeros_like(table)
        pruned[kept] = table[kept]
        smallest = np.abs(table[kept]).min(keepdims=True)
        return Change({"table": pruned.reshape(arrays["table"].shape), "smallest": smallest})

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The largest magnitudes: all that is not zero, where training has come to its end."""
        table = arrays["table"]
        return self.served().stored(table, largest_entries(np.abs(table), self.nnz, self.vocabulary.name))
