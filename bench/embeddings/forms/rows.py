"""Tables whose rows hashed ids share: how many rows there are, and rows joined."""

from __future__ import annotations

from typing import Any

from bench.embeddings.base import MAX_IDS, Vocabulary
from bench.errors import RequestError

SHARE = 10
"""Without a budget a shared table has one row for so many ids."""


def check_positive(**sizes: int | None) -> None:
    """Refuses sizes below 1; None is left open and passes.

    Raises:
        RequestError: names the first such size and its value.
    """
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise RequestError(f"{name}={value}: give 1 or more")


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
