"""Times the lookup of a batch of ids."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from bench.data.interactions import Part
from bench.embeddings.layer import CompressedEmbedding
from bench.measure.timing import lookup_us
from bench.training.program import Program

BATCHES = 64
"""Most lookups in a call: starting a compiled program takes time that is not a lookup's."""

IDS = 1 << 20
"""Most ids of a field in a call, unless one batch has more: bounds the memory."""

CALL_SECONDS = 0.1
"""Seconds after which a call makes fewer lookups."""

SECONDS = 2.0
"""No further call is timed after so long."""


def time_lookup(
    layers: Mapping[str, CompressedEmbedding], part: Part, batch_size: int, jit: bool = True
) -> float:
    """Median microseconds to look up the vectors of one batch, all fields.

    Nothing of a result but this time depends on it: call it when the result is safe.

    Args:
        layers: the embedding layers by name: of a field, or of fields that share one.
        part: rows whose ids are looked up, at least one.
        batch_size: rows of a batch. Where the part has fewer, a batch is the whole part.
        jit: compile with XLA.
    """
    size = min(batch_size, len(part))
    batches = max(1, min(BATCHES, IDS // size))
    rows = np.arange(batches * size) % len(part)
    by_field = {field: own[rows].reshape(batches, size) for field, own in part.ids.items()}
    ids = {name: tf.constant(layer.method.vocabulary.ids_of(by_field, np)) for name, layer in layers.items()}

    def look_up(ids: dict[str, tf.Tensor], count: tf.Tensor) -> dict[str, tf.Tensor]:
        def body(i: tf.Tensor, sums: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            found = {name: layer(tf.gather(ids[name], i)) for name, layer in layers.items()}
            # Added up, so that the compiler cannot leave any of them out.
            return i + 1, {name: sums[name] + found[name] for name in layers}

        zero = {
            name: tf.zeros((*ids[name].shape[1:], layer.method.embedding_dim))
            for name, layer in layers.items()
        }
        sums: dict[str, tf.Tensor] = tf.while_loop(lambda i, _: i < count, body, (tf.constant(0), zero))[1]
        return sums

    program = Program(look_up, jit)

    def call(count: int) -> None:
        for total in program(ids, tf.constant(count)).values():
            total.numpy()

    call(0)  # compiles
    began = time.perf_counter()
    call(1)
    alone = time.perf_counter() - began
    count = max(1, min(batches, int(CALL_SECONDS / alone)))
    return lookup_us(lambda: call(count), repeats=20, warm_up=1, seconds=SECONDS) / count
