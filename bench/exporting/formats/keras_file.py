"""``model.keras``: the model in Keras's own format, with embeddings in the form that serves.

It is written by Keras's ``save`` and loaded by ``keras.saving.load_model`` in safe mode. A process that loads it
imports ``bench.embeddings.layer`` and ``bench.models.layers`` first, which hold the classes of its layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import line
from bench.exporting.formats import inside
from bench.exporting.formats.base import Operands, Written
from bench.models.inputs import DENSE
from bench.serving.manifest import Manifest

if TYPE_CHECKING:
    from bench.exporting.content import Content
    from bench.trained import Trained

FILE = "model.keras"
"""Name of the file."""


def write(folder: Path, trained: Trained, found: Content) -> Written:
    """Writes the model. Its inputs are row numbers as int64, by field; a row number outside makes NaN.

    Args:
        folder: the folder.
        trained: the trained model.
        found: what the export holds.
    """
    import keras

    from bench import backend

    sizes = {name: entry.size for name, entry in found.described.fields.items()}
    try:
        ids = {name: keras.Input((), dtype="int64", name=name) for name in sizes}
        if trained.data.dense_dim:
            ids[DENSE] = keras.Input((trained.data.dense_dim,), dtype="float32", name=DENSE)
        model = keras.Model(ids, inside.prediction(trained.model, ids, sizes), name="served")
        with backend.quiet():
            model.save(folder / FILE)
    except (TypeError, ValueError) as error:  # of layers of one's own, and of names that Keras does not take
        why = f"Keras does not save it ({line(error)[:200]})"
        return Written([], {"": why})
    return Written([FILE])


class Reader:
    """Computes by Keras; see ``bench.exporting.formats.base.Reader``."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        from bench import backend

        backend.load_defaults()
        import keras

        from bench.embeddings.layer import embedding_layers
        from bench.models import layers  # noqa: F401 (Keras has to know the classes)

        self._model = keras.saving.load_model(folder / FILE, safe_mode=True)
        self._layers = {
            one.name: layer
            for layer in embedding_layers(self._model)
            for one in layer.method.vocabulary.members
            if layer.name == f"{layer.method.vocabulary.name}_embedding"
        }

    def vectors(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Looks up vectors by the layer of the field, which refuses a row number outside: NaN here."""
        layer = self._layers[name]
        vocabulary = layer.method.vocabulary
        try:
            vocabulary.alone(name).check_ids(rows)
        except ValueError:
            return np.full((len(rows), layer.method.embedding_dim), np.nan, np.float32)
        return np.asarray(layer(rows.astype(np.int32) + np.int32(vocabulary.member(name).offset)))

    def predict(self, rows: Mapping[str, np.ndarray], dense: np.ndarray) -> np.ndarray:
        """Computes the model's output."""
        given: Operands = {**rows, DENSE: dense} if dense.shape[1] else {**rows}
        return np.asarray(self._model.predict(given, batch_size=len(dense), verbose=0))
