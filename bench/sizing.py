"""The memory that a run takes, before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench import data
from bench.config import Settings
from bench.config.optimizers import BY_ROWS, HELD_ONCE, MOMENTS
from bench.config.typed import shown
from bench.embeddings.base import Method
from bench.errors import RequestError
from bench.measure import memory
from bench.measure.units import short_size
from bench.models.fields import choose_methods, own_tables

SMALLEST = 1 / 1024
"""The smallest share of the width or the budget that a refusal tries."""


def needed_memory(settings: Settings) -> int:
    """Gives the bytes that a run will take at most, from its settings and data."""
    interactions = data.load(settings.dataset, settings.data_dir)
    return peak_bytes(settings, _all_methods(settings, interactions), interactions)


def peak_bytes(
    settings: Settings, methods: Mapping[str, Method[Any]], interactions: data.Interactions
) -> int:
    """Gives the bytes that a run with some methods takes at most."""
    arrays = [array for method in methods.values() for array in (*method.tables(), *method.weights())]
    parts = (interactions.train, interactions.validation, interactions.evaluation)
    trainable = sum(array.nbytes for array in arrays)
    kept = trainable if settings.training.best_weights else 0
    return memory.expected_peak_bytes(trainable, sum(map(len, parts))) + kept


def table_bytes(settings: Settings, methods: Mapping[str, Method[Any]]) -> int:
    """Gives the bytes of tables that training holds at least: weights, a working copy or gradients, moments.

    Of large tables that are updated by rows there is no working copy.
    """
    training = settings.training
    moments = MOMENTS.get(training.optimizer, 0)
    by_rows = training.table_updates == "deferred" and training.optimizer in BY_ROWS
    by_rows = by_rows and not (training.best_weights or training.embedding_l2 or training.clipnorm)
    total = 0
    for method in methods.values():
        for table in method.tables():
            once = by_rows and table.size > HELD_ONCE and not method.changes()
            total += table.nbytes * (1 + (moments + (not once)) * table.trainable)
    return total


def check_memory(
    settings: Settings, methods: Mapping[str, Method[Any]], interactions: data.Interactions, free: int
) -> None:
    """Refuses tables that cannot be trained in the memory that is free.

    Args:
        settings: of the run.
        methods: those of all tables, the model's own among them.
        interactions: the run's data.
        free: bytes of free memory.

    Raises:
        RequestError: says what is needed, what is free, and which settings would fit.
    """
    needed = table_bytes(settings, methods)
    if needed <= free:
        return

    def fits(changed: Settings) -> bool:
        return table_bytes(changed, _all_methods(changed, interactions)) <= free

    smaller = [
        *_first("budget", _smaller_budgets(settings), fits),
        *_first("embedding_dim", _narrower(settings), fits),
    ]
    would = f"{' or '.join(smaller)} would fit" if smaller else "nothing smaller was found that fits"
    raise RequestError(
        f"embedding_dim={settings.embedding_dim}: training these tables takes {short_size(needed)} at least "
        f"(weights, working copies, moments of {settings.training.optimizer}), {short_size(free)} of memory are "
        f"free; {would}"
    )


def _first(name: str, smaller: Iterator[Settings], fits: Callable[[Settings], bool]) -> list[str]:
    """Gives the first of some settings that fits as a list of one text, or an empty list."""
    for settings in smaller:
        try:
            if fits(settings):
                return [f"{name}={shown(getattr(settings, name))}"]
        except RequestError:  # below what the methods can do
            break
    return []


def _smaller_budgets(settings: Settings) -> Iterator[Settings]:
    share = settings.budget if isinstance(settings.budget, float) else 1.0
    while share > SMALLEST:
        share /= 2
        yield replace(settings, budget=share)


def _narrower(settings: Settings) -> Iterator[Settings]:
    dim = settings.embedding_dim
    while dim > max(1, settings.embedding_dim * SMALLEST):
        dim //= 2
        yield replace(settings, embedding_dim=dim)


def _all_methods(settings: Settings, interactions: data.Interactions) -> dict[str, Method[Any]]:
    """Gives the methods of the fields and those of the model's own tables."""
    methods = choose_methods(settings, interactions)
    return {**methods, **own_tables(settings, methods)}
