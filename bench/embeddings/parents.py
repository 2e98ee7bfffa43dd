"""Parents: the runs whose trained weights post-training methods compress. Equal parents are trained once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from bench.config import Settings
from bench.config.sharing import shared
from bench.config.typed import Choice
from bench.embeddings.base import Method


def parent_settings(settings: Settings, methods: Mapping[str, Method[Any]]) -> Settings | None:
    """Returns the settings of the parent run.

    They are the settings of this run, with four changes: each post-training method is replaced by its parent, every
    size has its chosen value, there is no budget, and no weights are left beside the result. The record holds them
    once, for all runs that compress them. If all fields are trained alike, the settings equal those of
    ``strategy=NAME``. So one run serves for both. Fields that share a table share it in the parent too.

    Args:
        settings: the settings of the run that compresses.
        methods: the methods with their sizes, by the names of their vocabularies.

    Returns:
        The settings; None if no field has a post-training method.
    """
    parents = {field: method.parent() for field, method in methods.items()}
    if not any(parents.values()):
        return None
    trained = {field: parents[field] or method for field, method in methods.items()}
    described = {
        one.name: Choice(method.name(), method.settings)
        for method in trained.values()
        for one in method.vocabulary.members
    }
    first = next(iter(described.values()))
    alike = all(one == first for one in described.values())
    chosen = {"default": first} if alike else {**settings.methods, **described}
    strategy = first.name if alike else settings.strategy
    slots = dict.fromkeys(settings.values["embeddings"]) | {
        slot: {"method": name, **asdict(own)} for slot, (name, own) in chosen.items()
    }
    full_below = 0 if alike else settings.full_below
    members = [[one.name for one in method.vocabulary.members] for method in methods.values()]
    changed: dict[str, Any] = {
        "strategy": strategy,
        "budget": None,
        "budget_split": "equal",
        "full_below": full_below,
        "share": shared(members) or None,
        "save_weights": False,
    }
    values = {**settings.values, **changed, "embeddings": slots}
    return replace(settings, **changed, methods=chosen, values=values)


def only_compresses(methods: Mapping[str, Method[Any]]) -> bool:
    """Returns True if a run takes its parent's weights and trains none.

    If one field's method goes on training, so does the whole model: fields without a parent from the weights that they
    have there, and post-training methods as their parents.
    """
    parents = [method for method in methods.values() if method.parent()]
    return bool(parents) and not any(method.is_trained() for method in parents)
