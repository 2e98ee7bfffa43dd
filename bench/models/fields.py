"""The method of each field of a run, and the tables that its model has beside them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bench import models
from bench.config import Settings
from bench.data.interactions import Interactions
from bench.embeddings import find
from bench.embeddings.base import Method, Pairs, Vocabulary
from bench.embeddings.budget import choose
from bench.embeddings.methods.full import Full, FullSettings


def choose_methods(settings: Settings, interactions: Interactions) -> dict[str, Method[Any]]:
    """Gives the method of each field with all its sizes, within the budget if there is one."""
    fields = interactions.fields
    chosen = {name: (find(method), own) for name in fields for method, own in [settings.method(name)]}
    for name, field in fields.items():
        if field.size < settings.full_below:
            chosen[name] = (Full, chosen[name][1] if chosen[name][0] is Full else FullSettings())
    return choose(
        chosen,
        {
            name: Vocabulary(name, field.size, field.counts, pairs=partial(pairs, interactions, name))
            for name, field in fields.items()
        },
        models.vector_dim(settings.model, settings.embedding_dim),
        settings.budget,
    )


def pairs(interactions: Interactions, field: str) -> list[Pairs]:
    """Gives the training rows' ids of a field beside those of each other field, without a copy."""
    ids, others = interactions.train.ids, [name for name in interactions.fields if name != field]
    return [Pairs(ids[field], ids[other], interactions.fields[other].size) for other in others]


def own_tables(settings: Settings, methods: Mapping[str, Method[Any]]) -> dict[str, Method[Any]]:
    """Gives the tables that the model has beside the fields' embeddings, by the names of their layers."""
    return models.own_tables(settings.model, {name: one.vocabulary for name, one in methods.items()})
