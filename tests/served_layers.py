"""Layers of the form that serves, made without training."""

from __future__ import annotations

import numpy as np

from bench.embeddings import find
from bench.embeddings.base import Progress, Vocabulary
from bench.embeddings.layer import CompressedEmbedding


def served(name: str, size: int = 300, dim: int = 16, field: str = "user") -> CompressedEmbedding:
    """A layer of the form that serves, made of random numbers as at the end of training."""
    counts = np.random.default_rng(size).zipf(1.3, size).clip(0, 10**6)
    layer = CompressedEmbedding(find(name)(Vocabulary(field, size, counts), dim), name=f"{field}_embedding")
    layer.build(())
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    end = Progress(20, 20, epoch=2, epochs=2, epoch_ended=True)
    if layer.method.is_due(end):
        arrays = layer.arrays()
        layer.set_arrays(layer.method.change(end, arrays, np.random.default_rng(7)).applied(arrays))
    return layer.to_served() if layer.method.served() is not layer.method else layer
