"""The trained model of a finished run, built again from the run's result, weights and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import models
from bench.config.typed import Choice
from bench.data import Interactions, Part
from bench.embeddings import read
from bench.embeddings.base import Method
from bench.embeddings.budget import choose
from bench.errors import RequestError
from bench.models.fields import by_field, joined
from bench.models.inputs import DENSE
from bench.records.result import Result

if TYPE_CHECKING:
    import keras

    from bench.embeddings.layer import CompressedEmbedding

OF_A_RUN = ("fields", "tables", "table_updates")
"""What a result's entry of a field holds beside the method's settings."""


@dataclass(frozen=True)
class Trained:
    """The trained model of a run, in the form that serves: its predictions are those that the run was measured by.

    Attributes:
        model: a Keras model from a dict of ids, int32 (rows,) by field, and ``dense_columns``, float32 (rows, k) if the
            data has dense columns, to predictions, float32 (rows,).
        embeddings: the layer of each field, from integers (...) to vectors (..., embedding_dim), with trained weights.
            The model has the same layers. Fields that share a table have one layer: see ``vectors``.
        data: the run's data set, split and numbered.
        result: the run's result.
    """

    model: keras.Model
    embeddings: Mapping[str, CompressedEmbedding]
    data: Interactions
    result: Result

    def vectors(self, field: str, ids: np.ndarray) -> np.ndarray:
        """Gives the vectors of a field's ids, float32 (..., embedding_dim), also if fields share its layer.

        Args:
            field: name of the field.
            ids: integers from 0 to the field's size - 1, of any shape (...).
        """
        from keras import ops

        layer = self.embeddings[field]
        offset = np.int32(layer.method.vocabulary.member(field).offset)
        return np.asarray(ops.convert_to_numpy(layer(np.asarray(ids) + offset)))

    def inputs(self, part: Part) -> dict[str, np.ndarray]:
        """Gives some rows as the model takes them, for ``model.predict``.

        Args:
            part: rows such as ``data.evaluation``.
        """
        dense = {} if part.dense is None else {DENSE: np.asarray(part.dense)}
        return {**{field: np.asarray(ids) for field, ids in part.ids.items()}, **dense}


def rebuild(result: Result, weights: Path, data: Interactions) -> Trained:
    """Builds the model of a run in the form that serves, and gives it the run's weights.

    Keras and TensorFlow are imported here. Keras's defaults become those of ``bench.backend``.

    Args:
        result: the run's result.
        weights: the run's ``weights.safetensors``.
        data: the run's data set.

    Raises:
        RequestError: the data are not those of the run, or this version has no such method or model.
        RunFailed: the weights cannot be read, or are of another model.
    """
    if data.digest != result.data_digest:
        raise RequestError(
            f"data_digest={result.data_digest}: the run's data; those that {result.dataset} gives now are others "
            f"({data.digest}); put back the files that the run read"
        )
    from bench import backend

    backend.load_defaults()
    from bench.embeddings.layer import CompressedEmbedding
    from bench.training.weights import load_weights

    layers = {}
    for name, method in methods(result, data).items():
        served = method.served() is not method
        layers[name] = CompressedEmbedding(method, served=served, name=f"{name}_embedding")
    of_fields = by_field(layers, data.fields)
    model = models.build(_model(result), of_fields, data.label_range, data.dense_dim)
    load_weights(model, weights)
    for layer in layers.values():
        layer.trainable = layer.form is layer.method  # codes and quantized rows are not trained further
    return Trained(model, of_fields, data, result)


def methods(result: Result, data: Interactions) -> dict[str, Method[Any]]:
    """Gives the methods with the sizes that the run used, by the names of their vocabularies.

    Raises:
        RequestError: this version has no such method, or the method has other settings.
    """
    entries = result.embeddings or {}
    used = {
        name: read({key: value for key, value in entry.items() if key not in OF_A_RUN})
        for name, entry in entries.items()
    }
    vocabularies = {name: joined(data, entry.get("fields") or [name]) for name, entry in entries.items()}
    return choose(
        used, vocabularies, models.vector_dim(_model(result), int(result.setting("embedding_dim"))), None
    )


def _model(result: Result) -> Choice:
    """Gives the model of a run: its name and settings."""
    spec: Mapping[str, Any] = result.setting("model")
    return models.read(spec)
