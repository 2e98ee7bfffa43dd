"""Neural matrix factorization: a product of the fields' vectors beside a network over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.config.typed import Count, Rest
from bench.errors import RequestError
from bench.models.inputs import DENSE, inputs, read, scaled

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings:
    """Settings of ``neumf``."""

    hidden_units: list[Count] = field(default_factory=lambda: [64, 32, 16])
    """Width of each hidden layer of the network."""

    dropout: Rest = 0.0
    """Share of each network layer's inputs that is dropped while training."""

    def check_data(self, fields: Collection[str], dense_dim: int) -> None:
        """Refuses data that have fewer than two fields."""
        if len(fields) < 2:
            raise RequestError(f"model=neumf takes two fields or more, these data have {len(fields)}")


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """NeuMF (He et al., "Neural collaborative filtering", 2017); see ``bench.models.build``.

    prediction = lo + (hi - lo) * sigmoid(h . [p, z]), h with a bias. p is the elementwise product of the
    fields' factorization vectors, z the last of the ReLU layers over the fields' network vectors and the
    dense columns, joined. As in the paper neither part shares vectors with the other: a field's one embedding
    of width d holds both, d // 2 numbers for p and the rest for the network. Beyond two fields p sums the
    products of all pairs.

    Raises:
        RequestError: the vectors have width 1.
    """
    import keras
    from keras import ops

    from bench.models.layers import Dropout

    width = min(layer.method.embedding_dim for layer in fields.values()) // 2
    if not width:
        raise RequestError("embedding_dim=1: model=neumf splits the vectors in two; give 2 or more")
    ids = inputs(fields, dense_dim)
    vectors = read(fields, ids)
    # Each vector times the sum of those before it: all pairs, without a pass for each.
    before = vectors[0][:, :width]
    product = None
    for vector in vectors[1:]:
        pairs = before * vector[:, :width]
        product = pairs if product is None else product + pairs
        before = before + vector[:, :width]
    hidden = ops.concatenate(
        [*(v[:, width:] for v in vectors), *([ids[DENSE]] if dense_dim else [])], axis=-1
    )
    for i, units in enumerate(settings.hidden_units):
        if settings.dropout:
            hidden = Dropout(settings.dropout, name=f"dropout_{i}")(hidden)
        hidden = keras.layers.Dense(units, activation="relu", name=f"hidden_{i}")(hidden)
    score = keras.layers.Dense(1, name="score")(ops.concatenate([product, hidden], axis=-1))
    return keras.Model(ids, scaled(ops.squeeze(score, axis=-1), label_range), name="neumf")
