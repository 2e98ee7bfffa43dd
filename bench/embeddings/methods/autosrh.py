"""AutoSrh: trained gates by popularity and column find the weights of a full table to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range, checked
from bench.embeddings.base import Array, Arrays, Change, Kind, Lookups, Progress, int32
from bench.embeddings.families.pruned import Pruned, PrunedSettings
from bench.embeddings.served.sparse import largest_entries

Groups = Annotated[int, Range(low=1, high=256)]


@dataclass
class AutoSrhSettings(PrunedSettings):
    """Settings of ``autosrh``."""

    num_groups: Groups = 6
    """Number of groups of ids with about equally many ids, by how often they are trained on. At most 256."""

    search_share: Annotated[float, Range(above=0, high=1)] = 0.5
    """Share of the run's steps in which gates look for the weights to keep. The rest trains these."""

    gate_l1: Annotated[float, Range(low=0)] = 0.00001
    """Factor of the sum of an id's gates, which is added to the loss as its mean over a batch."""


class AutoSrh(Pruned[AutoSrhSettings]):
    """vector(id)[j] = table[id, j] gates[group(id), j], with a gate from 0 to 1 for each group of ids and column.

    Ids are in groups by their training frequency: of the ids, sorted by rising frequency, each group has an equal part,
    and equally frequent ids are in one group. All gates begin at 1. They are trained with the table, and clipped to
    [0, 1] after each update.

    After ``search_share`` of the run's steps, the ``nnz`` products with the largest magnitudes are kept, of equal ones
    the first. The table becomes these products, and the rest of the run trains it without gates and with all other
    weights 0. The optimizer's moments stay.

    The paper trains the gates on validation rows, which no method here may read, and trains again from the start.

    Training holds one byte a weight in addition to ``full``'s table with its moments.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AutoSrhEmbedding
        >>> layer = AutoSrhEmbedding(6040, 64, density=0.05)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120804

    Reference:
        Kong, Cheng, Shen and Huang, "AutoSrh: an embedding dimensionality search framework for tabular data
        prediction", 2022 (IEEE Transactions on Knowledge and Data Engineering).
    """

    Settings = AutoSrhSettings

    def resolve(self, settings: AutoSrhSettings) -> AutoSrhSettings:
        """Chooses nnz."""
        checked("num_groups", settings.num_groups, Groups)
        return super().resolve(settings)

    def tables(self) -> tuple[Array, ...]:
        """Describes ``table``, ``gates`` (num_groups, embedding_dim), and ``pruned`` (uint8, 1 if not kept)."""
        shape = (self.vocabulary.size, self.embedding_dim)
        gates = Array("gates", (self.settings.num_groups, self.embedding_dim), initializer="ones")
        return (Array("table", shape), gates, Array("pruned", shape, "uint8", kind=Kind.OTHER))

    def weights(self) -> tuple[Array, ...]:
        """Describes ``searched``, int32 (1,), which is 1 after the search."""
        return (Array("searched", (1,), "int32", kind=Kind.OTHER),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``group``, the group of each id: uint8 (vocabulary,)."""
        return (Array("group", (self.vocabulary.size,), "uint8", kind=Kind.MAPS),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Groups the ids: an id's group is the share of ids that are less frequent, times the number of groups."""
        size, counts = self.vocabulary.size, self.vocabulary.counts
        if counts is None:
            counts = np.arange(size, 0, -1)
        less = np.searchsorted(np.sort(counts), counts)
        return {"group": (less * self.settings.num_groups // size).astype(np.uint8)}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the row whose number is the id, and the gates of its group."""
        row = int32(ids, xp)
        return {"table": row, "gates": int32(xp.take(maps["group"], row, axis=0), xp), "pruned": row}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the row by its gates during the search, and masks it afterwards."""
        table = rows["table"]
        masked = xp.where(rows["pruned"] > 0, np.float32(0), table)
        return xp.where(weights["searched"] > 0, masked, table * _inside(rows["gates"], xp))

    def penalty(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any) -> Any:
        """Computes gate_l1 times the mean over the batch of the sum of an id's gates; 0 after the search."""
        if not self.settings.gate_l1:
            return None
        gates = xp.mean(xp.sum(_inside(rows["gates"], xp), axis=-1))
        weight = np.float32(self.settings.gate_l1 * len(self.vocabulary.members))
        return xp.where(weights["searched"][0] > 0, np.float32(0), weight * gates)

    def rounded(self) -> tuple[str, ...]:
        """Names the gates."""
        return ("gates",)

    def after_update(self, table: str, rows: Any, noise: Any, xp: Any) -> Any:
        """Clips the gates to [0, 1]."""
        return _inside(rows, xp)

    def is_due(self, progress: Progress) -> bool:
        """Returns True at the end of the search."""
        end = self.settings.search_share * progress.steps
        return progress.previous < end <= progress.step

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Ends the search: keeps the largest products.

        Raises:
            RunFailed: a weight or a gate is NaN or infinite.
        """
        if arrays["searched"][0]:
            return Change({})
        table = self._products(arrays)
        pruned = np.ones(table.shape, np.uint8)
        pruned.reshape(-1)[largest_entries(table, self.nnz, self.vocabulary.name, np.abs)] = 0
        return Change({"table": table, "pruned": pruned, "searched": np.ones(1, np.int32)})

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Keeps the weights that the search has chosen; before the end of the search, its choice for now.

        Raises:
            RunFailed: a weight or a gate is NaN or infinite.
        """
        if arrays["searched"][0]:
            return self.served().stored(arrays["table"], np.flatnonzero(arrays["pruned"].reshape(-1) == 0))
        table = self._products(arrays)
        kept = largest_entries(table, self.nnz, self.vocabulary.name, np.abs)
        return self.served().stored(table, kept)

    def _products(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        products: np.ndarray = arrays["table"] * _inside(arrays["gates"], np)[arrays["group"]]
        return products


def _inside(gates: Any, xp: Any) -> Any:
    """Clips gates to [0, 1]: momentum may move those that no batch reads."""
    return xp.clip(gates, 0.0, 1.0)
