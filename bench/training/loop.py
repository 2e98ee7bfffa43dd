"""The compiled loop: one program that runs many batches, updating big tables by rows and all else as one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.embeddings.base import Method
from bench.embeddings.layer import CompressedEmbedding
from bench.training.arrays import DeferredTable, WholeArrays
from bench.training.batches import Chunk
from bench.training.noise import noise, noise_key
from bench.training.rules import RowRule

CLOCK_STEPS = 1 << 22
"""Steps after which the rows' clocks start anew: float32 counts exactly to four times as many."""

Place = tuple[str, str]
"""A table: its layer's key and its name there."""

Read = dict[Place, tuple[Any, list[Any]]]
"""Weights and moments of the rows that a batch reads."""


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
