"""The command that repeats runs, from the settings that they have left."""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bench import config
from bench.config.composing import OPEN, method_defaults, options
from bench.config.names import methods_of
from bench.errors import BenchError
from bench.fingerprint import FINDS_DATA, NOT_DECIDING
from bench.tracking.content import flat

_LEFT_OUT = tuple(name for name in NOT_DECIDING if name not in FINDS_DATA)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:~+%@*")
_WORDS = ("true", "false", "null", "nan", "inf", "~")


def command(settings: Mapping[str, Any], seeds: Sequence[int], follow: Sequence[str] = ()) -> str | None:
    """``python -m bench.run dataset=movielens_1m strategy=qr num_buckets=120 seed=3``.

    Names only what differs from the defaults. Where runs were logged and how many threads they had is left out.

    Args:
        settings: of one run, as ``result.json`` has them.
        seeds: of all runs; several make it a sweep, ``-m ... seed=0,1,2``.
        follow: settings that follow the run's seed (``dataset.split.seed``).

    Returns:
        The command, or None where the settings there are today cannot give such a run.
    """
    given = overrides(settings)
    if given is None:
        return None
    given = [text for text in given if text.partition("=")[0] not in ("seed", *follow)]
    given += [f"{name}=${{seed}}" for name in follow]
    seed = ",".join(map(str, seeds))
    words = ["-m"] if len(seeds) > 1 else []
    if len(seeds) > 1 or seed != "0":
        given.append(f"seed={seed}")
    return " ".join(["python -m bench.run", *words, *map(shlex.quote, given)])


def overrides(settings: Mapping[str, Any]) -> list[str] | None:
    """What to give ``bench.config.compose`` for these settings again; None where it cannot give them.

    Args:
        settings: of one run, resolved. Settings that decide no number are left out.
    """
    try:
        dataset, model = settings["dataset"]["name"], settings["model"]["name"]
        strategy, slots = settings["strategy"], settings["embeddings"]
        own = tuple((slot, node and node["method"]) for slot, node in sorted(slots.items()))
    except (AttributeError, KeyError, TypeError):
        return None
    found = _base(dataset, strategy, model, own)
    if found is None:
        return None
    choices, base = found
    wanted = dict(flat({key: value for key, value in settings.items() if key != "embeddings"}))
    known = dict(flat({key: value for key, value in base.items() if key != "embeddings"}))
    given = []
    for name, value in wanted.items():
        if name in ("strategy", "dataset.name", "model.name") or _below(name, _LEFT_OUT):
            continue
        if _below(name, OPEN):
            if name not in OPEN:
                given.append(f"{name}={text(value)}")
        elif name not in known:
            return None
        elif value != known[name]:
            given.append(f"{name}={text(value)}")
    methods = _methods(settings, base["embeddings"], strategy)
    return None if methods is None else [*choices, *methods, *given]


def _below(name: str, groups: Sequence[str]) -> bool:
    return any(name == group or name.startswith(f"{group}.") for group in groups)


@functools.cache
def _base(
    dataset: str, strategy: str, model: str, methods: tuple[tuple[str, str | None], ...]
) -> tuple[list[str], dict[str, Any]] | None:
    """The choices that give these methods, and all settings that they give."""
    if (
        dataset not in options("dataset")
        or strategy not in options("strategy")
        or model not in options("model")
    ):
        return None
    choices = [
        *([f"dataset={dataset}"] if dataset != "synthetic" else []),
        *([f"strategy={strategy}"] if strategy != "full" else []),
        *([f"model={model}"] if model != "dot" else []),
    ]
    # a table needs a file to be checked
    file = ["dataset.path=table.csv"] if dataset == "table" else []
    try:
        base = config.compose([*choices, *file], config.loader(())).values
        own = [
            f"embedding@embeddings.{slot}={method}"
            for slot, method in methods
            if (base["embeddings"].get(slot) or {}).get("method") != method
        ]
        if own:
            choices += own
            base = config.compose([*choices, *file], config.loader(())).values
    except BenchError:
        return None
    if file:
        base = {**base, "dataset": {**base["dataset"], "path": None}}
    return choices, dict(base)


def _methods(settings: Mapping[str, Any], base: Mapping[str, Any], strategy: str) -> list[str] | None:
    """The settings of methods: at the root where that gives every field its own value, else by field."""
    wanted: Mapping[str, Any] = settings["embeddings"]
    at_root = {name for method in methods_of(strategy) for name in method_defaults(method)}
    by_name: dict[str, dict[str, Any]] = {}
    for slot, node in wanted.items():
        for name, value in (node or {}).items():
            if name != "method":
                if name not in (base.get(slot) or {}):
                    return None
                by_name.setdefault(name, {})[slot] = value
    given = []
    for name, values in by_name.items():
        changed = {slot: value for slot, value in values.items() if value != base[slot][name]}
        one = list(values.values())
        if changed and name in at_root and all(value == one[0] for value in one):
            given.append(f"{name}={text(one[0])}")
        else:
            given += [f"embeddings.{slot}.{name}={text(value)}" for slot, value in changed.items()]
    return given


def text(value: Any) -> str:
    """A value as Hydra reads it back."""
    if not isinstance(value, str):
        return _nested(value)
    plain = value and set(value) <= _PLAIN and value.lower() not in _WORDS and not _is_number(value)
    if plain:
        return value
    # a backslash is one, unless a quote or the end follows
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), value)
    return f"'{escaped}'"


def _nested(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{text(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
