"""The parts that click models are made of: vectors, linear part, pairs, network. Keras is imported when it is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bench.config.typed import Count, Rest
from bench.embeddings.base import Method, Vocabulary
from bench.embeddings.methods.full import Full, FullSettings
from bench.errors import RequestError
from bench.models.inputs import DENSE, read

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding

Fields = Mapping[str, "CompressedEmbedding"]
Inputs = Mapping[str, "keras.KerasTensor"]


@dataclass
class Network:
    """Settings of the network that several models have."""

    hidden_units: list[Count] = field(default_factory=lambda: [400, 400, 400])
    """Width of each hidden layer of the network."""

    dropout: Rest = 0.0
    """Share of each hidden layer's outputs that is dropped while training."""

    batch_norm: bool = False
    """Normalize each hidden layer's sums over the batch, before the activation."""


@dataclass
class Linear:
    """The setting of models with a linear part."""

    linear: Literal["projected", "own"] = "projected"
    """``projected``: a trained vector for each field reads the field's vector. ``own``: one number an id."""

    def own_tables(self, vocabularies: Mapping[str, Vocabulary]) -> dict[str, Method[Any]]:
        """Gives the tables of one number an id that the model has beside the fields' embeddings, by a name."""
        return linear_tables(vocabularies) if self.linear == "own" else {}


def linear_tables(vocabularies: Mapping[str, Vocabulary]) -> dict[str, Method[Any]]:
    """Gives the description of a table of one number an id for each field."""
    settings = FullSettings(initializer="tiny")
    return {f"{name}_linear": Full(vocabulary, 1, settings) for name, vocabulary in vocabularies.items()}


def two_vectors(model: str, fields: Collection[str], dense_dim: int) -> None:
    """Refuses data that have no pair of vectors.

    Raises:
        RequestError: one field and no dense column.
    """
    if len(fields) + dense_dim < 2:
        raise RequestError(
            f"model={model} takes two fields or dense columns or more, these data have {len(fields)} "
            f"({', '.join(fields)}); give model=lr"
        )


def vectors(fields: Fields, ids: Inputs, dense_dim: int) -> list[Any]:
    """Gives the fields' vectors, each (batch, width), and those of the dense columns: number times a trained vector."""
    found = read(fields, ids)
    if dense_dim:
        from bench.models.layers import NumericVectors

        width = found[0].shape[-1]
        columns = NumericVectors(width, name="numeric_vectors")(ids[DENSE])
        found += [columns[:, number] for number in range(dense_dim)]
    return found


def linear(fields: Fields, ids: Inputs, read: Sequence[Any], own: bool, dense_dim: int) -> Any:
    """The linear part without a bias, (batch,): the sum of one number for each field, and of weighted dense columns.

    Args:
        fields: the embedding layer of each field.
        ids: the model's inputs.
        read: the vectors, see ``vectors``.
        own: True takes the numbers from tables of their own, False as products of the vectors with trained ones.
        dense_dim: how many dense columns there are.
    """
    import keras
    from keras import ops

    if not own:
        weigh = keras.layers.Dense(1, use_bias=False, kernel_initializer="glorot_normal", name="linear")
        return ops.squeeze(weigh(joined(read)), axis=-1)
    from bench.embeddings.layer import CompressedEmbedding

    vocabularies = {name: layer.method.vocabulary.alone(name) for name, layer in fields.items()}
    tables = [CompressedEmbedding(method, name=name) for name, method in linear_tables(vocabularies).items()]
    numbers = [table(ids[name]) for name, table in zip(fields, tables, strict=True)]
    if dense_dim:
        weigh = keras.layers.Dense(
            1, use_bias=False, kernel_initializer="glorot_normal", name="linear_columns"
        )
        numbers.append(weigh(ids[DENSE]))
    return ops.sum(joined(numbers), axis=-1)


def joined(parts: Sequence[Any]) -> Any:
    """Parts (batch, width) side by side."""
    from keras import ops

    return ops.concatenate(list(parts), axis=-1) if len(parts) > 1 else parts[0]


def pairs(read: Sequence[Any]) -> Any:
    """The sum of the dot products of all pairs of vectors, (batch,): half of (sum v)^2 - sum v^2 (Rendle, 2010)."""
    from keras import ops

    stacked = ops.stack(list(read), axis=1)
    square_of_sum = ops.square(ops.sum(stacked, axis=1))
    sum_of_squares = ops.sum(ops.square(stacked), axis=1)
    return 0.5 * ops.sum(square_of_sum - sum_of_squares, axis=-1)


def network(hidden: Any, settings: Network, name: str = "hidden") -> Any:
    """Hidden layers: linear, batch normalization, ReLU, dropout. Weights start as Glorot's normal, biases as 0.

    Args:
        hidden: (batch, width).
        settings: of the layers.
        name: of the first layers; the others are called after it.
    """
    import keras

    from bench.models.layers import BatchNorm, Dropout

    for number, units in enumerate(settings.hidden_units):
        hidden = dense(units, f"{name}_{number}")(hidden)
        if settings.batch_norm:
            hidden = BatchNorm(name=f"{name}_{number}_norm")(hidden)
        hidden = keras.layers.ReLU(name=f"{name}_{number}_relu")(hidden)
        if settings.dropout:
            hidden = Dropout(settings.dropout, name=f"{name}_{number}_dropout")(hidden)
    return hidden


def dense(units: int, name: str, activation: str | None = None) -> Any:
    """A linear layer that starts as Glorot's normal with biases of 0."""
    import keras

    return keras.layers.Dense(units, activation, kernel_initializer="glorot_normal", name=name)


def score(hidden: Any) -> Any:
    """One number a row, (batch,): a linear layer with a bias over (batch, width)."""
    from keras import ops

    return ops.squeeze(dense(1, "score")(hidden), axis=-1)
