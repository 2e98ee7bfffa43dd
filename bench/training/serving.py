"""From a trained model to the one that serves: embeddings as codes, quantized or sparse rows, all else as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from bench.embeddings.base import Method
from bench.embeddings.layer import CompressedEmbedding
from bench.measure.memory import embedding_memory

Layers = Mapping[str, CompressedEmbedding]


def to_served(
    model: Any, layers: Layers, build: Callable[[Layers], Any], seed: int
) -> tuple[Any, dict[str, CompressedEmbedding]]:
    """The model over embeddings in the form that serves, and these; the same ones where that is what is trained.

    Args:
        model: trained.
        layers: its embedding layer of each field.
        build: a model like it over other embedding layers.
        seed: of what is drawn on the way.
    """
    served = {
        field: layer if layer.method.served() is layer.method else layer.to_served(seed)
        for field, layer in layers.items()
    }
    if all(served[field] is layer for field, layer in layers.items()):
        return model, served
    made = build(served)
    pairs = zip(_others(model, layers), _others(made, served), strict=True)
    for trained, variable in pairs:
        variable.assign(trained)
    return made, served


def sizes(
    model: Any, layers: Layers, own_tables: Mapping[str, Method[Any]] = MappingProxyType({})
) -> dict[str, int]:
    """``params_total`` and ``params_embedding``, trainable numbers, and ``model_bytes``, bytes of all that serves.

    Args:
        model: the trained one.
        layers: its embedding layer of each field.
        own_tables: the further tables that count as embeddings, by the names of their layers.
    """
    methods = {**{field: layer.method for field, layer in layers.items()}, **own_tables}
    trainable = [
        array
        for method in methods.values()
        for array in (*method.tables(), *method.weights())
        if array.trainable
    ]
    known = {**layers, **{name: model.get_layer(name) for name in own_tables}}
    others = sum(math.prod(v.shape) * v.value.dtype.size for v in _others(model, known))
    return {
        "params_total": sum(math.prod(v.shape) for v in model.trainable_variables),
        "params_embedding": sum(array.size for array in trainable),
        "model_bytes": embedding_memory(methods)["embedding_bytes"] + others,
    }


def _others(model: Any, layers: Layers) -> list[Any]:
    """The model's variables that belong to no field's embedding."""
    of_embeddings = {id(v) for layer in layers.values() for v in layer.variables}
    return [v for v in model.variables if id(v) not in of_embeddings]
