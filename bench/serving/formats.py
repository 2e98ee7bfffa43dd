"""The further formats that an export lists. Nothing here reads their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.serving.errors import ServingError

FORMATS = ("onnx", "keras", "savedmodel", "litert")
"""The formats that an export may hold."""

_KEYS = {"files": list, "bytes": int, "promise": dict}


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


def read(tree: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Format]:
    """Reads the entry ``formats`` of a manifest.

    Args:
        tree: the entry.
        sizes: number of bytes of each file that the manifest lists.

    Raises:
        ServingError: a format is none of this version, or is not as the files are.
    """
    return {name: _format(name, own, sizes) for name, own in tree.items()}


def _format(name: str, own: Any, sizes: Mapping[str, int]) -> Format:
    if name not in FORMATS:
        raise _error(name, "no format of this version")
    if type(own) is not dict or own.keys() != _KEYS.keys():
        raise _error(name, f"give exactly {', '.join(_KEYS)}")
    for key, kind in _KEYS.items():
        if type(own[key]) is not kind:
            raise _error(name, f"{key} is no {kind.__name__}")
    listed, promise = own["files"], own["promise"]
    for one in listed:
        if type(one) is not str or one not in sizes:
            raise _error(name, f"{str(one)[:80]!r} is not among the files")
    if len(set(listed)) != len(listed) or own["bytes"] != sum(sizes[one] for one in listed):
        raise _error(name, "bytes are not those of its files")
    if any(type(value) not in (int, float) or value < 0 for value in promise.values()):
        raise _error(name, "a promise that is no number")
    return Format(tuple(listed), own["bytes"], promise)


def _error(name: str, why: str) -> ServingError:
    return ServingError(f"export.json: formats.{name[:80]!r}: {why}")
