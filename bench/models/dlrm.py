"""DLRM: a network of the dense columns, products of all pairs of vectors, a network over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from bench.config.typed import Count
from bench.errors import RequestError
from bench.models.inputs import DENSE, inputs, read, scaled
from bench.models.parts import Network, dense, joined, network, score

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings(Network):
    """Settings of ``dlrm``. The hidden layers of ``Network`` are those of the top network."""

    bottom_units: list[Count] = field(default_factory=lambda: [400, 400, 400])
    """Width of each hidden layer of the network over the dense columns; one more makes the vector."""

    interaction: Literal["dot", "cat"] = "dot"
    """``dot``: the dot products of all pairs of vectors. ``cat``: the vectors as they are."""

    def check_data(self, fields: Collection[str], dense_dim: int) -> None:
        """Refuses data that have no pair of vectors to multiply."""
        if self.interaction == "dot" and len(fields) + (dense_dim > 0) < 2:
            raise RequestError(
                f"model.interaction=dot: one vector makes no pairs, and these data have the field {next(iter(fields))} "
                "alone; give model.interaction=cat"
            )


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Bottom network, interaction, top network (Naumov et al., 2019); see ``bench.models.build``.

    The bottom network makes of the dense columns a vector as wide as the fields'. ``dot`` gives the top network the
    dot products of all pairs of vectors, and the bottom network's vector; ``cat`` all vectors, joined. Without dense
    columns there is no bottom network.
    """
    import keras
    import numpy as np
    from keras import ops

    ids = inputs(fields, dense_dim)
    vectors = read(fields, ids)
    bottom = []
    if dense_dim:
        hidden = network(ids[DENSE], replace(settings, hidden_units=settings.bottom_units), "bottom")
        bottom = [dense(vectors[0].shape[-1], "bottom_vector", "relu")(hidden)]
    if settings.interaction == "cat":
        top = joined([*bottom, *vectors])
    else:
        stacked = ops.stack([*bottom, *vectors], axis=1)
        products = ops.matmul(stacked, ops.transpose(stacked, (0, 2, 1)))
        count = len(bottom) + len(vectors)
        upper = np.flatnonzero(np.triu(np.ones((count, count)), 1)).astype(np.int32)
        flat = ops.reshape(products, (-1, count * count))
        top = joined([ops.take(flat, upper, axis=1), *bottom])
    return keras.Model(ids, scaled(score(network(top, settings)), label_range), name="dlrm")
