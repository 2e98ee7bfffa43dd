"""How long it takes to look up a batch of ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from bench.data.interactions import Part
from bench.measure.timing import lookup_us

BATCHES = 64
"""Lookups a call: what it costs to start a compiled program is not what a lookup costs."""


def time_lookup(layers: Mapping[str, Any], part: Part, batch_size: int, jit: bool = True) -> float:
    """Median microseconds to look up the vectors of ``batch_size`` rows, all fields.

    Args:
        layers: the embedding layer of each field.
        part: rows whose ids are looked up.
        batch_size: rows a lookup.
        jit: compile with XLA.
    """
    rows = np.arange(BATCHES * batch_size) % len(part)
    ids = {field: tf.constant(part.ids[field][rows].reshape(BATCHES, batch_size)) for field in layers}

    @tf.function(jit_compile=jit or None)  # type: ignore[untyped-decorator]
    def look_up(ids: dict[str, Any]) -> dict[str, Any]:
        def body(i: Any, sums: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            found = {field: layer(tf.gather(ids[field], i)) for field, layer in layers.items()}
            # Added up, so that the compiler cannot leave any of them out.
            return i + 1, {field: sums[field] + found[field] for field in layers}

        zero = {field: tf.zeros((batch_size, layer.method.embedding_dim)) for field, layer in layers.items()}
        return tf.while_loop(lambda i, _: i < BATCHES, body, (tf.constant(0), zero))[1]  # type: ignore[no-any-return]

    def call() -> None:
        for total in look_up(ids).values():
            total.numpy()

    return lookup_us(call, repeats=20, warm_up=2) / BATCHES
