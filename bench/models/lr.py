"""Logistic regression: one number an id, added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import RequestError
from bench.models.inputs import DENSE, inputs, read, scaled
from bench.models.parts import joined

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings:
    """``lr`` has no settings."""

    def vector_dim(self, embedding_dim: int) -> int:
        """Gives the width of the fields' vectors: one number, whatever ``embedding_dim`` is."""
        return 1


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Score = sum of the fields' numbers + weights . dense columns + b; see ``bench.models.build``.

    Raises:
        RequestError: the vectors are not of width 1.
    """
    import keras
    from keras import ops

    from bench.models.layers import Bias

    wide = [name for name, layer in fields.items() if layer.method.embedding_dim != 1]
    if wide:
        raise RequestError(f"model=lr adds up vectors of one number; the field {wide[0]} has wider ones")
    ids = inputs(fields, dense_dim)
    numbers = read(fields, ids)
    if dense_dim:
        columns = keras.layers.Dense(
            1, use_bias=False, kernel_initializer="glorot_normal", name="linear_columns"
        )
        numbers.append(columns(ids[DENSE]))
    total = Bias(name="bias")(ops.sum(joined(numbers), axis=-1))
    return keras.Model(ids, scaled(total, label_range), name="lr")
