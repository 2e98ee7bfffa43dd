"""Exports made without training: a folder from methods, ids and a model of random numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.config.typed import plain
from bench.data.interactions import Values
from bench.exporting import ids as of_ids
from bench.exporting.content import Content, tree_of
from bench.exporting.writing import write_arrays
from bench.serving.layout import ARRAYS, FIELDS, FORMAT_VERSION, HEAD, IDS, MANIFEST, digest
from bench.serving.manifest import Dense, Entry, Head, Manifest
from bench.serving.tables import head_of, stored


def texts(values: list[str], first: int = 0) -> Values:
    """Ids that are text, as a prepared data set holds them."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([len(one) for one in encoded], dtype=np.int64)
    return Values(first, ends=ends, text=np.frombuffer(b"".join(encoded), np.uint8))


def integers(values: Any, first: int = 0) -> Values:
    """Ids that are integers, as a prepared data set holds them."""
    return Values(first, integers=np.asarray(values, np.int64))


def arrays_of(form: Any, seed: int = 0) -> dict[str, np.ndarray]:
    """Random arrays of a method's form, and the maps that it builds."""
    rng = np.random.default_rng(seed)
    made = {
        array.name: _number(rng.normal(size=array.shape), array.dtype)
        for array in (*form.tables(), *form.weights())
    }
    return {**made, **form.build_maps()}


def _number(values: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers of a type. Codes and pointers are small, so that they point at what is there."""
    return (np.abs(values) if np.dtype(dtype).kind == "u" else values).astype(dtype)


def content(
    methods: Mapping[str, Any],
    ids: Mapping[str, Values | None],
    model: tuple[str, Mapping[str, Any]] | None = None,
    dense: tuple[Dense, ...] = (),
    given: Mapping[str, np.ndarray] | None = None,
    **more: Any,
) -> Content:
    """Gives what an export of methods with random numbers holds.

    Args:
        methods: the method of each field, of a form that serves as it is trained.
        ids: the ids of each field.
        model: name and settings of the model.
        dense: numeric columns.
        given: arrays by name, in place of random ones.
        **more: what else an ``Entry`` of every field holds.
    """
    arrays: dict[str, np.ndarray] = {}
    fields, forms = {}, {}
    for name, method in methods.items():
        kept, own = of_ids.stored(ids[name])
        values = ids[name]
        fields[name] = Entry(
            name, method.vocabulary.alone(name).size, method.embedding_dim, method.name(), plain(method.settings), kept,
            0 if values is not None and values.first else None, **{"column": name, **more},
        )  # fmt: skip
        forms[name] = method.served()
        place = f"{FIELDS}/{method.vocabulary.name}"
        arrays |= {f"{place}/{key}": value for key, value in arrays_of(forms[name]).items()}
        arrays |= {f"{IDS}/{name}/{key}": value for key, value in own.items()}
    head = None if model is None else Head(*model, (1.0, 5.0))
    vocabularies = {method.vocabulary.name: method.vocabulary for method in methods.values()}
    shared = {name: [one.name for one in own.members] for name, own in vocabularies.items() if own.is_shared}
    described = Manifest(fields, dense, head, {}, {}, {}, shared=shared)
    made = head_of(described)
    rng = np.random.default_rng(1)
    for path, shape in made.shapes().items() if made else ():
        numbers = rng.normal(size=shape, scale=0.3)
        arrays[f"{HEAD}/{path}"] = (
            np.abs(numbers).astype(np.float32) if "moving" in path else numbers.astype(np.float32)
        )
    arrays |= given or {}
    return Content(described, forms, stored(described, forms, made), arrays)


def write(folder: Path, *what: Any, **more: Any) -> Mapping[str, np.ndarray]:
    """Writes an export of what ``content`` makes of the arguments, and gives its arrays by name.

    Args:
        folder: the folder to make.
        *what: the arguments of ``content``.
        **more: its named ones.
    """
    found = content(*what, **more)
    folder.mkdir()
    write_manifest(folder, tree(folder, found))
    return found.arrays


def tree(folder: Path, found: Content) -> dict[str, Any]:
    """Writes the arrays of an export, and gives its manifest."""
    return {
        "format_version": FORMAT_VERSION, "bench_version": "0", "fingerprint": "f" * 64, "run": {},
        **tree_of(found.described), "bytes": {}, "promise": {}, "formats": {},
        "files": {ARRAYS: write_arrays(folder / ARRAYS, found)},
    }  # fmt: skip


def write_manifest(folder: Path, tree: dict[str, Any]) -> None:
    """Writes a manifest with its digest, whatever it says."""
    tree = json.loads(json.dumps(tree))
    tree["digest"] = digest(tree)
    (folder / MANIFEST).write_text(json.dumps(tree, indent=2), encoding="utf-8")


def manifest(folder: Path) -> Any:
    """Reads a manifest as it is."""
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def sign(folder: Path, tree: dict[str, Any]) -> None:
    """Writes a manifest whose sums are those of the files as they are now."""
    raw = (folder / ARRAYS).read_bytes()
    tree["files"][ARRAYS] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    write_manifest(folder, tree)
