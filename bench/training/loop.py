"""The compiled loop: one program that runs many batches, updating big tables by rows and all else as one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.embeddings.base import Method
from bench.embeddings.layer import CompressedEmbedding
from bench.training.batches import Chunk
from bench.training.noise import noise, noise_key
from bench.training.rules import RowRule

LARGE = 1 << 16
"""Numbers in an array above which its rows are worth deferring: below, one pass over all of it costs less."""

BLOCK_ROWS = 1 << 16
"""Rows that are rewritten at once between epochs: bounds the memory that takes."""

CLOCK_STEPS = 1 << 22
"""Steps after which the rows' clocks start anew: float32 counts exactly to four times as many."""

OF_WHOLE = 1 << 16
"""Keeps the noise of arrays that are updated whole apart from that of deferred tables."""

Place = tuple[str, str]
"""A table: its layer's key and its name there."""

Read = dict[Place, tuple[Any, list[Any]]]
"""Weights and moments of the rows that a batch reads."""


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


def _after_update(method: Method[Any], table: str, rows: Any, drawn: Any) -> Any:
    return method.after_update(table, rows, drawn, keras.ops)


class Loop:
    """Runs chunks of batches of a model as one program.

    Args:
        model: takes a dict of ids (batch,) by field, and ``dense`` where there is any; gives (batch,).
        layers: the embedding layers whose rows are looked up on the host, by a unique key.
        deferred: for each of them, the tables that are updated by rows.
        optimizer: a Keras optimizer that is not yet built.
        rule: the same optimizer for rows; needed where a table is deferred.
        coefficients: float32 of shape (steps + 1, columns), the rule's over all of training.
        loss: labels and predictions, each (batch,), to a loss of each example, (batch,).
        jit: compile with XLA.
        flat: the optimizer treats every number alone.
        seed: of the noise that rounding takes.
    """

    def __init__(
        self,
        model: Any,
        layers: Mapping[str, CompressedEmbedding],
        deferred: Mapping[str, frozenset[str]],
        optimizer: Any,
        rule: RowRule | None,
        coefficients: np.ndarray,
        loss: Callable[[Any, Any], Any],
        jit: bool = True,
        flat: bool = True,
        seed: int = 0,
    ) -> None:
        self.model, self.layers, self.loss, self.seed = model, dict(layers), loss, seed
        self.tables: dict[Place, DeferredTable] = {}
        for key, names in deferred.items():
            for name in sorted(names):
                assert rule is not None
                self.tables[key, name] = DeferredTable(self.layers[key].table_variables[name], rule)
        by_rows = {id(table.variable) for table in self.tables.values()}
        whole = [v for v in model.trainable_variables if id(v) not in by_rows]
        tables = frozenset(id(v) for layer in self.layers.values() for v in layer.table_variables.values())
        self.after = {
            id(layer.table_variables[name]): partial(_after_update, layer.method, name)
            for layer in self.layers.values()
            for name in layer.method.rounded()
        }
        after = {key: function for key, function in self.after.items() if key not in by_rows}
        self.whole = WholeArrays(whole, optimizer, flat, tables, after, seed)
        self.positions = {id(v): i for i, v in enumerate(whole)}
        self.coefficients = tf.constant(coefficients)
        self.step = self.base = 0
        self._run = tf.function(self._steps, jit_compile=jit or None, autograph=False)

    @property
    def nbytes(self) -> int:
        """Bytes held for training beside the model's own variables."""
        return self.whole.nbytes + sum(table.nbytes for table in self.tables.values())

    def run(self, chunk: Chunk) -> np.ndarray:
        """Trains on the chunk's batches and returns their losses, float32 of shape (steps,)."""
        numbers = [tf.constant(n, tf.int32) for n in (chunk.steps, self.step, self.base)]
        losses = self._run(chunk.arrays, *numbers, self.coefficients)
        self.step += chunk.steps
        return np.asarray(losses)[: chunk.steps]

    def adopt(self, changed: Sequence[Any], reset_moments: bool) -> None:
        """Takes over new values of some of the model's own variables; ``settle(reset=True)`` must have come before.

        Args:
            changed: Keras variables.
            reset_moments: the optimizer's moments of these start anew; else they stay.
        """
        ids = {id(v) for v in changed}
        for table in self.tables.values():
            if id(table.variable) in ids:
                table.adopt(reset_moments)
        of_whole = [v for v in self.whole.variables if id(v) in ids]
        if of_whole:
            self.whole.adopt(of_whole, reset_moments)

    def settle(self, reset: bool = False) -> None:
        """Makes the model's own variables current; with ``reset`` the state of every row too."""
        reset = reset or self.step - self.base >= CLOCK_STEPS
        for table in self.tables.values():
            table.settle(self.step, self.base, self.coefficients, reset)
        self.whole.settle()
        if reset:
            self.base = self.step

    def _steps(self, arrays: dict[str, Any], steps: Any, start: Any, base: Any, coefficients: Any) -> Any:
        def body(i: Any, losses: Any) -> tuple[Any, Any]:
            batch = tf.nest.map_structure(lambda array: tf.gather(array, i), arrays)
            loss = self._one(batch, start + i, base, coefficients)
            return i + 1, tf.tensor_scatter_nd_update(losses, [[i]], [loss])

        # Not `for i in tf.range(steps)`: that makes the count a constant, and every other count compiles anew.
        state = (tf.constant(0), tf.zeros(arrays["counts"].shape))
        return tf.while_loop(lambda i, losses: i < steps, body, state)[1]

    def _one(self, batch: dict[str, Any], step: Any, base: Any, coefficients: Any) -> Any:
        read = self._read(batch, step, base, coefficients)
        loss, of_values, of_rows = self._differentiate(batch, read)
        self._update(batch, read, of_values, of_rows, step, base, coefficients)
        return loss

    def _read(self, batch: dict[str, Any], step: Any, base: Any, coefficients: Any) -> Read:
        """Weights and moments of the batch's rows of the deferred tables, brought up to date."""
        return {
            (key, name): table.read(tf.reshape(batch["indices"][key][name], [-1]), step, base, coefficients)
            for (key, name), table in self.tables.items()
        }

    def _differentiate(self, batch: dict[str, Any], read: Read) -> tuple[Any, list[Any], dict[Place, Any]]:
        """The batch's loss, and its gradient by the whole arrays and by the rows read."""
        values = self.whole.values()
        rows = {place: weights for place, (weights, _) in read.items()}
        scope = keras.StatelessScope(
            state_mapping=list(zip(self.whole.variables, values, strict=True)), collect_losses=True
        )
        with tf.GradientTape() as tape:
            tape.watch(values)
            tape.watch(rows)
            with scope, ExitStack() as given:
                for key, layer in self.layers.items():
                    given.enter_context(layer.given_rows(*self._rows_of(key, layer, batch, values, rows)))
                inputs = dict(batch["ids"])
                if "dense" in batch:
                    inputs["dense"] = batch["dense"]
                predictions = self.model(inputs, training=True)
            # A batch that is not full is filled with copies that do not count.
            real = tf.range(tf.shape(predictions)[0]) < batch["counts"]
            losses = tf.where(real, self.loss(batch["labels"], predictions), 0.0)
            loss = tf.reduce_sum(losses) / tf.cast(batch["counts"], tf.float32)
            total = tf.add_n([loss, *scope.losses]) if scope.losses else loss
        for variable in self.model.non_trainable_variables:  # states of dropout or normalization
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)
        return loss, *tape.gradient(total, (values, rows))

    def _update(
        self,
        batch: dict[str, Any],
        read: Read,
        of_values: list[Any],
        of_rows: dict[Place, Any],
        step: Any,
        base: Any,
        coefficients: Any,
    ) -> None:
        now = tf.gather(coefficients, step + 1)
        for number, ((key, name), table) in enumerate(self.tables.items()):
            index = tf.reshape(batch["indices"][key][name], [-1])
            first = batch["first"][key][name]
            weights, slots = read[key, name]
            # Equal rows get equal sums, and so equal new values: it does not matter which is written last.
            gradient = tf.math.unsorted_segment_sum(of_rows[key, name], first, weights.shape[0])
            new, slots = table.rule.update(weights, slots, tf.gather(gradient, first), now)
            after = self.after.get(id(table.variable))
            if after is not None:
                new = after(new, noise(index, table.width, noise_key(self.seed, number, step)))
            table.write(index, new, slots, step + 1, base)
        self.whole.update(of_values, step)

    def _rows_of(
        self,
        key: str,
        layer: CompressedEmbedding,
        batch: dict[str, Any],
        values: list[Any],
        rows: Mapping[Place, Any],
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        indices = batch["indices"][key]
        out = {}
        for name, variable in layer.table_variables.items():
            if (key, name) in rows:
                out[name] = tf.reshape(rows[key, name], (*indices[name].shape, variable.shape[1]))
                continue
            position = self.positions.get(id(variable))
            table = variable.value if position is None else values[position]
            out[name] = tf.gather(table, indices[name])
        return out, indices
