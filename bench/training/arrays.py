"""Trainable arrays and the optimizer's state beside them: large tables by rows, all else whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.training.noise import noise, noise_key
from bench.training.rules import RowRule

LARGE = 1 << 16
"""Numbers in an array above which its rows are worth deferring: below, one pass over all of it costs less."""

BLOCK_ROWS = 1 << 16
"""Rows that are rewritten at once between epochs: bounds the memory that takes."""

OF_WHOLE = 1 << 16
"""Keeps the noise of arrays that are updated whole apart from that of deferred tables."""


class DeferredTable:
    """A table with its moments, updated by rows.

    Weights, moments and the step of the last update lie side by side in one row, so that a step reads and writes
    each row once: XLA pays for the number of gathers and scatters, hardly for their width. The layer's own
    variable is current only after ``settle``.
    """

    def __init__(self, variable: Any, rule: RowRule) -> None:
        self.variable, self.rule = variable, rule
        self.rows, self.width = variable.shape
        self.columns = self.width * (1 + len(rule.slots)) + rule.clock
        self.state = tf.Variable(tf.zeros((self.rows, self.columns)), name="rows")
        self.adopt(reset_moments=True)

    @property
    def nbytes(self) -> int:
        """Bytes held beside the layer's own variable."""
        return 4 * int(self.rows) * int(self.columns)

    def read(self, index: Any, step: Any, base: Any, coefficients: Any) -> tuple[Any, list[Any]]:
        """Weights and moments of some rows, as the dense optimizer has them after ``step`` steps."""
        return self._current(tf.gather(self.state, index), step, base, coefficients)

    def write(self, index: Any, weights: Any, slots: list[Any], step: Any, base: Any) -> None:
        """Stores rows as of ``step``; equal rows must come with equal values."""
        clock = []
        if self.rule.clock:
            clock = [tf.fill((weights.shape[0], 1), tf.cast(step - base, tf.float32))]
        rows = tf.concat([weights, *slots, *clock], axis=1)
        self.state.scatter_update(tf.IndexedSlices(rows, index))

    def adopt(self, reset_moments: bool) -> None:
        """Takes over new values of the layer's variable; the rows must have been settled with ``reset``."""
        for block in self._blocks():
            weights = self.variable.value[block]
            n = weights.shape[0]
            moments = self.state[block][:, self.width :]
            if reset_moments:
                first = [tf.fill((n, self.width), value) for value in self.rule.slots]
                clock = [tf.zeros((n, 1))] if self.rule.clock else []
                moments = tf.concat([*first, *clock, tf.zeros((n, 0))], axis=1)
            self.state[block].assign(tf.concat([weights, moments], axis=1))

    def settle(self, step: int, base: int, coefficients: Any, reset: bool) -> None:
        """Renews the layer's variable as of ``step``; with ``reset``, brings the rows' own state there too."""
        for block in self._blocks():
            state = self.state[block]
            weights = state[:, : self.width]
            if self.rule.clock:
                weights, slots = self._current(state, tf.constant(step), tf.constant(base), coefficients)
                if reset:
                    clock = tf.zeros((weights.shape[0], 1))
                    self.state[block].assign(tf.concat([weights, *slots, clock], axis=1))
            self.variable.value[block].assign(weights)

    def _current(self, state: Any, step: Any, base: Any, coefficients: Any) -> tuple[Any, list[Any]]:
        parts = [state[:, i * self.width : (i + 1) * self.width] for i in range(1 + len(self.rule.slots))]
        weights, slots = parts[0], parts[1:]
        if not self.rule.clock:
            return weights, slots
        # Steps since ``base``, which moves on before float32 cannot hold them exactly.
        clock = state[:, self.columns - 1]
        then = tf.gather(coefficients, base + tf.cast(clock, tf.int32))
        k = tf.cast(step - base, tf.float32) - clock
        return self.rule.catch_up(weights, slots, then, tf.gather(coefficients, step), k[:, None])

    def _blocks(self) -> list[slice]:
        return [slice(i, min(i + BLOCK_ROWS, self.rows)) for i in range(0, self.rows, BLOCK_ROWS)]


class WholeArrays:
    """Trainable arrays that are updated whole by the Keras optimizer.

    Where the optimizer treats every number alone, the small ones are one flat vector to it: one pass instead of a
    dozen small programs an array. Large ones stay apart, since their part of a vector would be copied each step.

    A table's gradient is nonzero in the batch's rows alone. It is kept as an array that is all zero between steps:
    filling one with zeros in each step would take as long as a third of the optimizer.

    Args:
        variables: Keras variables, all that the optimizer is to update.
        optimizer: not yet built.
        flat: the optimizer treats every number alone.
        tables: ids of the variables that are only ever read by rows.
        after: by id of a variable, what becomes of its new value: from it and noise of its shape.
        seed: of that noise.
    """

    def __init__(
        self,
        variables: Sequence[Any],
        optimizer: Any,
        flat: bool,
        tables: frozenset[int] = frozenset(),
        after: Mapping[int, Callable[[Any, Any], Any]] = MappingProxyType({}),
        seed: int = 0,
    ) -> None:
        self.variables, self.optimizer = list(variables), optimizer
        self.after, self.seed = after, seed
        size = {id(v): int(np.prod(v.shape)) for v in self.variables}
        self.small = [v for v in self.variables if flat and size[id(v)] <= LARGE and id(v) not in after]
        self.sizes = [size[id(v)] for v in self.small]
        small = {id(v) for v in self.small}
        self.held = [v for v in self.variables if id(v) not in small]
        self.flattened = {id(v) for v in self.small}
        self.sums = {
            id(v): tf.Variable(tf.zeros(v.shape), name="gradient") for v in self.variables if id(v) in tables
        }
        self.vector: Any = None
        if self.small:
            joined = tf.concat([tf.reshape(v.value, [-1]) for v in self.small], axis=0)
            self.vector = keras.Variable(joined, name="small_arrays")
            self.held.append(self.vector)
        if self.held:
            optimizer.build(self.held)

    @property
    def nbytes(self) -> int:
        """Bytes held beside the model's own variables."""
        held = [*self.optimizer.variables, *self.sums.values()]
        return 4 * (sum(int(np.prod(v.shape)) for v in held) + sum(self.sizes))

    def values(self) -> list[Any]:
        """The arrays' current values, in the order of ``variables``."""
        parts = iter(tf.split(self.vector.value, self.sizes) if self.vector is not None else [])
        small = {id(v): tf.reshape(next(parts), v.shape) for v in self.small}
        return [small[id(v)] if id(v) in small else tf.convert_to_tensor(v.value) for v in self.variables]

    def update(self, gradients: Sequence[Any], step: Any) -> None:
        """One step of the optimizer, the one after ``step`` steps.

        Slices of a gradient are summed first: Keras alone would hand Adam the slices of an embedding as they are,
        and where an id repeats in a batch v would collect a sum of squares, not the square of the sum.
        """
        dense, touched = {}, []
        for g, v in zip(gradients, self.variables, strict=True):
            if id(v) in self.sums and isinstance(g, tf.IndexedSlices):
                self.sums[id(v)].scatter_add(g)
                dense[id(v)] = tf.convert_to_tensor(self.sums[id(v)])
                touched.append((v, g))
            else:
                dense[id(v)] = tf.zeros(v.shape) if g is None else tf.convert_to_tensor(g)
        if self.vector is not None:
            dense[id(self.vector)] = tf.concat([tf.reshape(dense[id(v)], [-1]) for v in self.small], axis=0)
        if self.held:
            self.optimizer.apply([dense[id(v)] for v in self.held], self.held)
        for v, g in touched:
            # Zeros that depend on new weights: else XLA would write them before the optimizer has read the sums, and
            # copy the whole array to keep them apart.
            new = self.vector.value[0] if id(v) in self.flattened else v.value[0, 0]
            self.sums[id(v)].scatter_update(tf.IndexedSlices(tf.zeros_like(g.values) + 0.0 * new, g.indices))
        for number, v in enumerate(self.variables):
            if id(v) in self.after:
                drawn = noise(tf.range(v.shape[0]), v.shape[1], noise_key(self.seed, OF_WHOLE + number, step))
                v.assign(self.after[id(v)](v.value, drawn))

    def settle(self) -> None:
        """Renews the model's own variables."""
        if self.vector is not None:
            for variable, part in zip(self.small, tf.split(self.vector.value, self.sizes), strict=True):
                variable.assign(tf.reshape(part, variable.shape))

    def adopt(self, changed: Sequence[Any], reset_moments: bool) -> None:
        """Takes over new values of the model's own variables.

        Args:
            changed: those that have new values.
            reset_moments: the optimizer's moments of these start anew; else they stay.
        """
        ids = {id(v) for v in changed}
        if self.vector is not None:
            self.vector.assign(tf.concat([tf.reshape(v.value, [-1]) for v in self.small], axis=0))
        if not reset_moments:
            return
        of_small = [tf.fill([n], id(v) in ids) for v, n in zip(self.small, self.sizes, strict=True)]
        first = type(self.optimizer).from_config(self.optimizer.get_config())
        first.build(self.held)
        for moments, new in zip(_moments(self.optimizer), _moments(first), strict=True):
            for variable, moment, value in zip(self.held, moments, new, strict=True):
                if variable is self.vector:
                    moment.assign(tf.where(tf.concat(of_small, axis=0), value.value, moment.value))
                elif id(variable) in ids:
                    moment.assign(value.value)


def _moments(optimizer: Any) -> list[list[Any]]:
    """The optimizer's moments: a list a kind, in the order of the variables that it was built on."""
    built = {id(v) for v in optimizer._trainable_variables}
    lists = [value for value in vars(optimizer).values() if isinstance(value, list)]
    return [
        found
        for found in lists
        if len(found) == len(built)
        and all(isinstance(v, keras.Variable) and id(v) not in built for v in found)
    ]
