"""Runs that train what other runs compress: post-training methods share one trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from bench.config import Settings
from bench.embeddings.base import Method


def parent_settings(settings: Settings, methods: Mapping[str, Method[Any]]) -> Settings | None:
    """The settings of the run that trains what ``methods`` compress; None where each is trained itself.

    They are those of the run asked for, with the method that is trained in place of each that is not, every size as
    chosen, no budget, and weights that are saved. Where all fields are trained alike they are exactly those of
    ``strategy=NAME save_weights=true``, so that either run finds the other.

    Args:
        settings: of the run asked for.
        methods: the method of each field, its sizes chosen.
    """
    parents = {field: method.parent() for field, method in methods.items()}
    if not any(parents.values()):
        return None
    trained = {field: parents[field] or method for field, method in methods.items()}
    described = {field: (method.name(), method.settings) for field, method in trained.items()}
    first = next(iter(described.values()))
    alike = all(parents.values()) and all(one == first for one in described.values())
    chosen = {"default": first} if alike else {**settings.methods, **described}
    strategy = first[0] if alike else settings.strategy
    slots = dict.fromkeys(settings.values["embeddings"]) | {
        slot: {"method": name, **asdict(own)} for slot, (name, own) in chosen.items()
    }
    changed: dict[str, Any] = {"strategy": strategy, "budget": None, "save_weights": True}
    return replace(
        settings, methods=chosen, values={**settings.values, **changed, "embeddings": slots}, **changed
    )
