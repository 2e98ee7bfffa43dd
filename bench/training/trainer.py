"""Training a model on a data set: epochs, evaluation, early stopping, and what is measured on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from bench.config import Training
from bench.data.interactions import Interactions, Part
from bench.embeddings.base import Progress
from bench.embeddings.layer import CompressedEmbedding, embedding_layers
from bench.errors import RunFailed
from bench.measure.metrics import errors, mae_by_decile
from bench.training import optimizers
from bench.training.arrays import LARGE
from bench.training.batches import Batches, Reader, check_ids
from bench.training.loop import Loop


class Listener(Protocol):
    """Is told how training goes."""

    def chunk(self, epoch: int, step: int, loss: float, examples_per_second: float) -> None:
        """Some steps are done: the epoch (from 1), the step in it, the last loss."""

    def epoch(self, number: int, values: Mapping[str, Any]) -> None:
        """An epoch is done: its number (from 1) and what ``History`` keeps of it."""


@dataclass
class History:
    """What training leaves.

    Attributes:
        epochs: a dict an epoch: ``train_loss``, ``val_loss``, ``val_mae``, ``val_rmse``, ``val_mae_by_decile``,
            and ``validation_loss`` and ``validation_mae`` where rows were kept apart for them.
        chunks: wall seconds, steps and examples of each chunk.
        compile_s: seconds until the first step could run.
        train_s: seconds of training, bringing tables up to date at the end of an epoch included.
        eval_s: seconds of evaluation.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    chunks: list[tuple[float, int, int]] = field(default_factory=list)
    compile_s: float = 0.0
    train_s: float = 0.0
    eval_s: float = 0.0


def squared_error(labels: Any, predictions: Any) -> Any:
    """The recipe's loss, of each example."""
    return tf.square(labels - predictions)


def no_wait() -> AbstractContextManager[float]:
    """What a trainer holds while it computes where nobody else minds."""
    return nullcontext(0.0)


class Trainer:
    """Trains any Keras model whose inputs are the data set's fields.

    An embedding layer of the model that is called once, on the ids of its vocabulary's field, is read by rows; its
    large tables are updated by rows too where ``table_updates`` is ``deferred`` and the optimizer has that form.

    Args:
        model: takes a dict of int32 (batch,) by field, and ``dense`` where the data has dense columns; gives
            (batch,).
        data: rows for training, validation and evaluation.
        settings: how to train.
        seed: of the order of batches.
        loop: what runs the batches.
        turn: held while it computes in ``fit``; gives the seconds that it waited for it.

    Raises:
        RequestError: ids outside a vocabulary, or an optimizer that Keras refuses.
    """

    def __init__(
        self,
        model: Any,
        data: Interactions,
        settings: Training,
        seed: int,
        loop: type[Loop] = Loop,
        turn: Callable[[], AbstractContextManager[float]] = no_wait,
    ) -> None:
        self._turn = turn
        self.model, self.data, self.settings = model, data, settings
        sizes = {name: item.size for name, item in data.fields.items()}
        for part, name in (
            (data.train, "training"),
            (data.validation, "validation"),
            (data.evaluation, "evaluation"),
        ):
            check_ids(part, sizes, name)
        layers = _layers_by_key(model, data)
        steps = settings.epochs * -(-len(data.train) // settings.batch_size)
        schedule = vars(settings.schedule)
        rates = optimizers.learning_rates(settings.learning_rate, schedule, steps)
        optimizer = optimizers.build(settings.optimizer, settings.optimizer_settings, rates)
        rule = optimizers.row_rule(optimizer) if settings.table_updates == "deferred" else None
        self.table_updates = "deferred" if rule is not None else "dense"
        deferred = {
            key: frozenset() if rule is None or layer.method.needs_dense_updates else _large_tables(layer)
            for key, layer in layers.items()
        }
        self._layers, self._deferred = layers, deferred
        readers = [
            Reader(key, layer.method.vocabulary.name, layer.method, _maps(layer), deferred[key])
            for key, layer in layers.items()
        ]
        self.batches = Batches(data.train, readers, settings.batch_size, seed)
        coefficients = np.zeros((1, 1), np.float32) if rule is None else rule.coefficients(rates)
        self.loop = loop(
            model,
            layers,
            deferred,
            optimizer,
            rule,
            coefficients,
            squared_error,
            jit=settings.jit,
            flat=optimizers.is_elementwise(optimizer),
            seed=seed,
        )
        self.seed, self._maps = seed, {reader.key: reader.maps for reader in readers}
        self.compile_s: float | None = None
        self._serve(model)

    def _serve(self, model: Any) -> None:
        """Predictions come from ``model`` from now on."""
        # Compiled, since without XLA the last bit of a matrix product depends on the number of threads.
        jit = self.settings.jit or None
        self._predict = tf.function(lambda inputs: model(inputs, training=False), jit_compile=jit)

    @property
    def optimizer_bytes(self) -> int:
        """Bytes held for training beside the model's own variables: moments, clocks, working copies."""
        return self.loop.nbytes

    def compile(self) -> None:
        """Makes everything ready to run, so that no step waits for it; ``fit`` does it where it was not done."""
        clock = time.perf_counter()
        part = self.data.evaluation
        dense = None if part.dense is None else part.dense[:1]
        self.predict(Part({name: ids[:1] for name, ids in part.ids.items()}, part.labels[:1], dense))
        self.loop.run(self.batches.example())
        self.loop.settle()
        self.batches.begin(1)
        self.compile_s = time.perf_counter() - clock

    def updates_by_field(self) -> dict[str, str]:
        """``deferred`` for a field with tables that are updated by rows, ``dense`` for one without."""
        updates = dict.fromkeys(self.data.fields, "dense")
        for key, tables in self._deferred.items():
            if tables:
                updates[self._layers[key].method.vocabulary.name] = "deferred"
        return updates

    def fit(self, listener: Listener) -> History:
        """Trains and evaluates, epoch by epoch.

        Raises:
            RunFailed: a loss or a prediction that is no finite number; says at which step.
        """
        if self.compile_s is None:
            self.compile()
        history = History(compile_s=self.compile_s or 0.0)
        best, waited = np.inf, 0
        for number in range(1, self.settings.epochs + 1):
            values: dict[str, Any] = {"train_loss": self._epoch(number, history, listener)}
            values.update(self._evaluate(number, history))
            history.epochs.append(values)
            listener.epoch(number, values)
            stopping = self.settings.early_stopping
            if stopping.patience is not None:
                if values["validation_loss"] < best - stopping.min_delta:
                    best, waited = values["validation_loss"], 0
                else:
                    waited += 1
                if waited >= stopping.patience:
                    break
        return history

    @staticmethod
    def adopt(history: Mapping[str, Sequence[Any]]) -> History:
        """The history of a training that another run has done, from its result's ``history``."""
        rows = zip(*history.values(), strict=True)
        return History(epochs=[dict(zip(history, row, strict=True)) for row in rows])

    def evaluate_served(self, model: Any, history: History) -> None:
        """Evaluates what serves, which is ``model`` from now on: its error is the last epoch's.

        Args:
            model: the trained one with embeddings in the form that serves.
            history: of the training.

        Raises:
            RunFailed: a prediction that is no finite number.
        """
        self.model = model
        self._serve(model)
        history.epochs[-1].update(self._evaluate(len(history.epochs), history))

    def time_steps(self, seconds: float) -> list[tuple[float, int, int]]:
        """Trains on for about ``seconds``, at least one chunk, at most an epoch, only to see what a step takes.

        Returns:
            Wall seconds, steps and examples of each chunk, as in ``History``. The model is another one then.
        """
        chunks: list[tuple[float, int, int]] = []
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
        """Predictions for rows, float32 of shape (rows,)."""
        # One size for all parts, so that the model is traced once.
        size = min(self.settings.eval_batch_size, max(len(self.data.validation), len(self.data.evaluation)))
        found = []
        for start in range(0, len(part), size):
            picked = np.minimum(np.arange(start, start + size), len(part) - 1)
            inputs: dict[str, Any] = {name: tf.constant(ids[picked]) for name, ids in part.ids.items()}
            if part.dense is not None:
                inputs["dense"] = tf.constant(part.dense[picked])
            found.append(self._predict(inputs).numpy())
        return np.concatenate(found)[: len(part)]

    def _epoch(self, number: int, history: History, listener: Listener) -> float:
        began = clock = time.perf_counter()
        total, done = 0.0, 0
        for chunk in self.batches.epoch(number):
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
            if done < self.batches.steps:
                progress = self._progress(number - 1, done)
                if due := self._due(progress):
                    with self._turn() as waited:
                        self._change(due, progress)
                    began, now = began + waited, time.perf_counter()
            clock = now
        progress = self._progress(number, 0)
        with self._turn() as waited:
            self._change(self._due(progress), progress)
            self.loop.settle()
        began += waited
        if number < self.settings.epochs:
            self.batches.begin(number + 1)  # while this one is evaluated
        history.train_s += time.perf_counter() - began
        return total / len(self.data.train)

    def _progress(self, epochs: int, steps: int) -> Progress:
        """After some epochs and, of the next one, some steps."""
        return Progress(
            step=epochs * self.batches.steps + steps,
            steps=self.settings.epochs * self.batches.steps,
            epoch=epochs,
            epochs=self.settings.epochs,
            epoch_ended=steps == 0,
        )

    def _due(self, progress: Progress) -> dict[str, CompressedEmbedding]:
        return {key: layer for key, layer in self._layers.items() if layer.method.is_due(progress)}

    def _change(self, due: Mapping[str, CompressedEmbedding], progress: Progress) -> None:
        """Lets the methods of some layers change their arrays."""
        if not due:
            return
        self.loop.settle(reset=True)
        for number, (key, layer) in enumerate(due.items()):
            rng = np.random.default_rng([self.seed, number, progress.step])
            change = layer.method.change(progress, layer.arrays(), rng)
            layer.set_arrays(change.arrays)
            maps = {name: value for name, value in change.arrays.items() if name in layer.map_variables}
            if maps and not progress.epoch_ended:
                raise RuntimeError(f"{layer.method.name()}: maps may change at the end of an epoch only")
            self._maps[key].update(maps)
            changed = [layer.array_variables[name] for name in change.arrays.keys() - maps.keys()]
            self.loop.adopt(changed, change.reset_moments)

    def _finite(self, part: Part, number: int) -> np.ndarray:
        predictions = self.predict(part)
        if not np.isfinite(predictions).all():
            wrong = int((~np.isfinite(predictions)).sum())
            raise RunFailed(
                f"{wrong} of {len(predictions)} predictions after epoch {number} are no finite numbers"
            )
        return predictions

    def _evaluate(self, number: int, history: History) -> dict[str, Any]:
        with self._turn():
            clock = time.perf_counter()
            values: dict[str, Any] = {}
            if len(self.data.validation):
                found = errors(self.data.validation.labels, self._finite(self.data.validation, number))
                values.update(validation_loss=found["mse"], validation_mae=found["mae"])
            part = self.data.evaluation
            predictions = self._finite(part, number)
            found = errors(part.labels, predictions)
            values.update(val_loss=found["mse"], val_mae=found["mae"], val_rmse=found["rmse"])
            if self.data.item_field is not None:
                item = self.data.item_field
                counts = self.data.fields[item].counts
                values["val_mae_by_decile"] = mae_by_decile(part.labels, predictions, part.ids[item], counts)
            history.eval_s += time.perf_counter() - clock
        return values


def _layers_by_key(model: Any, data: Interactions) -> dict[str, CompressedEmbedding]:
    """The model's embedding layers that read a field of the data, by a unique name; others train by autodiff."""
    found = {}
    for number, layer in enumerate(embedding_layers(model)):
        vocabulary = layer.method.vocabulary
        if vocabulary.name in data.fields and vocabulary.size == data.fields[vocabulary.name].size:
            found[f"{number}_{layer.name}"] = layer
    return found


def _large_tables(layer: CompressedEmbedding) -> frozenset[str]:
    return frozenset(a.name for a in layer.method.tables() if a.trainable and math.prod(a.shape) > LARGE)


def _maps(layer: CompressedEmbedding) -> dict[str, np.ndarray]:
    return {name: np.asarray(variable) for name, variable in layer.map_variables.items()}
