"""The command that repeats runs, from their recorded settings."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import config
from bench.config import quoting
from bench.config.composing import OPEN, readable_defaults
from bench.config.files import CONF, choices, options
from bench.config.names import methods_of
from bench.config.quoting import override
from bench.errors import BenchError
from bench.records.fingerprint import FINDS_DATA, NOT_DECIDING
from bench.records.nested import flat
from bench.records.result import Tree
from bench.tradeoff.baselines import MODEL

USUAL = {"dataset": "synthetic", "strategy": "full", "model": "dot"}
"""The default choices."""

_LEFT_OUT = tuple(name for name in NOT_DECIDING if name not in FINDS_DATA)


@dataclass(frozen=True)
class _Chosen:
    """The choices of a run, and the settings that they give.

    Attributes:
        words: the choices as they are typed, without the default choices.
        values: all settings that they give.
        slots: the method and settings of each slot, which are among ``values``.
    """

    words: tuple[str, ...]
    values: Tree
    slots: Mapping[str, Tree | None]


def command(
    settings: Tree,
    seeds: Sequence[int],
    follow: Sequence[str] = (),
    config_dirs: tuple[str, ...] = (),
    budgets: Sequence[float] = (),
) -> str | None:
    """Gives ``python -m bench.run dataset=movielens_1m strategy=qr num_buckets=120 seed=3``.

    It names only settings that differ from the defaults. It leaves out the place of logging and the number of threads.

    Args:
        settings: settings of one run, as ``result.json`` has them.
        seeds: seeds of all runs; several seeds make it a sweep, ``-m ... seed=0,1,2``.
        follow: settings that follow the run's seed (``dataset.split.seed``).
        config_dirs: the user's own folders of settings; the command names them if the run needs their files.
        budgets: shares of the full tables' bytes to run in place of the run's own budget.

    Returns:
        The command, or None if today's settings cannot give such a run.
    """
    given = overrides(settings, config_dirs)
    if given is None:
        return None
    other = ("seed", *follow, *(["budget"] if budgets else []))
    given = [text for text in given if text.partition("=")[0] not in other]
    given += [f"budget={','.join(map(str, budgets))}"] if budgets else []
    given += [f"{name}=${{seed}}" for name in follow]
    seed = ",".join(map(str, seeds))
    own = [word for folder in config_dirs for word in ("--config-dir", folder)]
    several = len(seeds) > 1 or len(budgets) > 1
    words = [*(own if _is_own(settings, config_dirs) else []), *(["-m"] if several else [])]
    if len(seeds) > 1 or seed != "0":
        given.append(f"seed={seed}")
    return quoting.command("bench.run", [*words, *given])


def other_sizes(
    settings: Tree,
    seeds: Sequence[int],
    budgets: Sequence[float],
    follow: Sequence[str] = (),
    config_dirs: tuple[str, ...] = (),
) -> str | None:
    """Gives the command that runs other sizes of a run's methods.

    If the run had no budget, the settings of its methods that a budget decides are opened: those that are null by
    default.

    Args:
        settings: settings of one run, as ``result.json`` has them.
        seeds: seeds of all runs.
        budgets: the sizes, as shares of the full tables' bytes.
        follow: settings that follow the run's seed.
        config_dirs: the user's own folders of settings.

    Returns:
        The command, or None if today's settings cannot give such runs.
    """
    slots = settings.get("embeddings")
    if settings.get("budget") is None and isinstance(slots, Mapping):
        opened = {slot: _opened(node) if isinstance(node, Mapping) else node for slot, node in slots.items()}
        settings = {**settings, "embeddings": opened}
    return command(settings, seeds, follow, config_dirs, budgets)


def biases(
    settings: Tree, seeds: Sequence[int], follow: Sequence[str] = (), config_dirs: tuple[str, ...] = ()
) -> str | None:
    """Gives the command that runs biases alone with the data and training of a run.

    Args:
        settings: settings of that run, as ``result.json`` has them.
        seeds: seeds of all runs.
        follow: settings that follow the run's seed.
        config_dirs: the user's own folders of settings.

    Returns:
        The command, or None if today's settings cannot give such a run.
    """
    slots = settings.get("embeddings")
    if not isinstance(slots, Mapping):
        return None
    full = {slot: _defaults(USUAL["strategy"]) if slot == "default" else None for slot in slots}
    own = {"model": {"name": MODEL}, "strategy": USUAL["strategy"], "embedding_dim": 1, "budget": None}
    return command({**settings, **own, "embeddings": full}, seeds, follow, config_dirs)


def has_sizes(method: str) -> bool:
    """Returns True if a budget decides a size of a method: if one of its settings is null by default."""
    return method in options("embedding") and None in readable_defaults(method).values()


def _opened(node: Tree) -> Tree:
    """Gives a method and its settings, with null for those that are null by default."""
    method = str(node.get("method"))
    if method not in options("embedding"):
        return node
    defaults = readable_defaults(method)
    return {name: value if defaults.get(name, value) is not None else None for name, value in node.items()}


def _is_own(settings: Tree, config_dirs: Sequence[str]) -> bool:
    """Returns True if a run's choices have files in the user's own folders."""
    named = {
        "dataset": settings["dataset"]["name"],
        "strategy": settings["strategy"],
        "model": settings["model"]["name"],
    }
    return any(
        choice in choices(group, Path(folder)) for folder in config_dirs for group, choice in named.items()
    )


def overrides(settings: Tree, config_dirs: tuple[str, ...] = ()) -> list[str] | None:
    """Gives the overrides with which ``bench.config.compose`` gives these settings again; None if it cannot.

    Args:
        settings: settings of one run, resolved. Settings that decide no number are left out of the result.
        config_dirs: the user's own folders of settings.
    """
    try:
        dataset, model = settings["dataset"]["name"], settings["model"]["name"]
        strategy, slots = settings["strategy"], settings["embeddings"]
        methods = tuple((slot, node["method"] if node else None) for slot, node in sorted(slots.items()))
    except (AttributeError, KeyError, TypeError):
        return None
    chosen = _chosen(dataset, strategy, model, methods, config_dirs)
    if chosen is None:
        return None
    wanted = dict(flat({key: value for key, value in settings.items() if key != "embeddings"}))
    known = dict(flat({key: value for key, value in chosen.values.items() if key != "embeddings"}))
    given = []
    for name, value in wanted.items():
        if name in ("strategy", "dataset.name", "model.name") or _below(name, _LEFT_OUT):
            continue
        if _below(name, OPEN):
            if name not in OPEN:
                given.append(override(name, value))
        elif name not in known:
            return None
        elif value != known[name]:
            given.append(override(name, value))
    own = _of_methods(slots, chosen.slots, strategy)
    return None if own is None else [*chosen.words, *own, *given]


def _below(name: str, groups: Sequence[str]) -> bool:
    return any(name == group or name.startswith(f"{group}.") for group in groups)


@functools.cache
def _chosen(
    dataset: str,
    strategy: str,
    model: str,
    methods: tuple[tuple[str, str | None], ...],
    config_dirs: tuple[str, ...],
) -> _Chosen | None:
    """Gives the choices for a run whose slots have these methods; None if a choice does not exist."""
    known = {"dataset": dataset, "strategy": strategy, "model": model}
    folders = [*map(Path, config_dirs), CONF]
    own = {group: {choice for folder in folders for choice in choices(group, folder)} for group in known}
    if any(choice not in {*own[group], *options(group)} for group, choice in known.items()):
        return None
    words = [f"{group}={choice}" for group, choice in known.items() if choice != USUAL[group]]
    filed = strategy in own["strategy"]
    values = _composed(dataset, strategy if filed else USUAL["strategy"], model, config_dirs)
    if values is None:
        return None
    slots: dict[str, Tree | None] = dict(values["embeddings"])
    if not filed:
        slots["default"] = _defaults(strategy)
    for slot, method in methods:
        if (slots.get(slot) or {}).get("method") == method:
            continue
        if method not in options("embedding"):
            return None
        words.append(f"embedding@embeddings.{slot}={method}")
        slots[slot] = _defaults(method)
    return _Chosen(tuple(words), values, slots)


@functools.cache
def _composed(dataset: str, strategy: str, model: str, config_dirs: tuple[str, ...]) -> Tree | None:
    """Gives all settings that some choices give. Composing takes long, so only necessary methods are composed."""
    # the check of a table needs a file
    file = ["dataset.path=table.csv"] if dataset == "table" else []
    asked = [f"dataset={dataset}", f"strategy={strategy}", f"model={model}", *file]
    try:
        values = config.compose(asked, config.loader(config_dirs)).values
    except BenchError:
        return None
    return {**values, "dataset": {**values["dataset"], "path": None}} if file else values


def _defaults(method: str) -> Tree:
    """Gives a method and its settings, as its file has them."""
    return {"method": method, **readable_defaults(method)}


def _of_methods(
    wanted: Mapping[str, Tree | None], base: Mapping[str, Tree | None], strategy: str
) -> list[str] | None:
    """Gives the settings of methods: at the root if that gives every field its value, else field by field."""
    at_root = {name for method in methods_of(strategy) for name in readable_defaults(method)}
    by_name: dict[str, dict[str, object]] = {}
    for slot, node in wanted.items():
        for name, value in (node or {}).items():
            if name != "method":
                if name not in (base.get(slot) or {}):
                    return None
                by_name.setdefault(name, {})[slot] = value
    given = []
    for name, values in by_name.items():
        changed = {slot: value for slot, value in values.items() if value != (base[slot] or {})[name]}
        one = list(values.values())
        if changed and name in at_root and all(value == one[0] for value in one):
            given.append(override(name, one[0]))
        else:
            given += [override(f"embeddings.{slot}.{name}", value) for slot, value in changed.items()]
    return given
