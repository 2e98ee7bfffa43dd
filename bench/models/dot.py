"""The dot product of two fields' vectors, squashed to the labels' scale."""

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
    """``dot`` has no settings."""

    def check_data(self, fields: Collection[str], dense_dim: int) -> None:
        """Refuses data that do not have exactly two fields, or have dense columns."""
        only_two("dot", fields, dense_dim)


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Predicts lo + (hi - lo) * sigmoid(u . v); see ``bench.models.build``."""
    import keras

    ids = inputs(fields, dense_dim)
    u, v = read(fields, ids)
    return keras.Model(ids, scaled(keras.ops.sum(u * v, axis=-1), label_range), name="dot")
