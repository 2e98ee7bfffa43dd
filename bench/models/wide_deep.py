"""Wide and deep: a linear part beside a network over the vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.models.inputs import inputs, scaled
from bench.models.parts import Linear, Network, joined, linear, network, score, vectors

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings(Network, Linear):
    """Settings of ``wide_deep``."""


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Score = linear part + network over the joined vectors (Cheng et al., 2016); see ``bench.models.build``."""
    import keras

    ids = inputs(fields, dense_dim)
    read = vectors(fields, ids, dense_dim)
    total = score(network(joined(read), settings))
    total = total + linear(fields, ids, read, settings.linear == "own", dense_dim)
    return keras.Model(ids, scaled(total, label_range), name="wide_deep")
