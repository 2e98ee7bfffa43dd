"""Parts that methods with shared rows have in common: the number of rows, and rows side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.embeddings.base import MAX_IDS, Initializer, Lookups, Vocabulary, check_positive

SHARE = 10
"""Number of ids for each row of a shared table, without a budget."""

BLOCK = 1 << 10
"""Number of ids whose places are computed at once."""


def num_rows(given: int | None, vocabulary: Vocabulary, parts: int = 1) -> int:
    """Chooses the number of rows of a shared table.

    Args:
        given: the user's number; None for a tenth of the vocabulary.
        vocabulary: the field. The table has at most one row an id.
        parts: number of such tables in one array, whose row numbers must be int32.

    Raises:
        RequestError: the number is below 1.
    """
    check_positive(num_rows=given)
    rows = vocabulary.size // SHARE if given is None else given
    return max(1, min(rows, vocabulary.size, MAX_IDS // parts))


def num_weights(given: int | None, vocabulary: Vocabulary, embedding_dim: int) -> int:
    """Chooses the number of elements of an array that all ids share.

    Args:
        given: the user's number; None for a tenth of vocabulary times embedding_dim.
        vocabulary: the field. The array has at most as many elements as a full table, and at most 2^31 - 1.
        embedding_dim: width of the vectors.

    Raises:
        RequestError: the number is below 1.
    """
    check_positive(num_weights=given)
    full = vocabulary.size * embedding_dim
    return max(1, min(full // SHARE if given is None else given, full, MAX_IDS))


def once_each(ids: Any, places: Callable[[Any], Lookups], xp: Any) -> Lookups:
    """Computes lookups of many numbers an id. In NumPy, each distinct id is computed once.

    A chunk of batches has most ids many times. Ids are processed in blocks whose results fit into a processor's cache.

    Args:
        ids: integers, shape (...).
        places: computes arrays (n, k) by name from ids (n,). With Keras, the ids have any shape.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        Arrays of shape (..., k) by name.
    """
    if xp is not np:
        return places(ids)
    ids = np.asarray(ids)
    distinct, inverse = np.unique(ids, return_inverse=True)
    parts = [places(distinct[i : i + BLOCK]) for i in range(0, max(len(distinct), 1), BLOCK)]
    inverse = inverse.reshape(ids.shape)
    return {name: np.concatenate([part[name] for part in parts])[inverse] for name in parts[0]}


def joined(rows: Any, width: int, xp: Any) -> Any:
    """Puts rows side by side, and cuts them to a width.

    Args:
        rows: shape (..., k, w).
        width: at most k w.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        Shape (..., width).
    """
    k, w = rows.shape[-2:]
    flat = xp.reshape(rows, (*xp.shape(rows)[:-2], k * w))
    return flat if k * w == width else flat[..., :width]


def uniform(ratio: float) -> Initializer:
    """Returns the initializer of rows that begin ``ratio`` times as spread as those of a full table, U(-0.05, 0.05)."""
    bound = 0.05 * ratio
    return {"class_name": "RandomUniform", "config": {"minval": -bound, "maxval": bound}}
