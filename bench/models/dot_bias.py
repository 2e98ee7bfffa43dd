"""The dot product of two fields' vectors with biases, squashed to the labels' scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from bench.embeddings.full import Full, FullSettings
from bench.embeddings.layer import CompressedEmbedding
from bench.models.inputs import inputs, only_two, scaled


@dataclass
class Settings:
    """``dot_bias`` has no settings."""


@keras.saving.register_keras_serializable(package="bench")
class Bias(keras.layers.Layer):  # type: ignore[misc]
    """Adds one trainable number, which starts at 0."""

    def build(self, input_shape: Any = None) -> None:
        """Makes the number."""
        self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")

    def call(self, scores: Any) -> Any:
        """Scores of any shape, moved by the bias."""
        return scores + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The scores' shape."""
        return input_shape


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float],
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Predicts lo + (hi - lo) * sigmoid(u . v + b_u + b_v + b); see ``bench.models.build``.

    The id's biases are full embeddings of width 1. All biases start at 0, so that training starts where
    ``dot`` does (biased matrix factorization: Koren, Bell and Volinsky, 2009).

    Raises:
        RequestError: not exactly two fields, or dense columns.
    """
    only_two("dot_bias", fields, dense_dim)
    ids = inputs(fields, dense_dim)
    u, v = (layer(ids[field]) for field, layer in fields.items())
    score = keras.ops.sum(u * v, axis=-1)
    for field, layer in fields.items():
        method = Full(layer.method.vocabulary, 1, FullSettings(initializer="zeros"))
        bias = CompressedEmbedding(method, name=f"{field}_bias")
        score = score + keras.ops.squeeze(bias(ids[field]), axis=-1)
    return keras.Model(ids, scaled(Bias(name="bias")(score), label_range), name="dot_bias")
