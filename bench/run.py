"""The command ``python -m bench.run``: one run, from settings to ``result.json``; with ``-m`` a sweep of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import data, results, tracking
from bench.command import leave, main
from bench.config import Settings
from bench.embeddings import find
from bench.embeddings.base import Method, Vocabulary
from bench.embeddings.budget import choose
from bench.errors import RunFailed
from bench.fingerprint import fingerprint
from bench.measure import environment, machine, memory, timing
from bench.parents import parent_settings

if TYPE_CHECKING:
    from bench.training.trainer import Trainer

log = logging.getLogger(__name__)

PARENT = "parent"
"""The folder, inside a run's own, of the run that trained what it compresses."""

TIMING_SECONDS = 1.0
"""How long steps are timed alone under ``timing=true``."""


def run(settings: Settings, output_dir: Path) -> dict[str, Any]:
    """One run: data, methods, model, training, result.

    Args:
        settings: composed and checked.
        output_dir: where ``result.json`` and the rest of what a run leaves go.

    Returns:
        What ``result.json`` holds.

    Raises:
        BenchError: what went wrong, in one line.
    """
    clock = timing.Stopwatch()
    target = tracking.check(settings.tracking.uri, settings.tracking.experiment)
    tracking.warm_up(target.uri)
    with clock("data"):
        interactions = data.load(settings.dataset, settings.data_dir)
    methods = choose_methods(settings, interactions)
    head: dict[str, Any] = {
        "dataset": interactions.name,
        "strategy": settings.strategy,
        "embeddings": {field: used(method) for field, method in methods.items()},
        "settings": settings.values,
        "seed": settings.seed,
        "fingerprint": fingerprint(deciding(settings, methods), interactions.digest),
        **memory.embedding_memory(methods),
    }
    while True:
        with tracking.claim(target, head["fingerprint"]) if settings.resume else nullcontext():
            if settings.resume:
                found = tracking.find_finished(target, head["fingerprint"], output_dir)
                if found is not None:
                    result = results.complete(**{**found, "status": results.Status.SKIPPED})
                    results.write(result, output_dir)
                    return result
            parent = train_parent(settings, methods, output_dir)
            try:
                room = results.reserved(output_dir, settings.training.epochs)
                with machine.Presence() as presence, room:
                    return measure(
                        settings, interactions, methods, head, clock, output_dir, target, presence, parent
                    )
            except tracking.Taken as taken:
                log.warning("%s", taken)


def train_parent(
    settings: Settings, methods: Mapping[str, Method[Any]], output_dir: Path
) -> dict[str, Any] | None:
    """The result of the run that trains what this one compresses, its weights in ``parent/``; None without one."""
    of_parent = parent_settings(settings, methods)
    if of_parent is None:
        return None
    folder = output_dir / PARENT
    folder.mkdir(exist_ok=True)
    return run(of_parent, folder)


def measure(
    settings: Settings,
    interactions: data.Interactions,
    methods: Mapping[str, Method[Any]],
    head: dict[str, Any],
    clock: timing.Stopwatch,
    output_dir: Path,
    target: tracking.Target,
    presence: machine.Presence,
    parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Builds, trains, measures and logs a run that has not finished before; returns its result.

    Raises:
        RunFailed: a number that is none; its result has been written and logged.
        BenchError: what else went wrong.
    """
    tracking.prepare(target)
    with presence.computing():
        trainer, layers = build(settings, interactions, methods, presence)
    for field, updates in trainer.updates_by_field().items():
        head["embeddings"][field]["table_updates"] = updates
    head["environment"] = environment.describe(settings.training.threads or machine.threads())
    head["parent_run_id"] = parent["run_id"] if parent else None
    measured: dict[str, Any] = {}
    failure = None
    described = tracking.Data.of(interactions, settings.dataset)
    with tracking.start(target, head, folder=output_dir, data=described) as logged:
        try:
            measured = train(settings, trainer, layers, clock, output_dir, logged.ready, presence, parent)
            head["environment"].update(measured.pop("environment"))
            # Written before anything is sent or saved: a server that is gone or a full disk loses no result.
            kept = results.complete(status=results.Status.FINISHED, **head, **measured, **clock.seconds())
            results.write(kept, output_dir)
            save(settings, trainer, output_dir)
        except RunFailed as error:
            failure = error
        result = results.complete(
            status=results.Status.FAILED if failure else results.Status.FINISHED,
            error=str(failure) if failure else None,
            run_id=logged.run_id,
            **head,
            **measured,
            **clock.seconds(),
        )
        results.write(result, output_dir)
        try:
            logged.log_result(result, output_dir)
        except tracking.TrackingError as lost:
            if failure is None:
                raise
            log.warning("%s", lost)
    if failure:
        raise failure
    return result


def save(settings: Settings, trainer: Trainer, output_dir: Path) -> None:
    """Leaves the weights where they are asked for.

    Raises:
        RunFailed: they cannot be written.
    """
    from safetensors import SafetensorError

    from bench.training.weights import save_weights

    if settings.save_weights:
        try:
            save_weights(trainer.model, output_dir)
        except (OSError, SafetensorError) as error:
            raise RunFailed(
                f"{results.WEIGHTS} cannot be written ({error}); the numbers are in {output_dir / results.FILE}"
            ) from error


def used(method: Method[Any]) -> dict[str, Any]:
    """What a result says of a field's embedding: method, settings, and the shape of each table."""
    tables = {table.name: list(table.shape) for table in method.tables()}
    return {"method": method.name(), **asdict(method.settings), "tables": tables}


def choose_methods(settings: Settings, interactions: data.Interactions) -> dict[str, Method[Any]]:
    """The method of each field with all its sizes, within the budget if there is one."""
    fields = interactions.fields
    return choose(
        {name: (find(method), own) for name in fields for method, own in [settings.method(name)]},
        {name: Vocabulary(name, field.size, field.counts) for name, field in fields.items()},
        settings.embedding_dim,
        settings.budget,
    )


def needed_memory(settings: Settings) -> int:
    """Bytes that a run will take at most, from its settings and data, before anything is built."""
    interactions = data.load(settings.dataset, settings.data_dir)
    methods = choose_methods(settings, interactions).values()
    trainable = sum(array.nbytes for method in methods for array in (*method.tables(), *method.weights()))
    parts = (interactions.train, interactions.validation, interactions.evaluation)
    return memory.expected_peak_bytes(trainable, sum(map(len, parts)))


def deciding(settings: Settings, methods: Mapping[str, Method[Any]]) -> Mapping[str, Any]:
    """The settings that the fingerprint is made of: without a budget that no method heeds."""
    if all(method.ignores_budget for method in methods.values()):
        return {**settings.values, "budget": None}
    return settings.values


def build(
    settings: Settings,
    interactions: data.Interactions,
    methods: Mapping[str, Method[Any]],
    presence: machine.Presence,
) -> tuple[Trainer, dict[str, Any]]:
    """What will train the model over the methods' embeddings, and these layers; TensorFlow is imported here."""
    from bench import backend

    backend.start(settings.seed, settings.training.threads or machine.threads())
    from bench.embeddings.layer import CompressedEmbedding
    from bench.training.trainer import Trainer

    layers = {
        field: CompressedEmbedding(method, seed=settings.seed, name=f"{field}_embedding")
        for field, method in methods.items()
    }
    model = build_model(settings, interactions, layers)
    trainer = Trainer(model, interactions, settings.training, settings.seed, turn=presence.computing)
    if trainer.table_updates != settings.training.table_updates:
        log.warning("training.optimizer=%s as set has no form for rows: tables are updated whole (dense)",
                    settings.training.optimizer)  # fmt: skip
    return trainer, layers


def build_model(settings: Settings, interactions: data.Interactions, layers: Mapping[str, Any]) -> Any:
    """The Keras model over the fields' embedding layers."""
    from bench import models

    return models.build(settings.model, layers, interactions.label_range, interactions.dense_dim)


def train(
    settings: Settings,
    trainer: Trainer,
    layers: Mapping[str, Any],
    clock: timing.Stopwatch,
    output_dir: Path,
    before_training: Callable[[], object],
    presence: machine.Presence,
    parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains, brings the embeddings into the form that serves, and returns the measured part of the result.

    What must not run beside the steps that are timed goes into ``before_training``. Where there is a parent nothing
    is trained: weights, history, step times and optimizer state are the parent's.
    """
    from bench import backend, models
    from bench.training import serving
    from bench.training.lookup import time_lookup
    from bench.training.progress import ProgressReport
    from bench.training.weights import load_weights

    training = settings.training
    (output_dir / tracking.MODEL_SUMMARY).write_text(models.summary(trainer.model), encoding="utf-8")
    if parent:
        load_weights(trainer.model, output_dir / PARENT)
        before_training()
        history = trainer.adopt(parent["history"])
    else:
        with ProgressReport(training.epochs, trainer.batches.steps, shown=training.progress) as report:
            with presence.computing():
                trainer.compile()
            before_training()
            history = trainer.fit(report)
    counted = serving.sizes(trainer.model, layers)
    with presence.computing(), clock("train"):
        model, served = serving.to_served(
            trainer.model, layers, lambda made: build_model(settings, trainer.data, made), settings.seed
        )
    if parent or model is not trainer.model:
        trainer.evaluate_served(model, history)
    for phase in ("compile", "train", "eval"):
        clock.add(phase, getattr(history, f"{phase}_s"))
    presence.look()
    chunks, at_once = history.chunks, presence.most
    with presence.alone() if settings.timing else nullcontext():
        if settings.timing and not parent:
            chunks, at_once = trainer.time_steps(TIMING_SECONDS), 1
        lookup_us = time_lookup(served, trainer.data.evaluation, training.batch_size, training.jit)
    of_steps = parent or timing.step_statistics(chunks)
    last = history.epochs[-1]
    return {
        **counted,
        "optimizer_bytes": parent["optimizer_bytes"] if parent else trainer.optimizer_bytes,
        **{key: value for key, value in last.items() if key in results.METRICS},
        "history": {key: [epoch[key] for epoch in history.epochs] for key in last},
        **{key: of_steps[key] for key in timing.STEP_STATISTICS},
        "lookup_us": lookup_us,
        "peak_rss_bytes": memory.peak_rss_bytes(),
        "environment": {"gpu": backend.gpu_name(), "jobs": at_once},
    }


if __name__ == "__main__":
    # Not this module's own, which other processes would know as __main__.
    from bench.run import needed_memory as memory_of
    from bench.run import run as task

    leave(main(task, memory=memory_of))
