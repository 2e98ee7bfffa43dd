"""The names that settings have, and what to say of one that does not exist."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.config.composing import CONF, SETTINGS_GROUP, method_defaults, options
from bench.settings import nearest, shown, unknown

SLOT = "embedding@embeddings."
"""What the config group of a field's method begins with."""


def names(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The full names of all settings below ``values``; an empty dict is one setting."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from names(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def slots(choices: Mapping[str, Any]) -> list[str]:
    """``default``, and the fields of the data set, each of which may have a method of its own."""
    fields = sorted(group.removeprefix(SLOT) for group in choices if group.startswith(SLOT))
    return ["default", *(field for field in fields if field != "default")]


def stranger(name: str, value: Any, base: Mapping[str, Any], choices: Mapping[str, Any]) -> str:
    """The message for a name that the chosen files do not have.

    Args:
        name: full name.
        value: the value it was given.
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
    level: Any = base
    for part in parent.split(".") if parent else ():
        level = level.get(part) if isinstance(level, Mapping) else None
    if parent and isinstance(level, Mapping):
        return unknown(name, value, [f"{parent}.{key}" for key in level])
    everything = list(names(base))
    same = [full for full in everything if full.rpartition(".")[2] == last]
    suggestion = f"; did you mean {same[0]}?" if same else nearest(name, everything)
    top = sorted(f"{key}.*" if isinstance(level, Mapping) else key for key, level in base.items())
    return f"{name}={shown(value)}: no such setting{suggestion} (there are: {', '.join(top)}; see --help)"


def _of_method(name: str, value: Any, slot: str, choices: Mapping[str, Any]) -> str:
    known = slots(choices)
    if slot not in known:
        return (
            f"{name}={shown(value)}: dataset={choices.get('dataset')} has no field {slot}"
            f"{nearest(slot, known)} (there are: {', '.join(known)})"
        )
    method = choices.get(f"{SLOT}{slot}")
    if not method:
        return (
            f"{name}={shown(value)}: {slot} has no method of its own; "
            f"add {SLOT}{slot}=METHOD ({', '.join(options('embedding'))})"
        )
    last = name.rpartition(".")[2]
    own = sorted(method_defaults(method))
    owners = [other for other in options("embedding") if last in method_defaults(other)]
    hint = f"; {SLOT}{slot}={' or '.join(owners)} has it" if owners else nearest(last, own)
    return f"{name}={shown(value)}: the method {method} has no such setting{hint} (it has: {', '.join(own)})"


def _strategies_with(name: str) -> list[str]:
    methods = {method for method in options("embedding") if name in method_defaults(method)}
    return [strategy for strategy in options("strategy") if methods & set(methods_of(strategy))]


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
