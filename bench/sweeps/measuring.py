"""The times of runs that no record tells, from a few steps of each strategy on this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data import Interactions
from bench.embeddings.parents import only_compresses
from bench.experiment import Experiment
from bench.measure import machine
from bench.measure.pulse import Pulse
from bench.sweeps.estimate import OVERHEAD_SECONDS, kind
from bench.sweeps.plan import Times

if TYPE_CHECKING:
    from bench.training.history import EpochValues

log = logging.getLogger(__name__)

CHUNKS = 2
"""The number of chunks of steps that are run."""


@dataclass(frozen=True)
class Rehearsal:
    """What a few steps of a run have shown, in seconds.

    Attributes:
        fixed: what does not grow with the epochs: building, compiling, and making what serves.
        a_row: training, for each row and epoch.
        an_epoch: the end of an epoch, at which whole tables are brought up to date.
        evaluating_a_row: evaluation, for each row and epoch.
        evaluations: evaluations after the last epoch.
    """

    fixed: float
    a_row: float
    an_epoch: float
    evaluating_a_row: float
    evaluations: int

    def seconds(self, epochs: int, training: int, evaluated: int) -> float:
        """The time of a run.

        Args:
            epochs: epochs that it trains. 0 if its parent does.
            training: rows that train.
            evaluated: rows that validate or evaluate.
        """
        rows = epochs * training * self.a_row
        evaluation = (epochs + self.evaluations) * evaluated * self.evaluating_a_row
        return self.fixed + rows + epochs * self.an_epoch + evaluation + OVERHEAD_SECONDS


class MeasuredTimes(Times):
    """The times of runs: those of records, and else those that a few steps show. Each strategy is measured once.

    Args:
        folders: of records.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        super().__init__(folders)
        self._rehearsals: dict[str, Rehearsal] = {}

    def alone(self, run: Experiment, embedding_bytes: int) -> float | None:
        """The seconds of a run without those of its parent."""
        known = super().alone(run, embedding_bytes)
        return self._measured(run) if known is None else known

    def _measured(self, run: Experiment) -> float:
        key = kind(run.settings.values)
        if key not in self._rehearsals:
            name = run.settings.strategy
            self.measured.append(name)
            log.info("measuring %s", name)
            with Pulse() as pulse:
                pulse.doing(f"measuring {name}")
                self._rehearsals[key] = rehearse(run)
        is_child = only_compresses(run.methods)
        parts = run.data
        return self._rehearsals[key].seconds(
            0 if is_child else run.settings.training.epochs,
            len(parts.train),
            len(parts.validation) + len(parts.evaluation),
        )


class _Nobody:
    def chunk(self, epoch: int, step: int, loss: float, examples_per_second: float) -> None:
        pass

    def epoch(self, number: int, values: EpochValues) -> None:
        pass


def rehearse(planned: Experiment) -> Rehearsal:
    """Trains a run for a few steps, evaluates it, and forgets it. It writes nothing but compiled programs.

    Args:
        planned: the run, with its data.

    Raises:
        BenchError: its loss becomes no number, or a setting is wrong that only training shows.
    """
    from bench import backend

    training = planned.settings.training
    settings = replace(planned.settings, training=replace(training, epochs=1))
    backend.start(settings.seed, training.threads or machine.threads(), settings.data_dir)
    from bench.training import serving
    from bench.training.batches import CHUNK_EXAMPLES
    from bench.training.history import History

    run = Experiment(settings, Path())
    run.data = _few(planned.data, CHUNKS * max(CHUNK_EXAMPLES, training.batch_size, training.eval_batch_size))
    is_child = only_compresses(run.methods)
    history, clock = History(), time.perf_counter()
    with machine.Presence() as run.presence:
        run.build()
        fixed = time.perf_counter() - clock
        if not is_child:
            run.trainer.compile()
            history = run.trainer.fit(_Nobody())
        clock = time.perf_counter()
        model, _ = serving.to_served(run.trainer.model, run.layers, run.model_over, settings.seed)
        is_changed = is_child or model is not run.trainer.model
        if is_changed:
            run.trainer.evaluate_served(model, History(epochs=[{}]))
        fixed += history.compile_s + time.perf_counter() - clock
        clock = time.perf_counter()
        run.trainer.predict(run.data.evaluation)
        predicting = time.perf_counter() - clock
    steps, examples = sum(one[0] for one in history.chunks), sum(one[2] for one in history.chunks)
    evaluated = len(run.data.evaluation) + len(run.data.validation)
    return Rehearsal(
        max(0.0, fixed - predicting * is_changed),
        steps / max(1, examples),
        max(0.0, history.train_s - steps),
        max(history.eval_s / evaluated, predicting / len(run.data.evaluation)) if evaluated else 0.0,
        int(is_changed),
    )


def _few(data: Interactions, rows: int) -> Interactions:
    """The first rows of each part."""
    return replace(
        data,
        train=data.train.first(rows),
        validation=data.validation.first(rows),
        evaluation=data.evaluation.first(rows),
    )
