"""Trainable arrays and the optimizer's state beside them: large tables by rows, all else whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bench.embeddings.base import Rows
from bench.models.noise import noise, noise_key
from bench.training.rules import RowRule

LARGE = 1 << 16
"""Numbers in an array above which its rows are worth deferring: below, one pass over all of it costs less."""

BLOCK_ROWS = 1 << 16
"""Rows that are rewritten at once between epochs: bounds the memory that takes."""

OF_WHOLE = 1 << 16
"""Keeps the noise of arrays that are updated whole apart from that of deferred tables."""


class Clock(NamedTuple):
    """The progress of training.

    Attributes:
        step: steps done, an integer.
        base: the step from which rows count their own steps.
        coefficients: float32 (all steps + 1, columns), what ``RowRule.coefficients`` gave for all of training.
    """

    step: Any
    base: Any
    coefficients: Any


class DeferredTable:
    """A table with its moments, updated by rows.

    Weights, moments and the step of the last update lie side by side in one row, so that a step reads and writes
    each row once: XLA pays for the number of gathers and scatters, hardly for their width. The layer's own
    variable is current only after ``settle``.

    A table whose weights are held once has no rows in the layer's variable until ``release``: models read it by
    ``read`` meanwhile.

    Args:
        variable: the layer's own, float32 (rows, width).
        rule: the optimizer, written for rows.
        once: the weights are held once.

    Attributes:
        is_alone: True while the layer's variable is empty.
    """

    def __init__(self, variable: Any, rule: RowRule, once: bool = False) -> None:
        self.variable, self.rule, self.once, self.is_alone = variable, rule, once, False
        self.rows, self.width = variable.shape
        self.slot_width = 1 if rule.one_a_row else self.width
        self.columns = self.width + self.slot_width * len(rule.slots) + rule.clock
        self.state = tf.Variable(tf.zeros((self.rows, self.columns)), name="rows")
        self.adopt(reset_moments=True)
        if once:
            self.is_alone = True
            _resize(self.variable.value, 0)

    @property
    def nbytes(self) -> int:
        """Bytes held beside the layer's own variable, or beside the weights where these are held once."""
        return 4 * int(self.rows) * int(self.columns - self.width * self.once)

    def read(self, index: Any, clock: Clock) -> tuple[Any, list[Any]]:
        """Weights and moments of some rows, as the dense optimizer has them at ``clock``."""
        return self._current(tf.gather(self.state, index), clock)

    def write(self, index: Any, weights: Any, slots: list[Any], clock: Clock) -> None:
        """Stores rows as of ``clock``; equal rows must come with equal values."""
        own = []
        if self.rule.clock:
            own = [tf.fill((weights.shape[0], 1), tf.cast(clock.step - clock.base, tf.float32))]
        rows = tf.concat([weights, *slots, *own], axis=1)
        self.state.scatter_update(tf.IndexedSlices(rows, index))

    def adopt(self, reset_moments: bool) -> None:
        """Takes over new values of the layer's variable; the rows must have been settled with ``reset``."""
        # Read as a whole, which copies nothing; a variable that is read by rows copies all that it is assigned later.
        values = tf.convert_to_tensor(self.variable.value)
        for index in self._blocks():
            weights = tf.gather(values, index)
            n = weights.shape[0]
            if reset_moments:
                first = [tf.fill((n, self.slot_width), value) for value in self.rule.slots]
                clock = [tf.zeros((n, 1))] if self.rule.clock else []
                moments = tf.concat([*first, *clock, tf.zeros((n, 0))], axis=1)
            else:
                moments = tf.gather(self.state, index)[:, self.width :]
            self.state.scatter_update(tf.IndexedSlices(tf.concat([weights, moments], axis=1), index))

    def set_rows(self, rows: Rows, clock: Clock) -> None:
        """Gives some rows new weights as of ``clock``, and new moments. No other row is read or written."""
        for start in range(0, len(rows.numbers), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            index = tf.constant(rows.numbers[block], tf.int32)
            if rows.copied is None:
                assert rows.values is not None
                weights = tf.constant(rows.values[block])
            else:
                weights, _ = self.read(tf.constant(rows.copied[block], tf.int32), clock)
            slots = [tf.fill((weights.shape[0], self.slot_width), value) for value in self.rule.slots]
            self.write(index, weights, slots, clock)

    def settle(self, clock: Clock, reset: bool) -> None:
        """Writes the weights as of ``clock`` into the layer's variable; with ``reset`` into the rows too.

        Weights that are held once are written into the rows alone.
        """
        if self.once and not (self.is_alone and reset):
            return
        for index in self._blocks():
            state = tf.gather(self.state, index)
            weights = state[:, : self.width]
            if self.rule.clock:
                weights, slots = self._current(state, clock)
                if reset:
                    own = tf.zeros((weights.shape[0], 1))
                    rows = tf.concat([weights, *slots, own], axis=1)
                    self.state.scatter_update(tf.IndexedSlices(rows, index))
            if not self.is_alone:
                self.variable.value.scatter_update(tf.IndexedSlices(weights, index))

    def release(self, clock: Clock) -> None:
        """Gives weights that are held once back to the layer's variable, as of ``clock``, and forgets the moments."""
        if self.is_alone:
            self.is_alone = False
            # Compiled, all rows take one pass and no memory but that of the weights.
            weights = tf.function(lambda clock: self._current(self.state, clock)[0], jit_compile=True)
            _assign(self.variable.value, weights, clock)
            _resize(self.state, 0)

    def reclaim(self) -> None:
        """Readies a released table for more steps: moments start anew, and the layer's variable keeps its weights."""
        if self.once and not self.is_alone:
            _resize(self.state, self.rows)
            self.adopt(reset_moments=True)

    def _current(self, state: Any, clock: Clock) -> tuple[Any, list[Any]]:
        widths = [self.width, *[self.slot_width] * len(self.rule.slots), int(self.rule.clock)]
        weights, *slots, _ = tf.split(state, widths, axis=1)
        if not self.rule.clock:
            return weights, slots
        # Steps since ``base``, which moves on before float32 cannot hold them exactly.
        own = state[:, self.columns - 1]
        then = tf.gather(clock.coefficients, clock.base + tf.cast(own, tf.int32))
        k = tf.cast(clock.step - clock.base, tf.float32) - own
        return self.rule.catch_up(weights, slots, then, tf.gather(clock.coefficients, clock.step), k[:, None])

    def _blocks(self) -> Iterator[Any]:
        """The numbers of all rows, a block at a time. Rows are read by number: a slice would copy the whole table."""
        for start in range(0, self.rows, BLOCK_ROWS):
            yield tf.range(start, min(start + BLOCK_ROWS, self.rows))


def _resize(variable: Any, rows: int) -> None:
    """Gives a variable of rows as many, all zero; the memory of those that it had is free then."""
    count = tf.constant(rows)  # a number known while tracing would be refused as another shape
    _assign(variable, lambda count: tf.zeros((count, variable.shape[1]), variable.dtype), count)


def _assign(variable: Any, value: Callable[..., Any], *arguments: Any) -> None:
    """Sets a variable to what ``value`` makes of some tensors, of any number of rows, without a copy of it."""

    def assign(*arguments: Any) -> None:
        tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value(*arguments), validate_shape=False)

    tf.function(assign)(*arguments)  # in a function, the variable takes over memory that nothing else uses


class WholeArrays:
    """Trainable arrays that are updated whole by the Keras optimizer.

    Where the optimizer treats every number alone, the small ones are one flat vector to it: one pass instead of a
    dozen small programs for each array. Large ones stay apart, since their part of a vector would be copied in each
    step. So do those with a constraint, which Keras applies to a whole array.

    A table's gradient is nonzero in the batch's rows alone. It is kept as an array that is all zero between steps:
    filling one with zeros in each step would take as long as a third of the optimizer.

    Args:
        variables: Keras variables, all that the optimizer is to update.
        optimizer: not built yet.
        flat: the optimizer treats every number alone.
        tables: ids of the variables that are only ever read by rows.
        after: by id of a variable, a function from its new value, and noise of its shape, to what it becomes.
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
        self.small = [
            v
            for v in self.variables
            if flat and size[id(v)] <= LARGE and id(v) not in after and v.constraint is None
        ]
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
        self.starts = dict(zip(map(id, self.small), np.cumsum([0, *self.sizes]).tolist(), strict=False))
        self.moments = _moments(optimizer, self.held)
        # All numbers of a kind of moments begin alike.
        of_each = [next(m for m in moments if m is not None) for moments in self.moments]
        self.fresh = [tf.reshape(moment.value, [-1])[0] for moment in of_each]

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

        Slices of a gradient are summed first. Keras alone would hand Adam the slices of an embedding as they are:
        where an id repeats in a batch, v would collect a sum of squares, not the square of the sum. A variable
        without a gradient stays, as in Keras.

        Args:
            gradients: of each variable; slices, an array, or None. Scaled as ``optimizer.scale_loss`` scales.
            step: steps done.
        """
        dense: dict[int, Any] = {}
        touched = []
        for g, v in zip(gradients, self.variables, strict=True):
            if id(v) in self.sums and isinstance(g, tf.IndexedSlices):
                self.sums[id(v)].scatter_add(g)
                dense[id(v)] = tf.convert_to_tensor(self.sums[id(v)])
                touched.append((v, g))
            elif g is not None:
                dense[id(v)] = tf.convert_to_tensor(g)
        before = self._join(dense)
        moved = [v for v in self.held if id(v) in dense]
        if moved:
            self.optimizer.apply([dense[id(v)] for v in moved], moved)
        if before is not None:
            given = [tf.fill([n], id(v) in dense) for v, n in zip(self.small, self.sizes, strict=True)]
            self.vector.assign(tf.where(tf.concat(given, axis=0), self.vector.value, before))
        for v, g in touched:
            # Zeros that depend on new weights: else XLA would write them before the optimizer has read the sums, and
            # copy the whole array to keep them apart.
            new = self.vector.value[0] if id(v) in self.flattened else v.value[0, 0]
            self.sums[id(v)].scatter_update(tf.IndexedSlices(tf.zeros_like(g.values) + 0.0 * new, g.indices))
        self._round(step)

    def _join(self, dense: dict[int, Any]) -> Any:
        """Adds the flat vector's gradient to ``dense``; returns the vector where a part of it has no gradient."""
        if not any(id(v) in dense for v in self.small):
            return None
        parts = [
            tf.reshape(dense[id(v)], [-1]) if id(v) in dense else tf.zeros(n)
            for v, n in zip(self.small, self.sizes, strict=True)
        ]
        dense[id(self.vector)] = tf.concat(parts, axis=0)
        return None if all(id(v) in dense for v in self.small) else tf.identity(self.vector.value)

    def _round(self, step: Any) -> None:
        """Applies ``after`` to the arrays that this step has changed."""
        steps = self.optimizer.gradient_accumulation_steps
        for number, v in enumerate(self.variables):
            if id(v) in self.after:
                drawn = noise(tf.range(v.shape[0]), v.shape[1], noise_key(self.seed, OF_WHOLE + number, step))
                new = self.after[id(v)](v.value, drawn)
                v.assign(tf.where((step + 1) % steps == 0, new, v.value) if steps else new)

    def average(self) -> list[Any]:
        """Sets the arrays to the averages that an optimizer with ``use_ema`` keeps; returns their earlier values.

        ``settle`` then writes them into the model. ``restore`` takes them back.
        """
        before = [tf.identity(v.value) for v in self.held] if self.optimizer.use_ema else []
        if before:
            self.optimizer.finalize_variable_values(self.held)
        return before

    def restore(self, before: Sequence[Any]) -> None:
        """Sets the arrays to what ``average`` returned."""
        for variable, value in zip(self.held, before, strict=False):
            variable.assign(value)

    def settle(self) -> None:
        """Writes the arrays' current values into the model's own variables."""
        if self.vector is not None:
            for variable, part in zip(self.small, tf.split(self.vector.value, self.sizes), strict=True):
                variable.assign(tf.reshape(part, variable.shape))

    def adopt(self, changed: Sequence[Any], reset_moments: bool) -> None:
        """Takes over new values of the model's own variables.

        Args:
            changed: those that have new values.
            reset_moments: the optimizer's moments of these start anew; else they stay.
        """
        if self.vector is not None:
            self.vector.assign(tf.concat([tf.reshape(v.value, [-1]) for v in self.small], axis=0))
        if reset_moments:
            self._reset_moments({id(v) for v in changed})

    def set_rows(self, variable: Any, rows: Rows) -> None:
        """Gives some rows of an array new values, in the model's own variable too, and new moments.

        No other row is read or written. Moments that an optimizer does not keep for each number stay.
        """
        holder = self.vector if id(variable) in self.flattened else variable
        index = self._places(variable, rows.numbers)
        if rows.copied is None:
            new = tf.constant(rows.values)
        else:
            new = tf.reshape(
                tf.gather(holder.value, self._places(variable, rows.copied)), (-1, *variable.shape[1:])
            )
        variable.value.scatter_update(tf.IndexedSlices(new, tf.constant(rows.numbers, tf.int32)))
        if holder is self.vector:
            holder.value.scatter_update(tf.IndexedSlices(tf.reshape(new, [-1]), index))
        place = [id(v) for v in self.held].index(id(holder))
        for moments, fresh in zip(self.moments, self.fresh, strict=True):
            moment = moments[place]
            if moment is not None and moment.shape == holder.shape:
                first = tf.fill((*index.shape, *holder.shape[1:]), fresh)
                moment.value.scatter_update(tf.IndexedSlices(first, index))

    def _places(self, variable: Any, numbers: np.ndarray) -> Any:
        """Gives the places of some rows of an array in what holds it: rows, or numbers of the flat vector."""
        index = np.asarray(numbers, np.int32)
        if id(variable) in self.flattened:
            width = int(np.prod(variable.shape[1:]))
            index = (
                self.starts[id(variable)] + index[:, None] * width + np.arange(width, dtype=np.int32)
            ).ravel()
        return tf.constant(index, tf.int32)

    def _reset_moments(self, of: set[int]) -> None:
        """Starts the moments of some arrays anew, given the ids of their variables."""
        where = [tf.fill([n], id(v) in of) for v, n in zip(self.small, self.sizes, strict=True)]
        for moments, fresh in zip(self.moments, self.fresh, strict=True):
            for variable, moment in zip(self.held, moments, strict=True):
                if moment is None:
                    continue
                if variable is self.vector:
                    moment.assign(tf.where(tf.concat(where, axis=0), fresh, moment.value))
                elif id(variable) in of:
                    moment.assign(tf.fill(moment.shape, fresh))


def _moments(optimizer: Any, built: Sequence[Any]) -> list[list[Any]]:
    """The optimizer's moments: a list for each kind, in the order of the variables that it was built on.

    Keras keeps each kind in an attribute of its own. Muon has a kind that only some variables have: None elsewhere.
    """
    others = [[id(v) for v in known] for known in (built, optimizer.variables)]
    lists = [value for value in vars(optimizer).values() if isinstance(value, list)]
    return [
        found
        for found in lists
        if len(found) == len(built)
        and any(isinstance(v, keras.Variable) for v in found)
        and all(v is None or isinstance(v, keras.Variable) for v in found)
        and [id(v) for v in found] not in others
    ]
