"""The layout of an exported folder: names of files and arrays, and the order of arrays in a file.

A file of arrays is in the safetensors format. Each array begins at a multiple of 64 bytes, so that it can be used where
it lies in the mapped file. The format allows no holes, so arrays of padding lie between the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

FORMAT_VERSION = 1
"""The version of the folder's format. A folder of another version is refused."""

MANIFEST, ARRAYS, CARD = "export.json", "arrays.safetensors", "README.md"

FIELDS, IDS, HEAD, PADDING = "fields", "ids", "head", "padding"
"""The first part of an array's name: served arrays, ids, weights of the model's head, padding."""

ALIGNMENT = 64
"""Arrays begin at multiples of this number of bytes."""

DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32", "float64": "F64",
}  # fmt: skip
"""The format's names of types, by NumPy's."""


@dataclass(frozen=True)
class Stored:
    """An array that an export has to hold.

    Attributes:
        name: name in the file.
        dtype: NumPy's name of the type.
        shape: shape.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Placed:
    """An array, and where its bytes begin and end, counted from the end of the header."""

    array: Stored
    begin: int
    end: int


def placed(arrays: Iterable[Stored]) -> list[Placed]:
    """Places arrays one after the other, with padding between them."""
    found: list[Placed] = []
    at, pads = 0, 0
    for array in arrays:
        gap = -at % ALIGNMENT
        if gap:
            found.append(Placed(Stored(f"{PADDING}/{pads}", "uint8", (gap,)), at, at + gap))
            at, pads = at + gap, pads + 1
        found.append(Placed(array, at, at + array.nbytes))
        at += array.nbytes
    return found


def header(places: Iterable[Placed]) -> bytes:
    """Makes the header: the JSON's length as eight bytes, and the JSON, filled with spaces up to a multiple of 64."""
    described = {
        place.array.name: {
            "dtype": DTYPES[place.array.dtype],
            "shape": list(place.array.shape),
            "data_offsets": [place.begin, place.end],
        }
        for place in places
    }
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def digest(manifest: Mapping[str, Any]) -> str:
    """Computes the SHA-256 of a manifest without its entry ``digest``."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
