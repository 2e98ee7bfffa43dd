"""Training a model on a data set: epochs, evaluation, early stopping, and what is measured on the way.

A chunk is a number of consecutive batches that the compiled loop runs in one call. To settle is to write the loop's
working copies of the weights back into the model (see ``bench.training.loop``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench.config import Training
from bench.data.interactions import Interactions, Part
from bench.errors import RunFailed, end_if_asked
from bench.measure.timing import Chunk as TimedChunk
from bench.models.inputs import DENSE
from bench.tasks.base import Task
from bench.tasks.rating import TASK as RATING
from bench.training.batches import Batches, Reader, check_ids
from bench.training.changes import Changes
from bench.training.checkpoint import Checkpoint, State
from bench.training.history import EpochValues, History
from bench.training.layers import check_averages, layers_by_key, maps_of, tables_by_rows
from bench.training.loop import Loop
from bench.training.monitor import Monitor
from bench.training.optimizers import Updates
from bench.training.program import Program

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Is told how training goes."""

    def chunk(self, epoch: int, step: int, loss: float, examples_per_second: float) -> None:
        """A chunk is done.

        Args:
            epoch: its number, from 1.
            step: steps done in it.
            loss: of the last step.
            examples_per_second: of the chunk.
        """

    def epoch(self, number: int, values: EpochValues) -> None:
        """An epoch is done.

        Args:
            number: its number, from 1.
            values: what ``History`` keeps of it.
        """


def no_wait() -> AbstractContextManager[float]:
    """Lets a trainer compute at once: the turn of a process that shares its machine with no other run."""
    return nullcontext(0.0)


class _Kept(NamedTuple):
    """The weights after an epoch, in the order of the model's variables, and their predictions."""

    values: list[np.ndarray]
    predictions: np.ndarray


class Trainer:
    """Trains any Keras model whose inputs are the data set's fields.

    An embedding layer of the model that is called once, on the ids of its vocabulary's fields, is read by rows; its
    large tables are updated by rows too where ``table_updates`` is ``deferred`` and the optimizer has that form. All
    its tables are, if the optimizer is lazy.

    Args:
        model: takes a dict of int32 (batch,) by field, and ``dense`` where the data has dense columns; gives
            (batch,).
        data: rows for training, validation and evaluation.
        settings: how to train.
        seed: of the order of batches.
        loop: the class that runs the batches.
        task: gives the loss and the metrics.
        turn: makes a context manager that ``fit`` enters whenever it computes. Entering may wait until another run
            on this machine has been timed alone; it gives the seconds waited, which then count nowhere.

    Attributes:
        predictions: those of the evaluation rows by the model's weights, float32 (rows,); empty before the first.

    Raises:
        RequestError: ids outside a vocabulary, or an optimizer's setting that is invalid.
    """

    def __init__(
        self,
        model: Any,
        data: Interactions,
        settings: Training,
        seed: int,
        loop: type[Loop] = Loop,
        task: Task = RATING,
        turn: Callable[[], AbstractContextManager[float]] = no_wait,
    ) -> None:
        self._turn, self.task = turn, task
        self.model, self.data, self.settings = model, data, settings
        sizes = {name: item.size for name, item in data.fields.items()}
        for part, name in (
            (data.train, "training"),
            (data.validation, "validation"),
            (data.evaluation, "evaluation"),
        ):
            check_ids(part, sizes, name)
        layers = layers_by_key(model, data)
        batch_size = min(settings.batch_size, max(len(data.train), 1))
        updates = Updates.of(settings, settings.epochs * -(-len(data.train) // batch_size))
        if updates.optimizer.use_ema:
            check_averages([layer.method for layer in layers.values()])
        self.table_updates = "dense" if updates.rule is None else "deferred"
        deferred = {
            key: frozenset[str]()
            if updates.rule is None or layer.method.needs_dense_updates
            else tables_by_rows(layer, updates.rule.lazy)
            for key, layer in layers.items()
        }
        self._layers, self._deferred = layers, deferred
        self._lazy = updates.rule is not None and updates.rule.lazy
        readers = [Reader(key, layer.method, maps_of(layer), deferred[key]) for key, layer in layers.items()]
        self.batches = Batches(data.train, readers, batch_size, seed, settings.shuffle)
        self.loop = loop(model, layers, deferred, updates, task.loss, jit=settings.jit, seed=seed)
        steps = settings.epochs, self.batches.steps
        maps = {reader.key: reader.maps for reader in readers}
        self.changes = Changes(layers, maps, self.loop, self.batches.renew, steps, seed)
        self.compile_s: float | None = None
        self.predictions = np.zeros(0, np.float32)
        self._serve(model)

    def _serve(self, model: Any) -> None:
        """Makes ``model`` the one that predicts from now on."""

        def predictions(inputs: Any, *clock: Any) -> Any:
            with self.loop.reading(*clock):
                return model(inputs, training=False)

        # Compiled, since without XLA the last bit of a matrix product depends on the number of threads.
        self._predict = Program(predictions, self.settings.jit)

    @property
    def optimizer_bytes(self) -> int:
        """Bytes held for training beside the model's own variables: moments, clocks, working copies."""
        return self.loop.nbytes

    def compile(self) -> None:
        """Compiles all programs that training and evaluation need; ``fit`` calls it unless it has been called."""
        clock = time.perf_counter()
        self.predict(self.data.evaluation.first(1))
        self.loop.run(self.batches.example())
        self.loop.settle()
        self.batches.begin(1)
        self.compile_s = time.perf_counter() - clock

    def updates_by_field(self) -> dict[str, str]:
        """``deferred`` for a field with tables that are updated by rows, or ``lazy``; ``dense`` for one without."""
        updates = dict.fromkeys(self.data.fields, "dense")
        for key, tables in self._deferred.items():
            if tables:
                members = self._layers[key].method.vocabulary.members
                updates |= {one.name: "lazy" if self._lazy else "deferred" for one in members}
        return updates

    def fit(self, listener: Listener, checkpoint: Checkpoint | None = None) -> History:
        """Trains and evaluates, epoch by epoch.

        With ``use_ema``, what is evaluated after each epoch, and left in the model at the end, are the averages of
        the weights; training goes on from the weights themselves.

        Args:
            listener: is told how training goes.
            checkpoint: keeps the state after each epoch. Training goes on from the one that it has.

        Raises:
            RunFailed: a loss or a prediction that is not finite; says at which step.
        """
        if self.compile_s is None:
            self.compile()
        history, best, scale = self._start(checkpoint)
        monitor = self._monitor(history)
        while len(history.epochs) < self.settings.epochs and not monitor.ends:
            number = len(history.epochs) + 1
            self.loop.resume()
            if monitor.scale != scale:
                scale = monitor.scale
                self.loop.rescale(scale)
            values: EpochValues = {"train_loss": self._epoch(number, history, listener)}
            values.update(self._evaluate(number, history))
            history.epochs.append(values)
            listener.epoch(number, values)
            if monitor.see(number, values) and self.settings.best_weights:
                history.best, best = number, self._current()
            if checkpoint is not None and checkpoint.is_due(history, self.settings.epochs):
                checkpoint.save(self._state(history, best, scale))
        if best and history.best != len(history.epochs):
            for variable, value in zip(self.model.variables, best.values, strict=True):
                variable.assign(value)
            self.predictions = best.predictions
        self.loop.release()
        return history

    def _monitor(self, history: History) -> Monitor:
        """A monitor that has seen the epochs of a history."""
        monitor = Monitor(self.settings, self.task)
        for number, values in enumerate(history.epochs, start=1):
            monitor.see(number, values)
        return monitor

    def _current(self) -> _Kept:
        return _Kept([np.array(v.numpy()) for v in self.model.variables], self.predictions)

    def _state(self, history: History, best: _Kept | None, scale: float) -> State:
        """The state after the epochs of a history."""
        arrays = {**self.loop.state(), "predictions": self.predictions}
        if best:
            arrays["best_predictions"] = best.predictions
            arrays |= {f"best/{number}": value for number, value in enumerate(best.values)}
        return State(history, arrays, (self.loop.step, self.loop.base), scale)

    def _start(self, checkpoint: Checkpoint | None) -> tuple[History, _Kept | None, float]:
        """The history, the weights of the best epoch and the scale of rates that training begins with."""
        state = None if checkpoint is None else checkpoint.load()
        if state is None:
            return History(compile_s=self.compile_s or 0.0), None, 1.0
        history, arrays = state.history, state.arrays
        history.compile_s = self.compile_s or 0.0
        history.earlier_s = history.train_s + history.eval_s
        self.loop.go_on(arrays, state.steps, state.scale)
        self.changes.go_on(len(history.epochs))
        self.predictions = arrays["predictions"]
        log.warning("going on after epoch %d of %d", len(history.epochs), self.settings.epochs)
        if history.best is None:
            return history, None, state.scale
        values = [arrays[f"best/{number}"] for number in range(len(self.model.variables))]
        return history, _Kept(values, arrays["best_predictions"]), state.scale

    def adopt(self, history: Mapping[str, Sequence[float | list[float | None]]]) -> History:
        """The history of a training that another run has done as this one would, from its result's ``history``."""
        rows = zip(*history.values(), strict=True)
        found = History(epochs=[dict(zip(history, row, strict=True)) for row in rows])
        found.best = self._monitor(found).best if self.settings.best_weights else None
        return found

    def evaluate_served(self, model: Any, history: History) -> None:
        """Evaluates the model that serves; its errors take the place of those of the epoch that it is of.

        Args:
            model: the trained one with embeddings in the form that serves. Predictions come from it from now on.
            history: of the training.

        Raises:
            RunFailed: a prediction that is not finite.
        """
        self.model = model
        self._serve(model)
        history.kept.update(self._evaluate(history.best or len(history.epochs), history))

    def time_steps(self, seconds: float) -> list[TimedChunk]:
        """Trains on for about ``seconds``, only to measure what a step takes.

        It runs at least one chunk, at most an epoch. The loop's weights change, and what ``fit`` left in the model is
        lost at the next settling: call it when the result and the weights are safe.

        Returns:
            Wall seconds, steps and examples of each chunk, as in ``History``.
        """
        chunks: list[TimedChunk] = []
        self.loop.reclaim()
        self.batches.begin(self.settings.epochs + 1)
        began = clock = time.perf_counter()
        for chunk in self.batches.epoch(self.settings.epochs + 1):
            self.loop.run(chunk)
            now = time.perf_counter()
            chunks.append((now - clock, chunk.steps, chunk.examples))
            clock = now
            if now - began >= seconds:
                break
        return chunks

    def predict(self, part: Part) -> np.ndarray:
        """The model's outputs for rows, float32 of shape (rows,): predictions, or logits where the task has these."""
        # One size for all parts, so that the model is traced once.
        size = min(self.settings.eval_batch_size, max(len(self.data.validation), len(self.data.evaluation)))
        found, clock = [], [self.loop.now()] if self.loop.is_alone else []
        for start in range(0, len(part), size):
            picked = np.minimum(np.arange(start, start + size), len(part) - 1)
            inputs: dict[str, np.ndarray] = {name: ids[picked] for name, ids in part.ids.items()}
            if part.dense is not None:
                inputs[DENSE] = part.dense[picked]
            found.append(self._predict(inputs, *clock).numpy())
        return np.concatenate(found)[: len(part)]

    def _epoch(self, number: int, history: History, listener: Listener) -> float:
        began = clock = time.perf_counter()
        total, done = 0.0, 0
        for chunk in self.batches.epoch(number):
            end_if_asked()
            with self._turn() as waited:
                losses = self.loop.run(chunk)
            began, clock = began + waited, clock + waited
            finite = np.isfinite(losses)
            if not finite.all():
                bad = done + int(np.argmin(finite)) + 1
                raise RunFailed(
                    f"the loss became {losses[np.argmin(finite)]} at step {bad} of epoch {number}; a smaller "
                    f"training.learning_rate (now {self.settings.learning_rate}) is the usual cure"
                )
            now = time.perf_counter()
            history.chunks.append((now - clock, chunk.steps, chunk.examples))
            total += float(np.dot(losses.astype(np.float64), chunk.arrays["counts"][: chunk.steps]))
            done += chunk.steps
            listener.chunk(number, done, float(losses[-1]), chunk.examples / (now - clock))
            if done < self.batches.steps and (due := self.changes.due(number - 1, done)):
                with self._turn() as waited:
                    self.changes.make(due)
                began, now = began + waited, time.perf_counter()
            clock = now
        with self._turn() as waited:
            self.changes.make(self.changes.due(number, 0))
            self.loop.finish()
        began += waited
        if number < self.settings.epochs:
            self.batches.begin(number + 1)  # while this one is evaluated
        history.train_s += time.perf_counter() - began
        return total / len(self.data.train)

    def _finite(self, part: Part, number: int) -> np.ndarray:
        predictions = self.predict(part)
        if not np.isfinite(predictions).all():
            wrong = int((~np.isfinite(predictions)).sum())
            raise RunFailed(f"{wrong} of {len(predictions)} predictions after epoch {number} are not finite")
        return predictions

    def _evaluate(self, number: int, history: History) -> EpochValues:
        with self._turn():
            clock = time.perf_counter()
            values: EpochValues = {}
            if len(self.data.validation):
                labels = self.data.validation.labels
                values.update(self.task.validate(labels, self._finite(self.data.validation, number)))
            part = self.data.evaluation
            predictions = self.predictions = self._finite(part, number)
            values.update(self.task.evaluate(part.labels, predictions))
            if self.data.item_field is not None:
                item = self.data.item_field
                name, by_popularity = self.task.by_popularity
                counts = self.data.fields[item].counts
                values[name] = by_popularity(part.labels, predictions, part.ids[item], counts)
            if self.task.by_user is not None and self.data.user_field is not None:
                name, by_user = self.task.by_user
                if (value := by_user(part.labels, predictions, part.ids[self.data.user_field])) is not None:
                    values[name] = value
            history.eval_s += time.perf_counter() - clock
        return values
