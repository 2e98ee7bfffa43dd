"""Exports of random numbers, made without training, to measure how they are served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import embeddings
from bench.config.typed import plain
from bench.data.interactions import Values
from bench.embeddings.base import Array, Method, OverBudget, Vocabulary
from bench.embeddings.budget import choose
from bench.exporting import ids
from bench.exporting.content import Content, tree_of
from bench.exporting.writing import write_arrays
from bench.serving.layout import ARRAYS, FIELDS, FORMAT_VERSION, IDS, MANIFEST, digest
from bench.serving.manifest import Entry, Head, Manifest
from bench.serving.tables import head_of, stored

FIELD_NAMES = ("user", "item")
STEP = 3
"""Ids are multiples of this number, in a random order of the rows. So there are unknown ids between them."""


def export(
    folder: Path,
    method: str | Mapping[str, Any],
    num_ids: int,
    dim: int,
    budget: float = 0.1,
    text: bool = False,
    onnx: bool = False,
) -> float:
    """Writes an export. Its numbers are random, its sizes and its arithmetic those of a trained one.

    Args:
        folder: the folder to make.
        method: the method of both fields: its name, or ``method`` and sizes, which then stand in place of a budget.
        num_ids: number of ids of each field: 0, ``STEP``, 2 ``STEP`` and so on.
        dim: width of the vectors.
        budget: bytes as a share of those of full tables, or the method's smallest size if that is larger.
        text: True for ids that are text of 14 letters, such as ``C0000000000042``, in place of integers.
        onnx: True writes the graphs of ONNX too.

    Returns:
        The bytes of full tables divided by those that serve.

    Raises:
        RequestError: there is no such method.
    """
    rng = np.random.default_rng(0)
    choice = embeddings.read({"method": method} if isinstance(method, str) else method)
    vocabularies = {name: Vocabulary(name, num_ids, rng.zipf(1.3, num_ids)) for name in FIELD_NAMES}
    share = budget if isinstance(method, str) and method != "full" else None
    choices = dict.fromkeys(FIELD_NAMES, choice)
    try:
        methods = choose(choices, vocabularies, dim, share)
    except OverBudget:
        methods = choose(choices, vocabularies, dim, "smallest")
    arrays: dict[str, np.ndarray] = {}
    fields, forms = {}, {}
    for name, one in methods.items():
        kept, own = ids.stored(_values(STEP * rng.permutation(num_ids), text))
        fields[name] = Entry(name, num_ids, dim, one.name(), plain(one.settings), kept, None, name)
        forms[name] = one.served()
        arrays |= {f"{FIELDS}/{name}/{key}": value for key, value in _arrays(forms[name], rng).items()}
        arrays |= {f"{IDS}/{name}/{key}": value for key, value in own.items()}
    described = Manifest(fields, (), Head("dot", {}, (1.0, 5.0)), {}, {}, {})
    content = Content(described, forms, stored(described, forms, head_of(described)), arrays)
    folder.mkdir(parents=True)
    served, full = content.nbytes(FIELDS), 2 * num_ids * dim * 4
    tree = {
        "format_version": FORMAT_VERSION, "bench_version": "0", "fingerprint": "0" * 64, "run": {},
        **tree_of(described), "bytes": {"promised": served, "full": full}, "promise": {}, "formats": {},
        "files": {ARRAYS: write_arrays(folder / ARRAYS, content)},
    }  # fmt: skip
    tree = json.loads(json.dumps(tree))
    tree["digest"] = digest(tree)
    (folder / MANIFEST).write_text(json.dumps(tree), encoding="utf-8")
    if onnx:
        from bench.exporting.formats import onnx_files

        onnx_files.write(folder, None, content)  # type: ignore[arg-type]  # a trained model, which it does not read
    return full / served


def _values(numbers: np.ndarray, text: bool) -> Values:
    if not text:
        return Values(0, integers=numbers)
    joined = "".join(f"C{number:013d}" for number in numbers.tolist()).encode()
    ends = np.arange(14, len(joined) + 1, 14)
    return Values(0, ends=ends, text=np.frombuffer(joined, np.uint8))


def _arrays(form: Method[Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Makes random arrays of a form, and the maps that it builds."""

    def drawn(array: Array) -> np.ndarray:
        if array.name == "pointers":
            return rng.integers(0, form.settings.num_atoms, array.shape).astype(array.dtype)
        if np.dtype(array.dtype).kind in "iu":
            return rng.integers(0, 256, array.nbytes, np.uint8).view(array.dtype).reshape(array.shape)
        return rng.normal(size=array.shape, scale=0.1).astype(array.dtype)

    made = {array.name: drawn(array) for array in (*form.tables(), *form.weights())}
    return {**made, **form.build_maps()}
