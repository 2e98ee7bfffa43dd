"""Factorization machine: a linear part and the products of all pairs of vectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.models.inputs import inputs, scaled
from bench.models.parts import Linear, linear, pairs, two_vectors, vectors

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings(Linear):
    """Settings of ``fm``."""

    def check_data(self, fields: Collection[str], dense_dim: int) -> None:
        """Refuses data that have no pair of vectors."""
        two_vectors("fm", fields, dense_dim)


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Score = linear part + sum over pairs of v_i . v_j + b (Rendle, 2010); see ``bench.models.build``.

    A dense column is a field of one id, whose vector is multiplied by the column's number.
    """
    import keras

    from bench.models.layers import Bias

    ids = inputs(fields, dense_dim)
    read = vectors(fields, ids, dense_dim)
    total = linear(fields, ids, read, settings.linear == "own", dense_dim) + pairs(read)
    return keras.Model(ids, scaled(Bias(name="bias")(total), label_range), name="fm")
