"""The method of each field of a run, and the tables that its model has beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import models
from bench.config import Settings, sharing
from bench.config.typed import Value
from bench.data.interactions import Interactions
from bench.embeddings import find
from bench.embeddings.base import Method, Pairs, Vocabulary
from bench.embeddings.budget import choose
from bench.embeddings.description import Member
from bench.embeddings.methods.full import Full, FullSettings

if TYPE_CHECKING:
    from bench.embeddings.layer import CompressedEmbedding


def choose_methods(settings: Settings, interactions: Interactions) -> dict[str, Method[Any]]:
    """Gives the methods with all their sizes, within the budget if there is one.

    Each has the name of its vocabulary: of a field, or of the fields that share it.
    """
    chosen: dict[str, tuple[type[Method[Any]], Any]] = {}
    vocabularies = {}
    for group in groups_of(settings, interactions):
        vocabulary = joined(interactions, group)
        name, own = settings.method(group[0])
        method = find(name)
        if vocabulary.size < settings.full_below:
            method, own = Full, own if method is Full else FullSettings()
        known = replace(vocabulary, pairs=partial(pairs, interactions, vocabulary.members))
        chosen[vocabulary.name], vocabularies[vocabulary.name] = (method, own), known
    return choose(
        chosen,
        vocabularies,
        models.vector_dim(settings.model, settings.embedding_dim),
        settings.budget,
        settings.budget_split,
    )


def groups_of(settings: Settings, interactions: Interactions) -> list[list[str]]:
    """Divides the fields of a data set into groups that share a method, see ``bench.config.sharing``."""
    return sharing.groups_of(settings, {name: field.size for name, field in interactions.fields.items()})


def deciding(settings: Settings, interactions: Interactions) -> dict[str, Value]:
    """Gives the settings of a run as plain values, equal for equal runs: settings without effect have one value."""
    values = {**settings.values, "share": sharing.shared(groups_of(settings, interactions)) or None}
    chosen = [find(settings.method(name)[0]) for name in interactions.fields]
    if values["budget"] is None or all(method.ignores_budget for method in chosen):
        values |= {"budget": None, "budget_split": "equal"}
    if all(method is Full for method in chosen):
        values |= {"full_below": 0}
    return values


def joined(interactions: Interactions, fields: Iterable[str]) -> Vocabulary:
    """Gives the vocabulary of a field, or the joined one of several."""
    own = [interactions.fields[name] for name in fields]
    return Vocabulary.joined([Vocabulary(field.name, field.size, field.counts) for field in own])


def by_field(
    layers: Mapping[str, CompressedEmbedding], fields: Iterable[str]
) -> dict[str, CompressedEmbedding]:
    """Gives the embedding layer of each field. Fields that share a method have the same one.

    Args:
        layers: the layers, under any names.
        fields: names of the fields, in order.
    """
    found = {one.name: layer for layer in layers.values() for one in layer.method.vocabulary.members}
    return {name: found[name] for name in fields}


def pairs(interactions: Interactions, members: Sequence[Member]) -> list[Pairs]:
    """Gives the training rows' ids of a field beside those of each other field, without a copy.

    Of several fields that share a method, the rows of one follow those of the other, with joined ids.
    """
    ids, found = interactions.train.ids, []
    for other, field in interactions.fields.items():
        own = [one for one in members if one.name != other]
        if len(members) == 1 and own:
            found.append(Pairs(ids[own[0].name], ids[other], field.size))
        elif own:
            joined_ids = np.concatenate([ids[one.name] + np.int32(one.offset) for one in own])
            found.append(Pairs(joined_ids, np.concatenate([ids[other]] * len(own)), field.size))
    return found


def own_tables(settings: Settings, methods: Mapping[str, Method[Any]]) -> dict[str, Method[Any]]:
    """Gives the tables that the model has beside the fields' embeddings, by the names of their layers."""
    vocabularies = [method.vocabulary for method in methods.values()]
    fields = {one.name: own.alone(one.name) for own in vocabularies for one in own.members}
    return models.own_tables(settings.model, fields)
