"""Tables whose rows hashed ids share: how many rows there are, and rows joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.embeddings.base import MAX_IDS, Vocabulary, check_positive

SHARE = 10
"""Without a budget a shared table has one row for so many ids."""


BLOCK = 1 << 10
"""Ids whose many places are worked out at once."""


def num_rows(given: int | None, vocabulary: Vocabulary, parts: int = 1) -> int:
    """How many rows a shared table has: as given, or a tenth of the vocabulary.

    Args:
        given: what the user asked for; None for a tenth of the vocabulary.
        vocabulary: more rows than it has ids are not made.
        parts: tables of so many rows that lie in one; all their row numbers must be int32.

    Raises:
        RequestError: fewer than 1 row.
    """
    check_positive(num_rows=given)
    rows = vocabulary.size // SHARE if given is None else given
    return max(1, min(rows, vocabulary.size, MAX_IDS // parts))


def num_weights(given: int | None, vocabulary: Vocabulary, embedding_dim: int) -> int:
    """How many numbers an array that all ids share has: as given, or a tenth of those of a full table.

    Args:
        given: what the user asked for; None for a tenth of vocabulary times embedding_dim.
        vocabulary: more numbers than a full table of it has are not made, nor more than int32 can tell apart.
        embedding_dim: width of the vectors.

    Raises:
        RequestError: fewer than 1 number.
    """
    check_positive(num_weights=given)
    full = vocabulary.size * embedding_dim
    return max(1, min(full // SHARE if given is None else given, full, MAX_IDS))


def once_each(ids: Any, places: Callable[[Any], dict[str, Any]], xp: Any) -> dict[str, Any]:
    """What ``places`` gives of some ids; in NumPy each is asked for once, however often it occurs.

    For lookups of many numbers an id: a chunk of batches has most ids many times, and what is worked out of some ids at
    a time stays in a processor's cache.

    Args:
        ids: integers, shape (...).
        places: from ids of shape (n,), or in Keras of any, to arrays of shape (n, k) by name.
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
    """Rows side by side, cut to a width.

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


def uniform(ratio: float) -> dict[str, Any]:
    """The initializer of rows that begin ``ratio`` times as spread as those of a full table, U(-0.05, 0.05)."""
    bound = 0.05 * ratio
    return {"class_name": "RandomUniform", "config": {"minval": -bound, "maxval": bound}}
