"""Optimizers that move the rows of a batch alone, with the numbers of their originals.

They are not the dense optimizers: with Adam, a row that a batch does not read would go on moving by its momentum. Their
rules for rows are in ``bench.training.rules``. The classes here are the form in which they update what is no table:
biases, projections, the layers above the embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


class LazyAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam, lazy on tables (PyTorch's ``SparseAdam``).

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of the mean of gradients.
        beta_2: decay of the mean of their squares.
        epsilon: added to the root.
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon)

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments of the constructor."""
        names = ("learning_rate", "beta_1", "beta_2", "epsilon")
        return {name: value for name, value in super().get_config().items() if name in names}


class LazyAdagrad(keras.optimizers.Optimizer):  # type: ignore[misc]
    """Adagrad as PyTorch writes it: a += g^2; w -= lr g / (sqrt(a) + epsilon).

    Keras adds epsilon under the root, and begins a at 0.1.

    Args:
        learning_rate: a number or a schedule.
        initial_accumulator_value: the value that each a begins at.
        epsilon: added to the root.
    """

    def __init__(
        self, learning_rate: Any = 0.01, initial_accumulator_value: float = 0.0, epsilon: float = 1e-10
    ) -> None:
        super().__init__(learning_rate)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon
        self.sums: list[Any] = []
        self._place: dict[int, int] = {}

    def build(self, variables: Sequence[Any]) -> None:
        """Makes a sum of squares beside each variable."""
        if self.built:
            return
        super().build(variables)
        first = keras.initializers.Constant(self.initial_accumulator_value)
        self.sums = [self.add_variable_from_reference(v, "accumulator", initializer=first) for v in variables]
        self._place = {id(v.value): number for number, v in enumerate(variables)}

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable, TensorFlow's own, by its gradient of the same shape."""
        total = self.sums[self._place[id(variable)]]
        gradient = ops.cast(gradient, variable.dtype)
        total.assign_add(gradient * gradient)
        rate = ops.cast(learning_rate, variable.dtype)
        variable.assign_sub(rate * gradient / (ops.sqrt(total) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """Gives the arguments of the constructor."""
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {"learning_rate": super().get_config()["learning_rate"], **own}


class RowwiseAdagrad(LazyAdagrad):
    """Adagrad with one number a row of a table, the mean of its squares; all else as ``LazyAdagrad`` (DLRM's)."""


BY_NAME = {"lazy_adam": LazyAdam, "lazy_adagrad": LazyAdagrad, "rowwise_adagrad": RowwiseAdagrad}
"""The classes by their names in settings."""
