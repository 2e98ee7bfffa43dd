"""What a step and a lookup take with each method, at one budget, beside ``qr``.

``make speed METHODS=all``, or ``python -m benchmarks.methods [methods=all] [dataset=movielens_1m] [budget=0.1]
[repeats=5]``. The methods take turns within each repeat, so that a ratio to ``qr`` compares the same minutes.
Post-training methods take no steps of their own: their parent's are ``full``'s.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import backend, data, embeddings, results
from bench.config import compose
from bench.data.interactions import Interactions
from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.budget import choose
from bench.errors import BenchError, RequestError
from benchmarks.speed import epochs, trainer_of

REFERENCE = "qr"
STEPS = 2000
"""Steps that are timed at once."""

MANY = 10_000_000
"""Ids of the vocabulary whose sizes are chosen on time."""


@dataclass
class Timed:
    """One method.

    Attributes:
        name: the method's.
        ratio: full bytes over those that serve.
        measure: milliseconds a step; None for a method that is not trained itself.
        lookup_us: microseconds to look up a batch, all fields.
        size_ms: milliseconds to choose a size for ten million ids within the budget.
        taken: what ``measure`` gave, one a repeat.
    """

    name: str
    ratio: float
    measure: Callable[[], float] | None
    lookup_us: float
    size_ms: float
    taken: list[float] = field(default_factory=list)


def time_sizes(name: str, budget: float, repeats: int = 5) -> float:
    """Median milliseconds to choose sizes for ten million ids."""
    method, taken = embeddings.find(name), []
    for _ in range(repeats):
        began = time.perf_counter()
        with contextlib.suppress(OverBudget):
            choose({"id": (method, method.Settings())}, {"id": Vocabulary("id", MANY)}, 64, budget)
        taken.append(1000 * (time.perf_counter() - began))
    return float(np.median(taken))


def prepare(name: str, interactions: Interactions, budget: float, overrides: list[str]) -> Timed:
    """A trainer with the method in every field, and its lookups timed once.

    Raises:
        OverBudget: the method has no size as small.
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
    measure = epochs(trainer, STEPS) if trained else None
    return Timed(name, memory["compression_ratio"], measure, lookup, time_sizes(name, budget))


def table(timed: list[Timed]) -> list[list[str]]:
    """The heading, then a line a method: its size, its step, its step over the reference's, its lookup."""
    by_name = {one.name: one for one in timed}
    rows = [["method", "smaller by", "ms a step", f"over {REFERENCE}", "lookup us", "size ms"]]
    for one in timed:
        row = [one.name, f"{one.ratio:.1f}x"]
        if one.taken:
            ratios = np.array(one.taken) / np.array(by_name[REFERENCE].taken)
            row += [f"{np.median(one.taken):.3f}", f"{np.median(ratios):.2f}"]
        else:
            row += ["-", "-"]
        rows.append([*row, f"{one.lookup_us:.1f}", f"{one.size_ms:.1f}"])
    return rows


def main(arguments: list[str]) -> int:
    """Runs the benchmark; ``NAME=VALUE`` arguments as the module says."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        methods, dataset = given.pop("methods", "all"), given.pop("dataset", "synthetic")
        budget, repeats = given.pop("budget", "0.1"), int(given.pop("repeats", 5))
        if given or repeats < 1:
            raise RequestError(
                f"{' '.join(arguments)}: give methods=all, dataset=NAME, budget=0.1, repeats=5"
            )
        names = embeddings.names() if methods == "all" else methods.split(",")
        for name in names:
            embeddings.find(name)
        settings: Any = compose([f"dataset={dataset}", f"budget={budget}"])
        interactions = data.load(settings.dataset, Path(settings.data_dir).expanduser())
    except (BenchError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    backend.start(0, None)
    print(
        f"{interactions.name}: batch 128, width 64, Adam, budget={budget}; {repeats} repeats of {STEPS} steps"
    )
    timed, beyond = [], []
    for name in dict.fromkeys([REFERENCE, *names]):
        try:
            timed.append(prepare(name, interactions, float(budget), [f"budget={budget}"]))
        except OverBudget:
            timed.append(prepare(name, interactions, float(budget), []))
            beyond.append(name)
    trained = [one for one in timed if one.measure]
    for number in range(repeats + 1):  # once before, so that no first touch of memory is timed
        for one in trained:
            taken = one.measure() if one.measure else 0.0
            if number:
                one.taken.append(taken)
    for line in results.aligned(table(timed), left=1):
        print(line)
    if beyond:
        print(f"At their own size, since no size of theirs meets the budget: {', '.join(beyond)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
