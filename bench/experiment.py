"""A run under way: resume, prepare, train, serve, measure, record."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import data, models, sizing, tracking
from bench.config import Settings
from bench.embeddings.base import Method
from bench.embeddings.budget import used
from bench.embeddings.parents import only_compresses, parent_settings
from bench.errors import BenchError, RunFailed
from bench.measure import environment, machine, memory, timing
from bench.measure.pulse import Pulse
from bench.models.fields import by_field, choose_methods, deciding, own_tables
from bench.records import files
from bench.records.fingerprint import fingerprint
from bench.records.result import METRICS, Result, Status
from bench.records.store import MODEL_SUMMARY, WEIGHTS, Record, Store
from bench.tasks import find as find_task

if TYPE_CHECKING:
    from bench.embeddings.layer import CompressedEmbedding
    from bench.training.history import History
    from bench.training.trainer import Trainer

log = logging.getLogger(__name__)

PARENT = "parent"
"""The folder, inside a run's own, of the run that trained what this one compresses."""

TIMING_SECONDS = 1.0
"""Seconds for which steps are timed alone under ``timing=true``."""


def run(settings: Settings, folder: Path) -> Result:
    """Runs one experiment, see ``Experiment.run``."""
    experiment = Experiment(settings, folder)
    with experiment.pulse:
        return experiment.run()


def finished(settings: Settings, folder: Path | None) -> Result | None:
    """Gives the result of an equal run that has finished; None where it has to be trained.

    The result is written into ``folder``, if there is one.

    It takes milliseconds once the data is prepared, and imports neither TensorFlow nor MLflow.
    """
    return Experiment(settings, folder or Path()).resume(leave=folder is not None)


class Experiment:
    """One run, from its settings to its record.

    Args:
        settings: composed and checked.
        folder: the output folder. It gets ``result.json`` and what else a run leaves.
        pulse: says without a terminal what goes on. None for one of its own.
        is_parent: True if another run compresses what this one trains. The record then holds the weights.
    """

    trainer: Trainer
    layers: Mapping[str, CompressedEmbedding]
    served: Mapping[str, CompressedEmbedding]
    history: History
    presence: machine.Presence

    def __init__(
        self, settings: Settings, folder: Path, pulse: Pulse | None = None, is_parent: bool = False
    ) -> None:
        self.settings, self.folder = settings, folder
        self.keeps_weights = settings.save_weights or is_parent
        self.pulse = pulse or Pulse(shown=settings.training.progress)
        self.clock = timing.Stopwatch()
        self.store = Store(settings.results_dir)
        self.task = find_task(settings.task)
        self.parent: Record | None = None
        self.measured: dict[str, Any] = {}

    def run(self) -> Result:
        """Gives the result of an equal run that has finished, else trains, measures and records.

        Raises:
            BenchError: one line that says what went wrong.
        """
        resumes = self.settings.resume
        target = tracking.check(self.settings.tracking.uri, self.settings.tracking.experiment)
        self.pulse.doing("reading the data")
        own = self.fingerprint
        self.pulse.doing("looking for an equal run")
        with self.store.claim(own) if resumes else nullcontext():
            found = self.resume() if resumes else None
            if found is None:
                target.knock()
                found = self.resume_from(target) if resumes and target.is_server else None
            return found or self.train(target)

    @cached_property
    def data(self) -> data.Interactions:
        """The data set, split and numbered.

        Raises:
            RequestError: the task cannot take its labels, or it has fewer training rows than the settings ask for.
        """
        with self.clock("data"):
            found = data.load(self.settings.dataset, self.settings.data_dir)
            found = found.training_on(self.settings.training.rows)
            self.task.check(found)
            return found

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything that decides the result."""
        return fingerprint(deciding(self.settings, self.data), self.data.digest)

    @cached_property
    def methods(self) -> dict[str, Method[Any]]:
        """The methods with all their sizes, by the names of fields, or of groups of fields that share one."""
        return choose_methods(self.settings, self.data)

    @cached_property
    def own_tables(self) -> dict[str, Method[Any]]:
        """The tables of the model beside those methods."""
        return own_tables(self.settings, self.methods)

    @property
    def compressed(self) -> Result | None:
        """The parent's result, if this run only compresses what that one has trained."""
        return self.parent.result if self.parent and only_compresses(self.methods) else None

    def resume(self, leave: bool = True) -> Result | None:
        """Gives the result of an equal run that has been recorded, and leaves it in the output folder."""
        record = self.store.find(self.fingerprint)
        weights = record.file(WEIGHTS) if record and self.keeps_weights else None
        if record is None or (self.keeps_weights and weights is None):
            return None
        found = record.result.with_(status=Status.SKIPPED)
        if leave:
            found.write(self.folder)
        if leave and weights is not None and self.settings.save_weights:
            files.link_or_copy(weights, self.folder / WEIGHTS)
        return found

    def resume_from(self, target: tracking.Target) -> Result | None:
        """Makes a record of an equal finished run that a server holds, and resumes from it."""
        if self.fingerprint in self.store.removed():
            return None
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".server.") as fetched:
            found = tracking.find_finished(target, self.fingerprint, Path(fetched))
            if found is None:
                return None
            paths = [path for path in Path(fetched).iterdir() if path.name in (MODEL_SUMMARY, WEIGHTS)]
            self.store.add(found, paths)
        return self.resume()

    def train(self, target: tracking.Target) -> Result:
        """Trains what has not been trained before, measures it and records it."""
        tracking.warm_up(target.uri)
        described = tracking.Data.of(self.data, self.settings.values["dataset"])
        self.parent = self.train_parent()
        tracking.prepare(target)
        with files.reserved(self.folder, self.settings.training.epochs), machine.Presence() as self.presence:
            self.build()
            with tracking.start(target, self.result(Status.FINISHED), self.folder, described) as logged:
                failure = None
                try:
                    self.fit(logged)
                    self.serve()
                    files.release(self.folder)  # the room that was kept for what is written now
                    self.result(Status.FINISHED).write(self.folder)  # before anything is only timed or sent
                    self.measure()
                except RunFailed as error:
                    failure = error
                return self.record(logged, failure)

    def train_parent(self) -> Record | None:
        """Trains in another run the tables that this run compresses; None for a method that trains its own.

        Raises:
            BenchError: that run failed.
        """
        of_parent = parent_settings(self.settings, self.methods)
        if of_parent is None:
            return None
        folder = self.folder / PARENT
        folder.mkdir(exist_ok=True)
        parent = Experiment(of_parent, folder, self.pulse, is_parent=True)
        parent.run()
        record = self.store.find(parent.fingerprint)
        if record is None:
            raise RunFailed(f"{folder}: the parent's record was removed meanwhile; give the command again")
        return record

    def build(self) -> None:
        """Makes the layers, the model over them and its trainer. TensorFlow is imported here.

        Raises:
            RequestError: the tables or the rows do not fit into memory.
        """
        from bench import backend
        from bench.training import order

        self.pulse.doing("building the model")
        settings, threads = self.settings, self.settings.training.threads or machine.threads()
        free = memory.free_bytes()
        order.check_memory(settings.training.shuffle, self.data.train, free)
        sizing.check_memory(settings, {**self.methods, **self.own_tables}, self.data, free)
        with self.presence.computing():
            backend.start(settings.seed, threads, settings.data_dir)
            from bench.embeddings.layer import CompressedEmbedding
            from bench.training.optimizers import why_whole
            from bench.training.trainer import Trainer
            from bench.training.weights import start_from

            self.layers = {
                name: CompressedEmbedding(method, seed=settings.seed, name=f"{name}_embedding")
                for name, method in self.methods.items()
            }
            model = self.model_over(self.layers)
            if self.parent:
                start_from(self.parent.weights(), model, self.layers, settings.seed)
            self.trainer = Trainer(
                model,
                self.data,
                settings.training,
                settings.seed,
                task=self.task,
                turn=self.presence.computing,
            )
            if only_compresses(self.methods):
                self.trainer.loop.release()
        if self.trainer.table_updates != settings.training.table_updates:
            log.warning("%s: tables are updated whole (dense)", why_whole(settings.training))
        self.measured["environment"] = environment.describe(threads)
        updates = self.trainer.updates_by_field()
        self.measured["embeddings"] = {
            name: {**used(method), "table_updates": updates[method.vocabulary.members[0].name]}
            for name, method in self.methods.items()
        }

    def model_over(self, layers: Mapping[str, CompressedEmbedding]) -> Any:
        """Gives the Keras model over some embedding layers."""
        scale = self.task.scale(self.data.label_range)
        of_fields = by_field(layers, self.data.fields)
        return models.build(self.settings.model, of_fields, scale, self.data.dense_dim)

    def fit(self, logged: tracking.Run) -> None:
        """Trains; where a parent has done all of it, takes its history instead.

        The run exists in MLflow before the first step: what is wrong there is said while nothing is lost.
        """
        from bench.records.checkpoint import Checkpoint
        from bench.training.progress import ProgressReport

        training = self.settings.training
        (self.folder / MODEL_SUMMARY).write_text(models.summary(self.trainer.model), encoding="utf-8")
        if self.compressed:
            logged.ready()
            self.history = self.trainer.adopt(self.compressed.history or {})
            return
        shown = sorted((n for n, one in METRICS.items() if one.by_epoch), key=self.task.headline.__eq__)
        steps = self.trainer.batches.steps
        place = self.store.checkpoints / self.fingerprint
        checkpoint = Checkpoint(place, training.checkpoint) if self.settings.resume else None
        report = ProgressReport(training.epochs, steps, shown, training.progress, pulse=self.pulse)
        with report:
            self.pulse.doing("compiling")
            with self.presence.computing():
                self.trainer.compile()
            logged.ready()
            self.history = self.trainer.fit(report, checkpoint)
        self.clock.add_earlier(self.history.earlier_s)

    def serve(self) -> None:
        """Brings the embeddings into the form that serves; the errors reported are those of that form."""
        from bench.training import popularity, serving

        self.pulse.doing("bringing the embeddings into the form that serves")
        self.measured |= serving.sizes(self.trainer.model, self.layers, self.own_tables)
        trained = self.trainer.model
        with self.presence.computing(), self.clock("train"):
            model, self.served = serving.to_served(trained, self.layers, self.model_over, self.settings.seed)
        if self.compressed or model is not trained:
            self.trainer.evaluate_served(model, self.history)
        with self.presence.computing(), self.clock("eval"):
            self.measured |= popularity.who_pays(self.task, self.data, self.trainer.predictions)
        for phase in ("compile", "train", "eval"):
            self.clock.add(phase, getattr(self.history, f"{phase}_s"))
        kept = self.history.kept
        self.measured |= {key: value for key, value in kept.items() if key in METRICS}
        self.measured["history"] = {key: [epoch[key] for epoch in self.history.epochs] for key in kept}
        self.measured |= self.task.constant(self.data.train.labels, self.data.evaluation.labels)
        self.measured["optimizer_bytes"] = (
            self.compressed.optimizer_bytes if self.compressed else self.trainer.optimizer_bytes
        )
        self._steps(self.history.chunks)

    def measure(self) -> None:
        """Times lookups, under ``timing=true`` steps too, and reads the memory that the process has had."""
        from bench import backend
        from bench.training.lookup import time_lookup

        training = self.settings.training
        self.pulse.doing("timing lookups")
        self.presence.look()
        at_once = self.presence.most
        with self.presence.alone() if self.settings.timing else nullcontext():
            if self.settings.timing and not self.compressed:
                self._steps(self.trainer.time_steps(TIMING_SECONDS))
                at_once = 1
            evaluation = self.data.evaluation
            self.measured["lookup_us"] = time_lookup(
                self.served, evaluation, training.batch_size, training.jit
            )
        self.measured["peak_rss_bytes"] = memory.peak_rss_bytes()
        self.measured["environment"] |= {"gpu": backend.gpu_name(), "jobs": at_once}

    def _steps(self, chunks: list[timing.Chunk]) -> None:
        of = self.compressed
        found = {name: of.metric(name) for name in timing.STEP_STATISTICS} if of else None
        self.measured |= found or timing.step_statistics(chunks)

    def result(self, status: Status, run_id: str | None = None, error: str | None = None) -> Result:
        """Gives the result as far as it is known."""
        known = {
            "task": self.task.name,
            "dataset": self.data.name,
            "data_digest": self.data.digest,
            "strategy": self.settings.strategy,
            "embeddings": {name: used(method) for name, method in self.methods.items()},
            "settings": self.settings.values,
            "seed": self.settings.seed,
            "fingerprint": self.fingerprint,
            "parent_fingerprint": self.parent.fingerprint if self.parent else None,
            **memory.embedding_memory({**self.methods, **self.own_tables}),
        }
        return Result.of(
            status, run_id=run_id, error=error, **{**known, **self.measured, **self.clock.seconds()}
        )

    def record(self, logged: tracking.Run, failure: RunFailed | None) -> Result:
        """Writes the result into the output folder and the record, and sends it to MLflow.

        Raises:
            RunFailed: the run came to no valid result.
            BenchError: the record, the weights or MLflow's copy cannot be written. What could be is kept.
        """
        self.pulse.doing("recording the result")
        status = Status.FAILED if failure else Status.FINISHED
        result = self.result(status, logged.run_id, str(failure) if failure else None)
        files.release(self.folder)
        result.write(self.folder)
        if result.status == Status.FAILED:
            self.store.add_failed(result)
            try:
                logged.log_result(result, self.folder)
            except tracking.TrackingError as lost:
                log.warning("%s", lost)
            raise failure or RunFailed(str(result.error))
        record = self.store.add(result, [self.folder / MODEL_SUMMARY])
        equal = record.result is result or record.result.numbers() == result.numbers()
        if not equal:
            log.warning("%s: holds other numbers of an equal run and stays as it is", record.folder)
        if self.keeps_weights:
            self.save_weights(record if equal else None)
        logged.log_result(result, self.folder)
        return result

    def save_weights(self, record: Record | None) -> None:
        """Leaves the weights in a record that has none, and where they are asked for beside the result.

        Raises:
            RunFailed: they cannot be written.
        """
        from bench.training.weights import save_weights

        try:
            save_weights(self.trainer.model, self.folder / WEIGHTS)
            if record is not None and record.file(WEIGHTS) is None:
                self.store.add_weights(record, self.folder / WEIGHTS)
            if not self.settings.save_weights:
                (self.folder / WEIGHTS).unlink()
        except (OSError, BenchError) as error:
            raise RunFailed(
                f"{WEIGHTS} cannot be written ({error}); the numbers are in {self.folder}"
            ) from error
