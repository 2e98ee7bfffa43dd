"""DCN-v2: cross layers over the joined vectors, beside a network or before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench.config.typed import Count
from bench.models.inputs import inputs, scaled
from bench.models.parts import Network, joined, network, score, vectors

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding


@dataclass
class Settings(Network):
    """Settings of ``dcn_v2``."""

    structure: Literal["parallel", "stacked"] = "parallel"
    """``parallel``: cross layers beside the network. ``stacked``: the network over the cross layers."""

    cross_layers: Count = 3
    """How many cross layers."""


def build(
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    settings: Settings,
    dense_dim: int = 0,
) -> keras.Model:
    """Cross layers x0 * (W x + b) + x and a network (Wang et al., "DCN V2", 2021); see ``bench.models.build``.

    ``parallel`` joins the last cross layer and the last hidden layer for the score. ``stacked`` puts the network over
    the last cross layer.
    """
    import keras

    from bench.models.layers import Cross

    ids = inputs(fields, dense_dim)
    first = joined(vectors(fields, ids, dense_dim))
    crossed = first
    for number in range(settings.cross_layers):
        crossed = Cross(name=f"cross_{number}")([first, crossed])
    if settings.structure == "stacked":
        last = network(crossed, settings)
    else:
        last = joined([crossed, network(first, settings)])
    return keras.Model(ids, scaled(score(last), label_range), name="dcn_v2")
