"""The names of runs in lists of runs."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import ListConfig, OmegaConf

from bench.records.result import Result, Tree

NAME_LENGTH = 60
"""The greatest number of characters in a run's name. A list of runs shows no more."""

MORE = " ..."

_NOT_NAMED = re.compile(
    r"(strategy|seed|budget|experiment|resume|save_weights|timing|data_dir|results_dir|embedding@embeddings\.default"
    r"|training\.(progress|threads)|(tracking|hydra)[./].*)$"
)


def run_name(result: Result, given: Sequence[str] = ()) -> str:
    """Gives a name that tells runs apart: ``qr num_buckets=120 seed=0``.

    The name holds the strategy, the budget, the seed, and the other overrides. The sizes take the place of the budget
    if no budget was set or used. The name has at most ``NAME_LENGTH`` characters. The last sizes and the last
    overrides are left out if they do not fit.

    Args:
        result: the run's result as far as it is known. The sizes are the numbers and the lists of numbers in each
            field's settings as used. A size that all fields share is named once. A size that follows from a word
            (``quotient_rows=recipe``) is left out.
        given: the overrides that the run was started with.
    """
    embeddings, budget = result.embeddings or {}, result.setting("budget")
    if {used.get("method") for used in embeddings.values()} == {"full"}:
        budget = None
    sizes = {} if budget is not None else _sizes(embeddings, result.setting("embeddings") or {})
    words = [f"budget={json.dumps(budget)}"] if budget is not None else [f"{n}={v}" for n, v in sizes.items()]
    end = f" seed={result.seed or 0}"
    name = _with(str(result.strategy)[: NAME_LENGTH - 20], words, NAME_LENGTH - len(end)) + end
    others = [word for word in (text.lstrip("+") for text in given) if not _is_named(word, sizes)]
    return _with(name, sorted(others, key=lambda word: word.startswith("dataset.")), NAME_LENGTH)


def _with(name: str, words: Sequence[str], length: int) -> str:
    """Gives ``name`` and as many of the words as fit. ``MORE`` stands for the others if it fits too."""
    for at, word in enumerate(words):
        rest = len(MORE) if at + 1 < len(words) else 0
        if len(name) + 1 + len(word) + rest > length:
            return name + MORE if len(name) + len(MORE) <= length else name
        name += f" {word}"
    return name


def _is_named(word: str, sizes: Mapping[str, str]) -> bool:
    """Returns True if a name needs no mention of an override: the name has it already, or it changes no number."""
    name = word.partition("=")[0]
    size = name.rpartition(".")[2] if name.startswith("embeddings.") else name
    return word.startswith("~") or size in sizes or bool(_NOT_NAMED.match(name))


def _sizes(embeddings: Mapping[str, Tree], asked: Tree) -> dict[str, str]:
    """Gives the sizes of all fields, as texts by name."""
    by_field = {
        field: {
            name: json.dumps(value, separators=(",", ":"))
            for name, value in used.items()
            if _is_size(value)
            and not isinstance((asked.get(field) or asked.get("default") or {}).get(name), str)
        }
        for field, used in embeddings.items()
    }
    sizes: dict[str, str] = {}
    for name in dict.fromkeys(name for own in by_field.values() for name in own):
        values = {field: own[name] for field, own in by_field.items() if name in own}
        alike = len(set(values.values())) == 1 and len(values) == len(by_field)
        sizes[name] = (
            next(iter(values.values())) if alike else ",".join(f"{field}:{v}" for field, v in values.items())
        )
    return sizes


def _is_size(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_size, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def overrides(folder: Path | None) -> list[str] | None:
    """Gives the overrides that the run in an output folder was started with, or None if Hydra wrote none there."""
    found = None
    with contextlib.suppress(Exception):  # overrides are only shown; a broken file must end nothing
        found = OmegaConf.load(folder / ".hydra" / "overrides.yaml") if folder else None
    return [str(text) for text in found] if isinstance(found, ListConfig) else None
