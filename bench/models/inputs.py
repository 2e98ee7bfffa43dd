"""What models share: their inputs, their outputs' scale, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from bench.embeddings.layer import CompressedEmbedding
from bench.errors import RequestError

DENSE = "dense"
"""The name of the input of dense columns."""


def inputs(fields: Mapping[str, CompressedEmbedding], dense_dim: int) -> dict[str, Any]:
    """Inputs: ids int32 (batch,) by field, and ``dense`` float32 (batch, dense_dim) unless that is 0."""
    if DENSE in fields:
        raise RequestError(
            f"a field cannot be called {DENSE}: that is the name of the dense columns; rename it"
        )
    out = {field: keras.Input((), dtype="int32", name=field) for field in fields}
    if dense_dim:
        out[DENSE] = keras.Input((dense_dim,), dtype="float32", name=DENSE)
    return out


def scaled(score: Any, label_range: tuple[float, float]) -> Any:
    """Gives lo + (hi - lo) * sigmoid(score), where lo = min(0, smallest label) and hi = the largest label."""
    low, high = min(0.0, float(label_range[0])), float(label_range[1])
    return low + (high - low) * keras.ops.sigmoid(score)


def only_two(model: str, fields: Mapping[str, Any], dense_dim: int) -> None:
    """Refuses data that a product of two vectors cannot take."""
    if len(fields) != 2:
        raise RequestError(
            f"model={model} takes exactly two fields, these data have {len(fields)} ({', '.join(fields)}); "
            "give model=neumf"
        )
    if dense_dim:
        raise RequestError(
            f"model={model} takes no dense columns, these data have {dense_dim}; give model=neumf"
        )
