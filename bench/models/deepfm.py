"""DeepFM: a factorization machine beside a network over the same vectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.models.inputs import inputs, scaled
from bench.models.parts import Linear, Network, joined, linear, network, pairs, score, two_vectors, vectors

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings(Network, Linear):
    """Settings of ``deepfm``."""

    def check_data(self, fields: Collection[str], dense_dim: int) -> None:
        """Refuses data that have no pair of vectors."""
        two_vectors("deepfm", fields, dense_dim)


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Score = linear part + pairs + network over the joined vectors (Guo et al., 2017); see ``bench.models.build``."""
    import keras

    ids = inputs(fields, dense_dim)
    read = vectors(fields, ids, dense_dim)
    total = score(network(joined(read), settings)) + pairs(read)
    total = total + linear(fields, ids, read, settings.linear == "own", dense_dim)
    return keras.Model(ids, scaled(total, label_range), name="deepfm")
