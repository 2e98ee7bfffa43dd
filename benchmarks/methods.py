"""Times a training step and a lookup of each method at one budget, compared with ``qr``.

Run it with ``make speed METHODS=all`` or ``python -m benchmarks.methods [methods=all] [budget=0.1] [repeats=5]
[steps=2000] [file=PATH] [SETTING=VALUE ...]``, with settings of ``bench.run`` such as ``dataset=movielens_1m`` or
``experiment=sweep_clicks``. ``file=`` keeps the times as JSON, of which the tables of ``docs/methods.md`` are made. The
methods take turns within each repeat, so that a ratio to ``qr`` compares times of the same minutes. Post-training
methods have no steps to time: ``full`` takes the steps of their parent.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import backend, data, embeddings
from bench.config import compose
from bench.data.interactions import Interactions
from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.budget import choose
from bench.errors import BenchError, RequestError
from bench.measure import units
from bench.measure.environment import describe
from benchmarks.published.kept import Time, Times, machine_of
from benchmarks.timed import epochs, trainer_of

REFERENCE = "qr"
MANY = 10_000_000
"""Number of ids of the field for which the choice of a size is timed."""


@dataclass
class Timed:
    """The times of one method.

    Attributes:
        name: the method's name.
        ratio: bytes of the full tables divided by the serving bytes.
        measure: measures a training step in milliseconds. None for a post-training method.
        lookup_us: microseconds to look up one batch in all fields.
        size_ms: milliseconds to choose a size for ten million ids within the budget.
        taken: the results of ``measure``, one for each repeat.
    """

    name: str
    ratio: float
    measure: Callable[[], float] | None
    lookup_us: float
    size_ms: float
    taken: list[float] = field(default_factory=list)

    def against(self, reference: Timed) -> Time:
        """Gives the medians of its times, and of their ratios to those of a reference."""
        if not self.taken:
            return Time(None, None, self.lookup_us)
        ratio = np.median(np.array(self.taken) / np.array(reference.taken))
        return Time(float(np.median(self.taken)), float(ratio), self.lookup_us)


def time_sizes(name: str, budget: float, repeats: int = 5) -> float:
    """Gives the median time in milliseconds to choose a method's sizes for ten million ids."""
    method, taken = embeddings.find(name), []
    for _ in range(repeats):
        began = time.perf_counter()
        with contextlib.suppress(OverBudget):
            choose({"id": (method, method.Settings())}, {"id": Vocabulary("id", MANY)}, 64, budget)
        taken.append(1000 * (time.perf_counter() - began))
    return float(np.median(taken))


def prepare(name: str, interactions: Interactions, budget: float, steps: int, overrides: list[str]) -> Timed:
    """Prepares the measurement of a method that compresses every field. Times its lookups and its choice of sizes.

    Raises:
        OverBudget: the smallest size of the method exceeds the budget.
    """
    from bench.embeddings.layer import embedding_layers
    from bench.measure.memory import embedding_memory
    from bench.training.lookup import time_lookup

    trainer = trainer_of(interactions, f"strategy={name}", *overrides)
    layers = {layer.method.vocabulary.name: layer for layer in embedding_layers(trainer.model)}
    memory = embedding_memory({field: layer.method for field, layer in layers.items()})
    served = {field: layer.to_served() for field, layer in layers.items()}
    lookup = time_lookup(served, interactions.evaluation, trainer.settings.batch_size)
    trained = any(layer.method.parent() is None for layer in layers.values())
    measure = epochs(trainer, steps) if trained else None
    return Timed(name, memory["compression_ratio"], measure, lookup, time_sizes(name, budget))


def table(timed: list[Timed]) -> list[list[str]]:
    """Gives the cells of the printed table: a heading, then one row for each method."""
    by_name = {one.name: one for one in timed}
    rows = [["method", "smaller by", "ms a step", f"over {REFERENCE}", "lookup us", "size ms"]]
    for one in timed:
        row, found = [one.name, f"{one.ratio:.1f}x"], one.against(by_name[REFERENCE])
        row += ["-" if number is None else f"{number:.{digits}f}"
                for number, digits in ((found.step_ms, 3), (found.ratio, 2))]  # fmt: skip
        rows.append([*row, f"{one.lookup_us:.1f}", f"{one.size_ms:.1f}"])
    return rows


def keep(timed: list[Timed], command: str) -> Times:
    """Gives the times with the machine that they were taken on."""
    reference = next(one for one in timed if one.name == REFERENCE)
    methods = {one.name: one.against(reference) for one in timed}
    return Times(command, machine_of(describe(gpu=backend.gpu_name())), methods)


def main(arguments: list[str]) -> int:
    """Runs the benchmark. The module's docstring lists the ``NAME=VALUE`` arguments."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        methods, budget = given.pop("methods", "all"), given.pop("budget", "0.1")
        file = given.pop("file", "")
        repeats, steps = int(given.pop("repeats", 5)), int(given.pop("steps", 2000))
        if min(repeats, steps) < 1:
            raise RequestError(f"repeats={repeats} steps={steps}: give 1 or more")
        names = embeddings.names() if methods == "all" else methods.split(",")
        for name in names:
            embeddings.find(name)
        overrides = [f"{name}={value}" for name, value in given.items()]
        settings: Any = compose([*overrides, f"budget={budget}"])
        interactions = data.load(settings.dataset, settings.data_dir)
    except (BenchError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    backend.start(0, None)
    print(
        f"{interactions.name}, {settings.model.name}: batch {settings.training.batch_size}, width "
        f"{settings.embedding_dim}, {settings.training.optimizer}, budget={budget}; {repeats} repeats of {steps} steps"
    )
    timed, beyond = [], []
    for name in dict.fromkeys([REFERENCE, *names]):
        try:
            timed.append(prepare(name, interactions, float(budget), steps, [*overrides, f"budget={budget}"]))
        except OverBudget:
            timed.append(prepare(name, interactions, float(budget), steps, overrides))
            beyond.append(name)
    trained = [one for one in timed if one.measure]
    for number in range(repeats + 1):  # repeat 0 is not counted: it touches memory for the first time
        for one in trained:
            taken = one.measure() if one.measure else 0.0
            if number:
                one.taken.append(taken)
    for line in units.aligned(table(timed), left=1):
        print(line)
    if file:
        keep(timed, f"python -m benchmarks.methods {shlex.join(arguments)}").write(Path(file))
    if beyond:
        print(f"At their own size, since no size of theirs meets the budget: {', '.join(beyond)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
