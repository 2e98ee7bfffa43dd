"""Programs that take turns: their times a step, and ratios of times of the same minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench import tasks
from bench.config import compose
from bench.data.interactions import Interactions


@dataclass
class Timed:
    """A program and its times: milliseconds a step, one number for each repeat."""

    name: str
    measure: Callable[[], float]
    taken: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median of the times, in milliseconds."""
        return float(np.median(self.taken))


@dataclass(frozen=True)
class Pair:
    """Two programs, by name, to compare by the ratio of their times, and the ratio wanted, if one is."""

    slow: str
    fast: str
    wanted: float | None = None
    at_most: bool = False


def settings_of(*overrides: str) -> Any:
    """Composes the settings of the recipe, with some changed."""
    many = "training.epochs=100"  # more epochs than any measurement takes
    return compose([*["num_buckets=120"] * ("strategy=qr_md" in overrides), many, *overrides])


def trainer_of(interactions: Interactions, *overrides: str, loop: Any = None) -> Any:
    """Makes a compiled trainer as ``bench.run`` does."""
    from bench import models
    from bench.embeddings.layer import CompressedEmbedding
    from bench.models.fields import choose_methods
    from bench.training.loop import Loop
    from bench.training.trainer import Trainer

    settings = settings_of(*overrides)
    task = tasks.find(settings.task)
    methods = choose_methods(settings, interactions)
    layers = {
        name: CompressedEmbedding(method, seed=0, name=f"{name}_embedding")
        for name, method in methods.items()
    }
    scale = task.scale(interactions.label_range)
    model = models.build(settings.model, layers, scale, interactions.dense_dim)
    made = Trainer(model, interactions, settings.training, seed=0, task=task, loop=loop or Loop)
    made.loop.run(made.batches.example())
    return made


def epochs(trainer: Any, most_steps: int | None = None) -> Callable[[], float]:
    """Makes a function that trains for an epoch, or for its first steps, and gives milliseconds a step.

    The time includes host preparation and, after a whole epoch, settling.
    """
    number = 0

    def measure() -> float:
        nonlocal number
        number += 1
        began, steps = time.perf_counter(), 0
        for chunk in trainer.batches.epoch(number):
            trainer.loop.run(chunk)
            steps += chunk.steps
            if most_steps and steps >= most_steps:
                break
        if not most_steps:
            trainer.loop.settle()
        return 1000 * (time.perf_counter() - began) / steps

    return measure


def take_turns(timed: Sequence[Timed], repeats: int) -> None:
    """Measures all programs in turns, after a first turn that is not counted: it touches memory for the first time."""
    for item in timed:
        item.measure()
    for _ in range(repeats):
        for item in timed:
            item.taken.append(item.measure())


def report(timed: Sequence[Timed], pairs: Sequence[Pair]) -> None:
    """Prints all times, and the ratios of the pairs that were measured."""
    print("\nMilliseconds a step: median (least to most)")
    for item in timed:
        print(f"  {item.median:9.4f}  ({min(item.taken):.4f} to {max(item.taken):.4f})  {item.name}")
    by_name = {item.name: item for item in timed}
    print("\nRatios: median (least to most), pair by pair")
    for pair in pairs:
        if pair.slow in by_name and pair.fast in by_name:
            print(_ratio_line(by_name[pair.slow], by_name[pair.fast], pair))


def _ratio_line(slow: Timed, fast: Timed, pair: Pair) -> str:
    ratios = np.array(slow.taken) / np.array(fast.taken)
    median = np.median(ratios)
    line = f"  {median:7.2f}  ({ratios.min():.2f} to {ratios.max():.2f})  {slow.name} / {fast.name}"
    if pair.wanted is None:
        return line
    met = median <= pair.wanted if pair.at_most else median >= pair.wanted
    return f"{line}   {'at most' if pair.at_most else 'at least'} {pair.wanted:g}: {'yes' if met else 'NO'}"
