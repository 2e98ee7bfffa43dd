"""The embedding layers of a model, as training reads and updates them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.config.optimizers import HELD_ONCE
from bench.data.interactions import Interactions
from bench.embeddings.base import Method
from bench.embeddings.layer import CompressedEmbedding, embedding_layers
from bench.errors import RequestError
from bench.training.arrays import LARGE


def check_averages(methods: Sequence[Method[Any]]) -> None:
    """Refuses averages of weights for methods that change their arrays between steps: an average is none of them.

    Raises:
        RequestError: names the method.
    """
    for method in methods:
        if method.rounded() or method.changes():
            raise RequestError(
                f"training.optimizer_settings.use_ema=true: {method.name()} rounds, prunes or regroups its tables "
                "while it trains, so that an average over steps is not one of its tables; leave use_ema out, or "
                "choose another strategy"
            )


def layers_by_key(model: Any, data: Interactions) -> dict[str, CompressedEmbedding]:
    """The model's embedding layers that read fields of the data, by a unique name; others train by autodiff."""
    sizes = {name: field.size for name, field in data.fields.items()}
    return {
        f"{number}_{layer.name}": layer
        for number, layer in enumerate(embedding_layers(model))
        if all(sizes.get(one.name) == one.size for one in layer.method.vocabulary.members)
    }


def tables_by_rows(layer: CompressedEmbedding, small_too: bool) -> frozenset[str]:
    """The names of a layer's tables that are updated by rows: the large ones, or all."""
    tables = [a for a in layer.method.tables() if a.trainable]
    return frozenset(a.name for a in tables if small_too or math.prod(a.shape) > LARGE)


def held_once(layer: CompressedEmbedding, table: str) -> bool:
    """Returns True if a table is large, and nothing but single rows of it are read or changed while it trains."""
    return math.prod(layer.table_variables[table].shape) > HELD_ONCE and not layer.method.changes()


def maps_of(layer: CompressedEmbedding) -> dict[str, np.ndarray]:
    """The integer arrays of a layer that its lookups read, by name."""
    return layer.maps()
