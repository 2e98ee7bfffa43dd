"""Arrays that a layer's config cannot make: what ``clone_model``, ``from_config`` and ``to_json`` leave out.

A config has nothing of the training rows, such as frequencies, which are as many numbers as there are ids, and nothing
of what a form that serves holds. So a layer made from a config marks what it lacks, and refuses calls until it gets
weights.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from bench.embeddings.base import Array, Method, Vocabulary


class Awaited:
    """The arrays of one layer that only weights bring.

    Args:
        names: their names, for a layer made from a config. None: the layer makes all of its arrays itself.
    """

    def __init__(self, names: list[str] | None = None) -> None:
        self._names = names
        self._lacking = names or []

    def names(self, method: Method[Any], form: Method[Any]) -> list[str]:
        """Names the arrays: maps that training rows decide, and all of a form that serves.

        Args:
            method: the layer's method.
            form: the method, or its form that serves.
        """
        if self._names is None:
            self._names = _of_rows(method) if form is method else [array.name for array in form.arrays()]
        return self._names

    def mark(self, array: Array) -> np.ndarray | None:
        """The value of an array that the layer lacks, which marks it; None for other arrays."""
        return np.full(array.shape, _mark(array.dtype)) if array.name in self._lacking else None

    def check(self, layer: Any) -> None:
        """Refuses to go on while the arrays of a layer are marked, inside a function that is being compiled too.

        Raises:
            ValueError: names the arrays.
        """
        if not self._lacking or _symbolic():
            return
        types = {array.name: array.dtype for array in layer.form.arrays()}
        if all(_is_marked(layer.array_variables[name], types[name]) for name in self._lacking):
            raise ValueError(
                f"layer {layer.name}: made from a config, which lacks {', '.join(self._lacking)}; give it the weights "
                "of the layer that the config is of (set_weights, load_weights), or make it anew as that was made"
            )
        self._lacking = []


def _of_rows(method: Method[Any]) -> list[str]:
    if method.vocabulary.counts is None and method.vocabulary.pairs is None:
        return []
    vocabulary = Vocabulary.from_config(method.vocabulary.config())
    without = type(method)(vocabulary, method.embedding_dim, method.settings).build_maps()
    return [k for k, value in method.build_maps().items() if not np.array_equal(value, without[k])]


def _mark(dtype: str) -> Any:
    """A number that stands nowhere in a map: the lowest of the type, or the highest if that is 0; of floats NaN."""
    made = np.dtype(dtype)
    if made.kind not in "iu":
        return made.type(np.nan)
    limits = np.iinfo(made)
    return made.type(limits.min or limits.max)


def _is_marked(variable: keras.Variable, dtype: str) -> bool:
    import tensorflow as tf

    with tf.init_scope():  # out of the function that is being compiled
        value = ops.convert_to_numpy(variable.value)
    mark = _mark(dtype)
    parts = (value.flat[:1], value)  # one look tells in most cases
    return all(np.array_equal(part, np.full_like(part, mark), equal_nan=mark != mark) for part in parts)


def _symbolic() -> bool:
    """True while Keras calls layers for their shapes alone, which it does before it loads weights."""
    with keras.SymbolicScope() as scope:
        return scope.original_scope is not None
