"""The choice of a codebook entry for each part of a vector: the one with the highest score."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.embeddings.served.codes import entries, split

BLOCK = 1 << 13
"""Number of ids whose scores are in memory at once."""

NARROW = 16
"""Width of a part up to which scores are summed number by number. XLA's products of many small matrices take three
times as long."""


def scores(vectors: Any, keys: Any, by_distance: bool, xp: Any) -> Any:
    """Computes how well each key fits each part of a vector. The key with the highest score is chosen.

    Args:
        vectors: float32 (n, embedding_dim).
        keys: (num_parts, num_codes, width).
        by_distance: True gives 2 q . k - |k|^2, which is |q|^2 - |q - k|^2; False gives q . k.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        (n, num_parts, num_codes).
    """
    parts, _, width = keys.shape
    queries = split(vectors, parts, width, xp)
    if width <= NARROW:
        product = queries[:, :, :1] * keys[:, :, 0]
        for j in range(1, width):
            product = product + queries[:, :, j : j + 1] * keys[:, :, j]
    else:
        by_part = xp.matmul(xp.transpose(queries, (1, 0, 2)), xp.transpose(keys, (0, 2, 1)))
        product = xp.transpose(by_part, (1, 0, 2))
    return 2.0 * product - xp.sum(xp.square(keys), axis=-1) if by_distance else product


def best(scores: Any, xp: Any, allowed: Any = None) -> Any:
    """Finds the number of the highest score; among equal scores, the first.

    Args:
        scores: (n, num_parts, num_codes).
        xp: ``numpy`` or ``keras.ops``.
        allowed: for each vector, how many of the first codes it may have: int (n,), 1 or more; None for all codes.

    Returns:
        int32 (n, num_parts).
    """
    count = scores.shape[-1]
    code = np.arange(count, dtype=np.int32)
    if allowed is not None:
        scores = xp.where(code < xp.reshape(allowed, (-1, 1, 1)), scores, np.float32(-np.inf))
    # Keras's argmax holds number and value side by side, which XLA does not vectorize; this takes a fifth of the time.
    # The initial values are the results for an empty array.
    highest = xp.max(scores, axis=-1, keepdims=True, initial=np.float32(-np.inf))
    number = xp.where(scores >= highest, code, np.int32(count))
    return xp.min(number, axis=-1, initial=np.int32(count - 1))


def numbers(queries: Any, keys: Any, xp: Any, allowed: Any = None) -> Any:
    """Finds the number of the key nearest to each part of queries (n, embedding_dim), int32 (n, num_parts).

    ``allowed`` is as in ``best``.
    """
    return best(scores(queries, keys, True, xp), xp, allowed)


def nearest(queries: Any, keys: Any, xp: Any, allowed: Any = None) -> Any:
    """Returns the keys nearest to queries, (n, embedding_dim). The gradient goes to the keys only.

    ``allowed`` is as in ``best``.
    """
    found = numbers(fixed(queries, xp), fixed(keys, xp), xp, allowed)
    return entries(keys, found, queries.shape[-1], xp)


def fixed(values: Any, xp: Any) -> Any:
    """Returns ``values`` without their gradient."""
    return values if xp is np else xp.stop_gradient(values)
