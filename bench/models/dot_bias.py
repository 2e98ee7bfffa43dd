"""The dot product of two fields' vectors with biases, squashed to the labels' scale."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.models.inputs import inputs, only_two, read, scaled

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings:
    """``dot_bias`` has no settings."""

    def check_data(self, fields: Collection[str], dense_dim: int) -> None:
        """Refuses data that do not have exactly two fields, or have dense columns."""
        only_two("dot_bias", fields, dense_dim)


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Predicts lo + (hi - lo) * sigmoid(u . v + b_u + b_v + b); see ``bench.models.build``.

    The ids' biases are full embeddings of width 1. All biases start at 0, so that training starts where
    ``dot`` does (biased matrix factorization: Koren, Bell and Volinsky, 2009).
    """
    import keras

    from bench.embeddings.layer import CompressedEmbedding
    from bench.embeddings.methods.full import Full, FullSettings
    from bench.models.layers import Bias

    ids = inputs(fields, dense_dim)
    u, v = read(fields, ids)
    score = keras.ops.sum(u * v, axis=-1)
    for field, layer in fields.items():
        method = Full(layer.method.vocabulary.alone(field), 1, FullSettings(initializer="zeros"))
        bias = CompressedEmbedding(method, name=f"{field}_bias")
        score = score + keras.ops.squeeze(bias(ids[field]), axis=-1)
    return keras.Model(ids, scaled(Bias(name="bias")(score), label_range), name="dot_bias")
