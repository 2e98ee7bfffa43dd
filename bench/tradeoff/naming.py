"""Short names of runs: the strategy, and the settings that are not the default."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from bench.config.composing import readable_defaults
from bench.config.files import options
from bench.config.names import methods_of
from bench.records.result import Result


def words(result: Result) -> dict[str, str]:
    """Gives the settings that distinguish a run from others of its strategy: those that are not the default.

    Example:
        ``{"num_buckets": "120"}``, ``{"budget": "0.1"}``, ``{"item": "md", "item.block_dims": "[64,32]"}``

    Args:
        result: the result of a run. A refused run has its settings too.
    """
    own = methods_of(str(result.strategy))
    named: dict[str, str] = {}
    slots = result.setting("embeddings")
    for slot, node in slots.items() if isinstance(slots, Mapping) else ():
        if not isinstance(node, Mapping):
            continue
        method = str(node.get("method"))
        if method not in own:
            named[slot] = method
        defaults = readable_defaults(method) if method in options("embedding") else {}
        for name, value in node.items():
            if name == "method" or value is None or value == defaults.get(name):
                continue
            # a setting at the root reaches every field and is named once
            known = slot == "default" or (method in own and named.get(name) in (None, text(value)))
            named[name if known else f"{slot}.{name}"] = text(value)
    budget = result.setting("budget")
    if budget is not None and not ignores_budget(result):
        named["budget"] = text(budget)
        if result.setting("budget_split") not in (None, "equal"):
            named["budget_split"] = text(result.setting("budget_split"))
    full_below = result.setting("full_below")
    if full_below and any(used.get("method") != "full" for used in (result.embeddings or {}).values()):
        named["full_below"] = text(full_below)
    if any("fields" in used for used in (result.embeddings or {}).values()):
        named["share"] = text(result.setting("share"))
    return named


def ignores_budget(result: Result) -> bool:
    """Returns True if the embedding of every field, as used, has the same size for every budget."""
    used = [str(field.get("method")) for field in (result.embeddings or {}).values()]
    return bool(used) and all(map(_of_one_size, used))


@functools.cache
def _of_one_size(method: str) -> bool:
    from bench.embeddings import find

    return method in options("embedding") and find(method).ignores_budget


def name(result: Result) -> str:
    """Gives strategy and ``words`` in a line: ``qr num_buckets=120``."""
    return joined(result.strategy or "a run", words(result))


def joined(strategy: str, named: Mapping[str, str]) -> str:
    """Gives a strategy and its words in a line."""
    return " ".join([strategy, *(f"{name}={value}" for name, value in named.items())])


def text(value: object) -> str:
    """Gives a setting's value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
