"""``saved_model/``: TensorFlow's SavedModel, with a signature for each field and one for the model.

Keras's own export holds every array twice. Here a ``tf.Module`` holds the variables once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.embeddings.description import Member
from bench.exporting.formats import inside
from bench.exporting.formats.base import IDS, PREDICT, VECTORS, Written, signature
from bench.models.inputs import DENSE
from bench.serving.manifest import Manifest

if TYPE_CHECKING:
    from bench.exporting.content import Content
    from bench.trained import Trained

FOLDER, PREDICTION = "saved_model", "prediction"
"""Names of the folder, and of the output of ``predict``."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def write(folder: Path, trained: Trained, found: Content) -> Written:
    """Writes the folder.

    Args:
        folder: the export's folder.
        trained: the trained model.
        found: what the export holds.
    """
    import tensorflow as tf

    from bench import backend

    sizes = {name: entry.size for name, entry in found.described.fields.items()}
    left_out = {
        name: f"TensorFlow takes no signature of the name {signature(name)!r}"
        for name in sizes
        if not _NAME.fullmatch(signature(name))
    }
    signatures = {
        signature(name): _lookup(layer, layer.method.vocabulary.member(name))
        for name, layer in trained.embeddings.items()
        if name not in left_out
    }
    if odd := [name for name in sizes if not _NAME.fullmatch(name)]:
        left_out[PREDICT] = f"TensorFlow takes no input of the name {odd[0]!r}"
    else:
        signatures[PREDICT] = _predict(trained, sizes)
    if not signatures:
        return Written([], left_out)
    module = tf.Module()
    module.arrays = [variable.value for variable in trained.model.variables]
    with backend.quiet():
        tf.saved_model.save(module, str(folder / FOLDER), signatures=signatures)
    written = sorted(path for path in (folder / FOLDER).rglob("*") if path.is_file())
    return Written([path.relative_to(folder).as_posix() for path in written], left_out)


def _lookup(layer: Any, field: Member) -> Any:
    import tensorflow as tf

    def look_up(ids: Any) -> Any:
        rows, is_inside = inside.rows(ids, field.size)
        own = layer(rows + field.offset if field.offset else rows)
        return {VECTORS: inside.or_nan(own, is_inside)}

    return tf.function(look_up, input_signature=[tf.TensorSpec([None], tf.int64, IDS)], autograph=False)


def _predict(trained: Trained, sizes: Mapping[str, int]) -> Callable[..., Any]:
    import tensorflow as tf

    def predict(given: Any) -> Any:
        return {PREDICTION: inside.prediction(trained.model, given, sizes)}

    inputs = {name: tf.TensorSpec([None], tf.int64, name) for name in sizes}
    if trained.data.dense_dim:
        inputs[DENSE] = tf.TensorSpec([None, trained.data.dense_dim], tf.float32, DENSE)
    made: Callable[..., Any] = tf.function(predict, input_signature=[inputs], autograph=False)
    return made


class Reader:
    """Computes by TensorFlow; see ``bench.exporting.formats.base.Reader``."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        from bench import backend

        backend.load()
        import tensorflow as tf

        self._loaded = tf.saved_model.load(str(folder / FOLDER))

    def vectors(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Looks up vectors."""
        return self._run(signature(name), {IDS: rows})[VECTORS]

    def predict(self, rows: Mapping[str, np.ndarray], dense: np.ndarray) -> np.ndarray:
        """Computes the model's output."""
        given = {**rows, DENSE: dense} if dense.shape[1] else {**rows}
        return self._run(PREDICT, given)[PREDICTION]

    def _run(self, name: str, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        import tensorflow as tf

        tensors = {key: tf.constant(value) for key, value in given.items()}
        return {key: np.asarray(value) for key, value in self._loaded.signatures[name](**tensors).items()}
