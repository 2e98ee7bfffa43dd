"""Biases alone: a number for each id, and no product of vectors. What is left if no two fields have to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.models.inputs import inputs, read, scaled

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings:
    """``bias`` has no settings."""


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float],
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Predicts lo + (hi - lo) * sigmoid(b + b_1 + ... + b_n), with a bias for each id; see ``bench.models.build``.

    The bias of an id is the sum of its vector, so ``embedding_dim=1`` is enough: wider vectors predict nothing more.
    Dense columns are not read.
    """
    import keras
    from keras import ops

    from bench.models.layers import Bias

    ids = inputs(fields, dense_dim)
    score = sum(ops.sum(vectors, axis=-1) for vectors in read(fields, ids))
    return keras.Model(ids, scaled(Bias(name="bias")(score), label_range), name="bias")
