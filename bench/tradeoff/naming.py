"""Short names of runs: the strategy, and what was asked for beside its defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.config.composing import method_defaults, options
from bench.config.names import methods_of


def words(result: Mapping[str, Any]) -> dict[str, str]:
    """The settings that tell a run from others of its strategy: those of the methods that are not the default.

    Example:
        ``{"num_buckets": "120"}``, ``{"budget": "0.1"}``, ``{"item": "md", "item.block_dims": "[64,32]"}``

    Args:
        result: of a run; one that was refused has its settings too.
    """
    settings = result.get("settings") or {}
    own = methods_of(str(result.get("strategy")))
    named: dict[str, str] = {}
    for slot, node in (settings.get("embeddings") or {}).items():
        if not isinstance(node, Mapping):
            continue
        method = str(node.get("method"))
        if method not in own:
            named[slot] = method
        defaults = method_defaults(method) if method in options("embedding") else {}
        for name, value in node.items():
            if name == "method" or value is None or value == defaults.get(name):
                continue
            # a setting at the root reaches every field and is named once
            known = slot == "default" or (method in own and named.get(name) in (None, text(value)))
            named[name if known else f"{slot}.{name}"] = text(value)
    if settings.get("budget") is not None and not ignores_budget(result):
        named["budget"] = text(settings["budget"])
    return named


def ignores_budget(result: Mapping[str, Any]) -> bool:
    """Whether every field's embedding, as used, is of one size whatever the budget."""
    from bench.embeddings import find

    used = [str(field.get("method")) for field in (result.get("embeddings") or {}).values()]
    known = set(options("embedding"))
    return bool(used) and all(method in known and find(method).ignores_budget for method in used)


def name(result: Mapping[str, Any]) -> str:
    """Strategy and ``words`` in a line: ``qr num_buckets=120``."""
    return joined(str(result.get("strategy") or "a run"), words(result))


def joined(strategy: str, named: Mapping[str, str]) -> str:
    """A strategy and its words in a line."""
    return " ".join([strategy, *(f"{name}={value}" for name, value in named.items())])


def text(value: Any) -> str:
    """A setting's value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
