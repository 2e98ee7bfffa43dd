"""The compiled loop: one program that runs many batches, updating big tables by rows and all else as one vector.

Words used here and in the trainer:

- A chunk is a number of consecutive batches that the program runs in one call.
- To settle is to write the loop's working copies of the weights back into the model's own variables. Between two steps
  a row of a large table may lack the updates of the steps that did not read it; settling computes those first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.embeddings.base import Method, Rows
from bench.embeddings.layer import CompressedEmbedding
from bench.models.inputs import DENSE
from bench.models.layers import counted_rows
from bench.models.noise import noise, noise_key
from bench.training.arrays import Clock, DeferredTable, WholeArrays
from bench.training.batches import Chunk
from bench.training.layers import held_once
from bench.training.optimizers import Updates, is_elementwise
from bench.training.program import Program

CLOCK_STEPS = 1 << 22
"""Steps after which the rows' clocks start anew: float32 counts exactly to four times as many."""

Place = tuple[str, str]
"""A table: its layer's key and its name there."""

Read = dict[Place, tuple[Any, list[Any]]]
"""Weights and moments of the rows that a batch reads."""

Tensors = dict[str, Any]
"""Tensors of one batch, or arrays of a chunk, by the names of ``batches.Arrays``."""


def _rows_at(table: DeferredTable, clock: Clock, index: Any) -> Any:
    weights, _ = table.read(tf.reshape(index, [-1]), clock)
    return tf.reshape(weights, (*index.shape, table.width))


def _after_update(method: Method[Any], table: str, rows: Any, drawn: Any) -> Any:
    return method.after_update(table, rows, drawn, keras.ops)


class Loop:
    """Runs chunks of batches of a model as one program.

    Args:
        model: takes a dict of ids (batch,) by field, and ``dense`` where there is any; gives (batch,).
        layers: the embedding layers whose rows are looked up on the host, by a unique key.
        deferred: for each of them, the tables that are updated by rows.
        updates: the optimizer; it needs a rule where a table is deferred.
        loss: from labels and predictions, each (batch,), to the loss of each example, (batch,).
        jit: compile with XLA.
        seed: of the noise that rounding takes.
    """

    def __init__(
        self,
        model: Any,
        layers: Mapping[str, CompressedEmbedding],
        deferred: Mapping[str, frozenset[str]],
        updates: Updates,
        loss: Callable[[Any, Any], Any],
        jit: bool = True,
        seed: int = 0,
    ) -> None:
        self.model, self.layers, self.loss, self.seed = model, dict(layers), loss, seed
        self.tables: dict[Place, DeferredTable] = {}
        for key, names in deferred.items():
            for name in sorted(names):
                assert updates.rule is not None
                layer = self.layers[key]
                once = held_once(layer, name) and not updates.keeps_best
                self.tables[key, name] = DeferredTable(layer.table_variables[name], updates.rule, once)
        by_rows = {id(table.variable) for table in self.tables.values()}
        whole = [v for v in model.trainable_variables if id(v) not in by_rows]
        tables = frozenset(id(v) for layer in self.layers.values() for v in layer.table_variables.values())
        self.after = {
            id(layer.table_variables[name]): partial(_after_update, layer.method, name)
            for layer in self.layers.values()
            for name in layer.method.rounded()
        }
        after = {key: function for key, function in self.after.items() if key not in by_rows}
        counters = {key: layer.method.counter() for key, layer in self.layers.items()}
        self.counters = {key: name for key, name in counters.items() if name is not None}
        self.optimizer = updates.optimizer
        self.whole = WholeArrays(whole, self.optimizer, is_elementwise(self.optimizer), tables, after, seed)
        self.positions = {id(v): i for i, v in enumerate(whole)}
        self.updates = updates
        self.coefficients = tf.constant(updates.coefficients())
        self.regularized = [v for v in model.trainable_variables if id(v) in tables]
        self.step = self.base = 0
        self._before_averages: list[Any] = []
        self._run = Program(self._steps, jit)

    @property
    def nbytes(self) -> int:
        """Bytes held for training beside the model's own variables."""
        return self.whole.nbytes + sum(table.nbytes for table in self.tables.values())

    def run(self, chunk: Chunk) -> np.ndarray:
        """Trains on the chunk's batches and returns their losses, float32 of shape (steps,)."""
        losses = self._run(chunk.arrays, tf.constant(chunk.steps, tf.int32), self.now())
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

    def set_rows(self, variable: Any, rows: Rows) -> None:
        """Gives some rows of a trained array new values; the optimizer's moments of these rows start anew.

        The model's own variable of a table that is updated by rows lacks them until ``settle``.

        Args:
            variable: the array's Keras variable.
            rows: the new rows.
        """
        for table in self.tables.values():
            if table.variable is variable:
                return table.set_rows(rows, self.now())
        return self.whole.set_rows(variable, rows)

    def settle(self, reset: bool = False) -> None:
        """Makes the model's own variables current; with ``reset`` the state of every row too."""
        reset = reset or self.step - self.base >= CLOCK_STEPS
        clock = self.now()
        for table in self.tables.values():
            table.settle(clock, reset)
        self.whole.settle()
        if reset:
            self.base = self.step

    def finish(self) -> None:
        """Settles the weights that training would leave if it ended here: with ``use_ema`` their averages."""
        self._before_averages = self.whole.average()
        self.settle()

    def resume(self) -> None:
        """Readies the loop for more steps after ``finish``."""
        self.whole.restore(self._before_averages)
        self._before_averages = []

    @property
    def is_alone(self) -> bool:
        """True while weights of a table are held by the loop alone."""
        return any(table.is_alone for table in self.tables.values())

    def now(self) -> Clock:
        """The steps that are done."""
        return Clock(tf.constant(self.step), tf.constant(self.base), self.coefficients)

    @contextmanager
    def reading(self, *clock: Clock) -> Iterator[None]:
        """Lets the model read tables whose weights the loop holds alone, as of a clock, if one is given."""
        with ExitStack() as entered:
            for key, layer in self.layers.items():
                readers = {
                    name: partial(_rows_at, table, *clock)
                    for (other, name), table in self.tables.items()
                    if other == key and clock and table.is_alone
                }
                entered.enter_context(layer.read_by(readers))
            yield

    def release(self) -> None:
        """Gives all weights to the model. Without ``reclaim`` the loop can run no further chunk."""
        # The smallest first: each gives back more than the next one takes at once.
        for table in sorted(self.tables.values(), key=lambda table: int(table.rows)):
            table.release(self.now())

    def reclaim(self) -> None:
        """Readies the loop for steps beyond those of training; moments of large tables and rates start anew."""
        self.settle(reset=True)
        self.step = self.base = 0
        for table in self.tables.values():
            table.reclaim()

    def state(self) -> dict[str, np.ndarray]:
        """Gives all arrays that the next step depends on, by name; ``finish`` must have come before."""
        return {name: np.asarray(variable) for name, variable in self._held().items()} | {
            f"before/{number}": np.asarray(value) for number, value in enumerate(self._before_averages)
        }

    def go_on(self, arrays: Mapping[str, np.ndarray], steps: tuple[int, int], scale: float) -> None:
        """Takes over the state of a loop like this one, as after its ``finish``.

        Args:
            arrays: from ``state``.
            steps: the steps that were done, and the step from which rows counted theirs.
            scale: of the learning rates.
        """
        for name, variable in self._held().items():
            variable.assign(arrays[name])
        before = sum(name.startswith("before/") for name in arrays)
        self._before_averages = [tf.constant(arrays[f"before/{number}"]) for number in range(before)]
        self.step, self.base = steps
        if self.updates.scale is not None:
            self._set_scale(scale)
        self.settle()

    def _held(self) -> dict[str, Any]:
        """The variables that training changes, by names that are those of every loop like this one."""
        groups = {
            "whole": self.whole.held,
            "optimizer": self.optimizer.variables,
            "other": self.model.non_trainable_variables,
        }
        return {f"table/{key}/{name}": table.state for (key, name), table in self.tables.items()} | {
            f"{group}/{number}": variable
            for group, variables in groups.items()
            for number, variable in enumerate(variables)
        }

    def rescale(self, scale: float) -> None:
        """Multiplies the learning rates of all further steps; ``updates`` needs a scale.

        Rows catch up with the steps that they lack at the rates that these had.

        Args:
            scale: of the rates that the settings give.
        """
        self.settle(reset=True)
        self._set_scale(scale)

    def _set_scale(self, scale: float) -> None:
        self.updates.scale.assign(scale)
        self.coefficients = tf.constant(self.updates.coefficients(scale))

    def _steps(self, arrays: Tensors, steps: Any, start: Clock) -> Any:
        def body(i: Any, losses: Any) -> tuple[Any, Any]:
            batch = tf.nest.map_structure(lambda array: tf.gather(array, i), arrays)
            loss = self._one(batch, start._replace(step=start.step + i))
            return i + 1, tf.tensor_scatter_nd_update(losses, [[i]], [loss])

        # Not `for i in tf.range(steps)`: that makes the count a constant, and every other count compiles anew.
        state = (tf.constant(0), tf.zeros(arrays["counts"].shape))
        return tf.while_loop(lambda i, losses: i < steps, body, state)[1]

    def _one(self, batch: Tensors, clock: Clock) -> Any:
        read = self._read(batch, clock)
        loss, of_values, of_rows, of_vectors = self._differentiate(batch, read)
        self._update(batch, read, of_values, of_rows, clock)
        self._count(batch, of_vectors)
        return loss

    def _read(self, batch: Tensors, clock: Clock) -> Read:
        """Weights and moments of the batch's rows of the deferred tables, brought up to date."""
        return {
            (key, name): table.read(tf.reshape(batch["indices"][key][name], [-1]), clock)
            for (key, name), table in self.tables.items()
        }

    def _differentiate(
        self, batch: Tensors, read: Read
    ) -> tuple[Any, list[Any], dict[Place, Any], dict[str, Any]]:
        """The batch's loss, and its gradient by the whole arrays, the rows read, and the vectors that are counted."""
        values = self.whole.values()
        rows = {place: weights for place, (weights, _) in read.items()}
        scope = keras.StatelessScope(
            state_mapping=list(zip(self.whole.variables, values, strict=True)), collect_losses=True
        )
        with tf.GradientTape() as tape:
            tape.watch(values)
            tape.watch(rows)
            real = tf.range(tf.shape(batch["labels"])[0]) < batch["counts"]
            with scope, counted_rows(real), ExitStack() as given:
                calls = {
                    key: given.enter_context(
                        layer.given_rows(*self._rows_of(key, layer, batch, values, rows))
                    )
                    for key, layer in self.layers.items()
                }
                inputs = dict(batch["ids"])
                if "dense" in batch:
                    inputs[DENSE] = batch["dense"]
                predictions = self.model(inputs, training=True)
                regularizers = self._regularization()
            # A batch that is not full is filled with copies that do not count.
            losses = tf.where(real, self.loss(batch["labels"], predictions), 0.0)
            loss = tf.reduce_sum(losses) / tf.cast(batch["counts"], tf.float32)
            added = [*scope.losses, *regularizers]
            total = self.optimizer.scale_loss(tf.add_n([loss, *added]) if added else loss)
        for variable in self.model.non_trainable_variables:  # states of dropout or normalization
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)
        vectors = {key: calls[key].vectors for key in self.counters}
        return loss, *tape.gradient(total, (values, rows, vectors))

    def _count(self, batch: Tensors, of_vectors: Mapping[str, Any]) -> None:
        """Adds the norm of each vector's gradient over the mean norm, of each column of ids, to the id's count.

        Examples that fill up a batch have no gradient.
        """
        for key, name in self.counters.items():
            norms = tf.sqrt(tf.reduce_sum(tf.square(of_vectors[key]), axis=-1))
            mean = tf.reduce_sum(norms, axis=0) / tf.cast(batch["counts"], tf.float32)
            added = tf.reshape(tf.math.divide_no_nan(norms, mean), [-1, 1])
            index = tf.reshape(batch["indices"][key][name], [-1])
            self.layers[key].weight_variables[name].value.scatter_add(tf.IndexedSlices(added, index))

    def _regularization(self) -> list[Any]:
        """The losses of the model's own regularizers and of ``embedding_l2``; the scope has the current weights."""
        own = [v.regularizer(v) for v in self.model.trainable_variables if v.regularizer is not None]
        rate = self.updates.embedding_l2
        return [*own, *(rate * tf.nn.l2_loss(v.value) for v in self.regularized if rate)]

    def _update(
        self, batch: Tensors, read: Read, of_values: list[Any], of_rows: dict[Place, Any], clock: Clock
    ) -> None:
        now = tf.gather(clock.coefficients, clock.step + 1)
        after_this = clock._replace(step=clock.step + 1)
        for number, ((key, name), table) in enumerate(self.tables.items()):
            index = tf.reshape(batch["indices"][key][name], [-1])
            first = batch["first"][key][name]
            weights, slots = read[key, name]
            # Equal rows get equal sums, and so equal new values: it does not matter which is written last.
            gradient = tf.math.unsorted_segment_sum(of_rows[key, name], first, weights.shape[0])
            new, slots = table.rule.update(weights, slots, tf.gather(gradient, first), now)
            after = self.after.get(id(table.variable))
            if after is not None:
                new = after(new, noise(index, table.width, noise_key(self.seed, number, clock.step)))
            table.write(index, new, slots, after_this)
        self.whole.update(of_values, clock.step)

    def _rows_of(
        self,
        key: str,
        layer: CompressedEmbedding,
        batch: Tensors,
        values: list[Any],
        rows: Mapping[Place, Any],
    ) -> tuple[Tensors, Tensors]:
        """A layer's rows that the batch reads, by table, and where they are read."""
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
