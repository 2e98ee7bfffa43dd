"""The dot product of two fields' vectors, squashed to the labels' scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras

from bench.embeddings.layer import CompressedEmbedding
from bench.models.inputs import inputs, only_two, scaled


@dataclass
class Settings:
    """``dot`` has no settings."""


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float],
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Predicts lo + (hi - lo) * sigmoid(u . v); see ``bench.models.build``.

    Raises:
        RequestError: not exactly two fields, or dense columns.
    """
    only_two("dot", fields, dense_dim)
    ids = inputs(fields, dense_dim)
    u, v = (layer(ids[field]) for field, layer in fields.items())
    return keras.Model(ids, scaled(keras.ops.sum(u * v, axis=-1), label_range), name="dot")
