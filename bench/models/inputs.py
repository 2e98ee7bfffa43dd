"""The parts that models share: inputs, the scale of outputs, and refusals. Keras is imported when it is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from bench.errors import RequestError

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding

DENSE = "dense_columns"
"""The name of the input of dense columns. Keras calls the first ``Dense`` layer of a process ``dense``."""


def inputs(fields: Collection[str], dense_dim: int) -> dict[str, keras.KerasTensor]:
    """Inputs: ids int32 (batch,) by field, and ``dense_columns`` float32 (batch, dense_dim) unless that is 0.

    Raises:
        RequestError: a field has the name of the dense columns.
    """
    import keras

    if DENSE in fields:
        raise RequestError(
            f"a field cannot be called {DENSE}: that is the name of the dense columns; rename it"
        )
    out = {field: keras.Input((), dtype="int32", name=field) for field in fields}
    if dense_dim:
        out[DENSE] = keras.Input((dense_dim,), dtype="float32", name=DENSE)
    return out


def read(fields: Mapping[str, CompressedEmbedding], ids: Mapping[str, keras.KerasTensor]) -> list[Any]:
    """Gives the vectors of the fields, each (batch, width), in order. Each layer is called once.

    Args:
        fields: the embedding layer of each field. Fields may share one.
        ids: the model's inputs.
    """
    from keras import ops

    found: dict[str, Any] = {}
    for name, layer in fields.items():
        vocabulary = layer.method.vocabulary
        if not vocabulary.is_shared:
            found[name] = layer(ids[name])
        elif name not in found:
            vectors = ops.unstack(layer(vocabulary.ids_of(ids, ops)), len(vocabulary.members), axis=-2)
            found |= {one.name: part for one, part in zip(vocabulary.members, vectors, strict=True)}
    return [found[name] for name in fields]


def scaled(score: Any, label_range: tuple[float, float] | None) -> Any:
    """Gives lo + (hi - lo) * sigmoid(score), where lo = min(0, smallest label) and hi = the largest label.

    Args:
        score: a tensor of any shape.
        label_range: smallest and largest training label; None if a logit is wanted: the score as it is.
    """
    if label_range is None:
        return score
    from keras import ops

    low, high = min(0.0, float(label_range[0])), float(label_range[1])
    return low + (high - low) * ops.sigmoid(score)


def only_two(model: str, fields: Collection[str], dense_dim: int) -> None:
    """Refuses data that a product of two vectors cannot take.

    Raises:
        RequestError: the data have not exactly two fields, or have dense columns.
    """
    if len(fields) != 2:
        raise RequestError(
            f"model={model} takes exactly two fields, these data have {len(fields)} ({', '.join(fields)}); "
            "give model=neumf"
        )
    if dense_dim:
        raise RequestError(
            f"model={model} takes no dense columns, these data have {dense_dim}; give model=neumf"
        )
