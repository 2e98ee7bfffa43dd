"""The names of all settings, and the message for a name that does not exist."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from omegaconf import DictConfig, OmegaConf

from bench.config.comments import settings
from bench.config.composing import SETTINGS_GROUP, Choices, method_defaults
from bench.config.files import CONF, options
from bench.config.typed import Tree, Value, nearest, shown, unknown

SLOT = "embedding@embeddings."
"""The start of the name of a slot's config group. The field's name follows it."""


def names(values: Tree, prefix: str = "") -> Iterator[str]:
    """The full names of all settings below ``values``. An empty dict is one setting."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from names(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def slots(choices: Choices) -> list[str]:
    """The names of the slots: ``default``, and the data set's fields."""
    fields = sorted(group.removeprefix(SLOT) for group in choices if group.startswith(SLOT))
    return ["default", *(field for field in fields if field != "default")]


def no_field(given: str, group: str, choices: Choices, fields: Iterable[str]) -> str:
    """The message for a method that was chosen for a field that the data set does not have.

    Args:
        given: the choice, as messages name it.
        group: its config group.
        choices: the option of each config group.
        fields: the slots that exist, ``default`` first.
    """
    known = [f"{SLOT}{field}" for field in fields]
    return (
        f"{given}: dataset={choices['dataset']} has no field of that name{nearest(group, known)} "
        f"(there are: {', '.join(known)})"
    )


def stranger(name: str, value: Value, base: Tree, choices: Choices) -> str:
    """The message for a name that the chosen files do not have.

    Args:
        name: the setting's full name.
        value: the value that was given.
        base: all settings that the chosen files have.
        choices: the option of each config group.
    """
    if name.split(".")[0] == "hydra":
        return f"{name}={shown(value)}: Hydra has no such setting; --cfg hydra lists them"
    owners = _strategies_with(name)
    if owners:
        return (
            f"{name}={shown(value)}: strategy={choices.get('strategy')} has no such setting; "
            f"choose strategy={' or '.join(owners)}, or set it for a field that has such a method, as "
            f"embeddings.FIELD.{name}"
        )
    parent, _, last = name.rpartition(".")
    if parent.startswith("embeddings."):
        return _of_method(name, value, parent.removeprefix("embeddings."), choices)
    level: Value | Tree = base
    for part in parent.split(".") if parent else ():
        level = level.get(part) if isinstance(level, Mapping) else None
    if parent and isinstance(level, Mapping):
        return unknown(name, value, [f"{parent}.{key}" for key in level])
    everything = list(names(base))
    same = [full for full in everything if full.rpartition(".")[2] == last]
    suggestion = f"; did you mean {same[0]}?" if same else nearest(name, everything)
    top = sorted(f"{key}.*" if isinstance(level, Mapping) else key for key, level in base.items())
    return f"{name}={shown(value)}: no such setting{suggestion} (there are: {', '.join(top)}; see --help)"


def _of_method(name: str, value: Value, slot: str, choices: Choices) -> str:
    known = slots(choices)
    if slot not in known:
        return (
            f"{name}={shown(value)}: {slot} has no method of its own{nearest(slot, known)} (there are: "
            f"{', '.join(known)}); if dataset={choices.get('dataset')} has that field, add {SLOT}{slot}=METHOD"
        )
    method = choices.get(f"{SLOT}{slot}")
    if not method:
        return (
            f"{name}={shown(value)}: {slot} has no method of its own; "
            f"add {SLOT}{slot}=METHOD ({', '.join(options('embedding'))})"
        )
    last = name.rpartition(".")[2]
    own = sorted(method_defaults(method))
    owners = methods_with(last)
    hint = f"; {SLOT}{slot}={' or '.join(owners)} has it" if owners else nearest(last, own)
    return f"{name}={shown(value)}: the method {method} has no such setting{hint} (it has: {', '.join(own)})"


def belongs_to_methods(name: str) -> bool:
    """Returns True if a setting is one of a method, or chooses the method of a field."""
    return name.startswith((SLOT, "embeddings.")) or bool(methods_with(name))


def _strategies_with(name: str) -> list[str]:
    methods = set(methods_with(name))
    return [strategy for strategy in options("strategy") if methods & set(methods_of(strategy))]


def methods_with(setting: str) -> list[str]:
    """Names the methods that have a setting of this name."""
    files = {method: CONF / "embedding" / f"{method}.yaml" for method in options("embedding")}
    return [method for method, file in files.items() if setting in (name for name, _, _ in settings(file))]


@functools.cache
def methods_of(strategy: str) -> tuple[str, ...]:
    """The methods whose settings a strategy puts at the root."""
    path = CONF / "strategy" / f"{strategy}.yaml"
    if not path.exists():
        return (strategy,)
    found: list[str] = []
    for entry in OmegaConf.select(OmegaConf.load(path), "defaults") or []:
        if isinstance(entry, DictConfig):
            for key, value in entry.items():
                if str(key).startswith(f"/{SETTINGS_GROUP}"):
                    found += [value] if isinstance(value, str) else list(value)
    return tuple(found)
