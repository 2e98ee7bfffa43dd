"""The further formats that an export lists. Nothing here reads their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.serving import checked
from bench.serving.checked import Tree
from bench.serving.errors import ServingError

FORMATS = ("onnx", "keras", "savedmodel", "litert")
"""The formats that an export may hold."""


@dataclass(frozen=True)
class Format:
    """A further format.

    Attributes:
        files: names of its files, such as ``lookup_user.onnx`` or ``saved_model/saved_model.pb``.
        nbytes: number of bytes of all of them.
        promise: the largest differences from Keras, by what was compared.
    """

    files: tuple[str, ...]
    nbytes: int
    promise: Mapping[str, float]


def read(tree: Tree, sizes: Mapping[str, int]) -> dict[str, Format]:
    """Reads the entry ``formats`` of a manifest.

    Args:
        tree: the entry.
        sizes: number of bytes of each file that the manifest lists.

    Raises:
        ServingError: a format is none of this version, or is not as the files are.
    """
    return {name: _format(name, own, sizes) for name, own in tree.items()}


def _format(name: str, tree: Any, sizes: Mapping[str, int]) -> Format:
    where = f"formats.{name[:80]!r}"
    if name not in FORMATS:
        raise ServingError(f"export.json: {where}: no format of this version")
    own = checked.of(tree, dict, where)
    checked.only(own, {"files", "bytes", "promise"}, where)
    names = [checked.of(one, str, f"{where}: files") for one in checked.items(own, "files", where)]
    if unknown := set(names) - sizes.keys():
        raise ServingError(f"export.json: {where}: {min(unknown)[:80]!r} is not among the files")
    nbytes = sum(sizes[one] for one in names)
    if len(set(names)) != len(names) or checked.get(own, "bytes", int, where) != nbytes:
        raise ServingError(f"export.json: {where}: bytes are not those of its files")
    promise = checked.mapping(own, "promise", where)
    if any(type(value) not in (int, float) or value < 0 for value in promise.values()):
        raise ServingError(f"export.json: {where}: a promise that is no number")
    return Format(tuple(names), nbytes, promise)
