"""DeepLight: a full table that is pruned little by little while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Change, Kind, Lookups, Progress, int32
from bench.embeddings.families.pruned import Pruned, PrunedSettings
from bench.embeddings.served.sparse import largest_entries


@dataclass
class DeepLightSettings(PrunedSettings):
    """Settings of ``deeplight``."""

    warmup_share: Annotated[float, Range(low=0, below=1)] = 0.0
    """Share of the run's steps before the first weight is pruned."""

    damping: Annotated[float, Range(above=0, below=1)] = 0.001
    """Value of the damping factor D^k at the end of the run. A smaller one prunes more weights early. The published
    0.99^(step / 100) reaches the default after 68,700 steps."""


class DeepLight(Pruned[DeepLightSettings]):
    """vector(id) = table[id], where at the end all weights but the ``nnz`` with the largest magnitudes are zero.

    The share of the weights that is zero grows during training. With e = ``damping``, and u from 0 at the end of the
    warm-up to 1 at the end of the run, it is

        (1 - density) (1 - e^u) / (1 - e)

    Weights are set to zero at the ends of chunks of steps, those with the smallest magnitudes first. They may grow
    again: the table, its gradients and the optimizer's moments stay whole. The paper prunes every 10 steps, and a chunk
    has hundreds. So a weight that grows again counts as zero until it is as large as the smallest weight that was kept.
    Before the end of training, more than ``nnz`` weights are nonzero; the ``nnz`` largest of them serve.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import DeepLightEmbedding
        >>> layer = DeepLightEmbedding(6040, 64, density=0.05)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120804

    Reference:
        Deng, Pan, Zhou, Kong, Flores and Lin, "DeepLight: deep lightweight feature interactions for accelerating CTR
        predictions in ad serving", 2021 (arXiv 2002.06987).
    """

    Settings = DeepLightSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, (vocabulary, embedding_dim)."""
        return (Array("table", (self.vocabulary.size, self.embedding_dim)),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``smallest``, float32 (1,): the smallest magnitude that the last pruning kept."""
        return (Array("smallest", (1,), initializer="zeros", kind=Kind.OTHER, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id."""
        return {"table": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Sets weights below ``smallest`` to zero. The gradient goes to all weights of the row."""
        table = rows["table"]
        less = xp.where(xp.abs(table) < weights["smallest"], table, np.float32(0))
        return table - (xp.stop_gradient(less) if training else less)

    def kept_at(self, share: float) -> int:
        """Returns the number of weights that are kept when this share of the run's steps is done."""
        total, warmup = self.vocabulary.size * self.embedding_dim, self.settings.warmup_share
        end = self.settings.damping
        u = min(1.0, max(0.0, (share - warmup) / (1 - warmup)))
        if u == 1:
            return self.nnz
        return total - int((total - self.nnz) * (1 - end**u) / (1 - end))

    def is_due(self, progress: Progress) -> bool:
        """Returns True after the warm-up."""
        return progress.share > self.settings.warmup_share

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Sets the weights with the smallest magnitudes to zero.

        Raises:
            RunFailed: a weight is NaN or infinite.
        """
        table, count = arrays["table"].reshape(-1), self.kept_at(progress.share)
        kept = largest_entries(table, count, self.vocabulary.name, np.abs)
        pruned = np.zeros_like(table)
        pruned[kept] = table[kept]
        smallest = np.abs(table[kept]).min(keepdims=True)
        return Change({"table": pruned.reshape(arrays["table"].shape), "smallest": smallest})

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Keeps the weights with the largest magnitudes. After the end of training, all others are zero."""
        table = arrays["table"]
        return self.served().stored(table, largest_entries(table, self.nnz, self.vocabulary.name, np.abs))
