"""Keras layers of models; importing this imports Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

_COUNTED: ContextVar[Any] = ContextVar("counted", default=None)


@contextmanager
def counted_rows(mask: Any) -> Iterator[None]:
    """Lets the layers of a training step know which rows of the batch are data: the others only fill it up.

    Args:
        mask: boolean (batch,).
    """
    token = _COUNTED.set(mask)
    try:
        yield
    finally:
        _COUNTED.reset(token)


@keras.saving.register_keras_serializable(package="bench")
class BatchNorm(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalization (Ioffe and Szegedy, 2015) that leaves out rows that only fill up a batch.

    While training, means and variances are those of the batch's rows within ``counted_rows``. The defaults are those
    of the published click models: moving averages keep 0.9 of their value in a step, epsilon is 1e-5.

    Args:
        momentum: share of a moving average that stays in a step.
        epsilon: added to the variance.
        **kwargs: those of ``keras.layers.BatchNormalization``.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Numbers (batch, width), normalized by column.

        Args:
            inputs: float (batch, width).
            training: True normalizes by the batch, False by the moving averages.
            mask: boolean (batch,), or None for ``counted_rows``.
        """
        counted = _COUNTED.get() if training and mask is None else mask
        return super().call(inputs, training=training, mask=counted)


@keras.saving.register_keras_serializable(package="bench")
class Dropout(keras.layers.Dropout):  # type: ignore[misc]
    """Dropout (Srivastava et al., 2014) whose draws cost little beside the products of a network.

    While training, each number is set to 0 with probability ``rate``, and the others are divided by 1 - rate. With
    TensorFlow's generators the draws can take longer than all else in a step; see ``bench.models.noise``.

    Example:
        >>> Dropout(0.5)(keras.ops.ones((1, 2)), training=False).numpy().tolist()
        [[1.0, 1.0]]
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Numbers (batch, width), of any float dtype; some of them 0 while training."""
        if not (training and self.rate):
            return inputs
        from bench.models.noise import (
            drawn_key,
            noise,
        )  # imports TensorFlow, which a loaded model may do without

        rows, width = ops.arange(ops.shape(inputs)[0]), inputs.shape[-1]
        kept = noise(rows, width, drawn_key(self.seed_generator.next())) >= self.rate
        return ops.where(kept, inputs / (1 - self.rate), 0)


@keras.saving.register_keras_serializable(package="bench")
class Bias(keras.layers.Layer):  # type: ignore[misc]
    """Adds one trainable number, which starts at 0.

    Example:
        >>> float(Bias()(keras.ops.ones(()))[()])
        1.0
    """

    def build(self, input_shape: Any = None) -> None:
        """Makes the number."""
        self.bias = self.add_weight(shape=(), initializer="zeros", name="bias")

    def call(self, scores: Any) -> Any:
        """Scores of any shape, moved by the bias."""
        return scores + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The scores' shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="bench")
class NumericVectors(keras.layers.Layer):  # type: ignore[misc]
    """Makes a vector of each dense column: the column's number times a trained vector of its own.

    Example:
        >>> NumericVectors(8)(keras.ops.ones((2, 3))).shape
        TensorShape([2, 3, 8])

    Args:
        width: of the vectors.
        **kwargs: those of every Keras layer.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape: Any) -> None:
        """Makes the vectors, (columns, width)."""
        shape = (input_shape[-1], self.width)
        self.vectors = self.add_weight(shape=shape, initializer="glorot_normal", name="vectors")

    def call(self, columns: Any) -> Any:
        """Columns (batch, k) as vectors (batch, k, width)."""
        return ops.expand_dims(columns, -1) * self.vectors

    def compute_output_shape(self, input_shape: Any) -> Any:
        """(batch, k, width)."""
        return (*input_shape, self.width)

    def get_config(self) -> dict[str, object]:
        """Returns all that makes the layer anew."""
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="bench")
class Cross(keras.layers.Layer):  # type: ignore[misc]
    """A cross layer: x0 * (W x + b) + x, elementwise (Wang et al., "DCN V2", 2021, with a full matrix).

    Example:
        >>> Cross()([keras.ops.ones((2, 3)), keras.ops.ones((2, 3))]).shape
        TensorShape([2, 3])
    """

    def build(self, input_shape: Any) -> None:
        """Makes W, (width, width), and b, (width,)."""
        width = input_shape[0][-1]
        self.kernel = self.add_weight(shape=(width, width), initializer="glorot_normal", name="kernel")
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """x0 and x, each (batch, width), to (batch, width)."""
        first, x = inputs
        return first * (ops.matmul(x, self.kernel) + self.bias) + x

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of x."""
        return input_shape[1]
