"""Writes an export's folder, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bench import __version__
from bench.errors import BenchError, RequestError, end_if_asked
from bench.exporting import card, checking
from bench.exporting import formats as of_formats
from bench.exporting.content import Content, Tree, content, tree_of
from bench.exporting.formats.base import Written
from bench.records import files
from bench.serving.layout import (
    ARRAYS,
    CARD,
    FIELDS,
    FORMAT_VERSION,
    HEAD,
    IDS,
    MANIFEST,
    digest,
    header,
    placed,
)
from bench.serving.tables import load
from bench.trained import Trained

Writer = Callable[[Path], Written]
"""Writes the files of a format into a folder."""

BLOCK = 1 << 24
"""Number of bytes that are written at once."""


def check_target(folder: Path) -> None:
    """Refuses a folder that holds something.

    Raises:
        RequestError: the folder is not empty, or is no folder.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise RequestError(f"output_dir={folder}: is there and is no folder; give another one")
    if folder.is_dir() and any(folder.iterdir()):
        raise RequestError(f"output_dir={folder}: is not empty; give a folder that is empty or not there yet")


@dataclass(frozen=True)
class Export:
    """What is to be written.

    Attributes:
        found: fields, ids, model and arrays.
        about: the manifest's entries that say where they come from: ``fingerprint``, ``run`` and others.
        promised: bytes that serving was to take.
        full: bytes of the same uncompressed, in float32.
        reference: what the folder has to give when it is loaded; see ``bench.serving.compare``.
        card: what the model card says beside the manifest.
    """

    found: Content
    about: Tree
    promised: int | None
    full: int | None
    reference: Mapping[str, np.ndarray]
    card: card.Card


def write(trained: Trained, folder: Path, formats: Sequence[str] = ()) -> Tree:
    """Writes what a trained model serves, as ``put`` does. It is compared with the model.

    Args:
        trained: the trained model.
        folder: the folder to make. It may be there if it is empty.
        formats: the further formats to write, by the names of ``bench.exporting.formats``.

    Raises:
        RequestError: the folder is not empty.
        RunFailed: the export differs from the model. Nothing is left.
        BenchError: the folder cannot be written. Nothing is left.
    """
    check_target(folder)
    found, result = content(trained), trained.result
    run = {name: getattr(result, name) for name in ("dataset", "task", "strategy", "seed")}
    about = {"fingerprint": str(result.fingerprint), "run": run}
    size, full = result.embedding_bytes, result.full_embedding_bytes
    export = Export(found, about, size, full, checking.reference(trained), card.of_run(trained))

    def writer(name: str) -> Writer:
        return lambda place: of_formats.module(name).write(place, trained, found)

    return put(export, folder, {name: writer(name) for name in formats})


def put(export: Export, folder: Path, formats: Mapping[str, Writer] = MappingProxyType({})) -> Tree:
    """Writes an export, compares it with its reference in a fresh process, and puts it in place by a rename.

    Args:
        export: what is to be written.
        folder: the folder to make. It may be there if it is empty.
        formats: what writes each further format.

    Returns:
        The manifest as written.

    Raises:
        RequestError: the folder is not empty.
        RunFailed: the folder does not give what it has to. Nothing is left.
        BenchError: the folder cannot be written. Nothing is left.
    """
    check_target(folder)
    found = export.found
    with _said_in_a_line(folder), _aside(folder) as made:
        tree = _tree(export)
        tree["files"] = {ARRAYS: write_arrays(made / ARRAYS, found)}
        for name, write_format in formats.items():
            _enter_format(name, made, write_format(made), tree)
        _write_manifest(made, tree)
        promises = checking.compare(
            made, export.reference, found.forms, export.card.against, [*tree["formats"]]
        )
        tree["promise"] = promises.pop("")
        for name, promise in promises.items():
            tree["formats"][name]["promise"] = promise
        text = card.text(export.card, tree)
        (made / CARD).write_text(text, encoding="utf-8")
        tree["files"][CARD] = {
            "bytes": len(text.encode()),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
        _write_manifest(made, tree)
        load(made, verify=True)
        check_target(folder)
        end_if_asked()
        made.rename(folder)
    return tree


def _tree(export: Export) -> Tree:
    found = export.found
    return {
        "format_version": FORMAT_VERSION,
        "bench_version": __version__,
        **export.about,
        **tree_of(found.described),
        "bytes": {
            "promised": export.promised,
            "full": export.full,
            "served": found.nbytes(FIELDS),
            "ids": found.nbytes(IDS),
            "head": found.nbytes(HEAD),
        },
        "formats": {},
    }


def write_arrays(path: Path, found: Content) -> Tree:
    """Writes the file of arrays, and gives its entry in the manifest."""
    places = placed(found.wanted)
    made, size = hashlib.sha256(), 0
    with path.open("xb") as file:

        def put(part: bytes | memoryview) -> None:
            nonlocal size
            file.write(part)
            made.update(part)
            size += len(part)

        put(header(places))
        for place in places:
            array = found.arrays.get(place.array.name)
            if array is None:
                put(bytes(place.end - place.begin))
                continue
            flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            for begin in range(0, len(flat), BLOCK):
                put(flat[begin : begin + BLOCK])
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": made.hexdigest()}


def _enter_format(name: str, folder: Path, written: Written, tree: Tree) -> None:
    """Enters the files of a further format, and what it leaves out, into the manifest."""
    tree["left_out"] |= {f"{name}.{what}".removesuffix("."): why for what, why in written.left_out.items()}
    if not written.files:
        return
    entries = {one: _entry(folder / one) for one in written.files}
    tree["files"] |= entries
    total = sum(entry["bytes"] for entry in entries.values())
    tree["formats"][name] = {"files": [*entries], "bytes": total, "promise": {}}


def _entry(path: Path) -> Tree:
    """Sends a file to the disk, and gives its entry in the manifest."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            made.update(block)
        os.fsync(file.fileno())
        return {"bytes": file.tell(), "sha256": made.hexdigest()}


def _write_manifest(folder: Path, tree: Tree) -> None:
    tree["digest"] = digest(_as_read(tree))
    files.write_whole(folder / MANIFEST, json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def _as_read(tree: Tree) -> Tree:
    """Gives a manifest as it is read back from its JSON."""
    read: Tree = json.loads(json.dumps(tree, allow_nan=False))
    return read


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Makes a folder beside the one that is wanted, and removes it in the end if it is still there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = folder.with_name(f".{folder.name[:80]}.partial-{os.getpid()}-{secrets.token_hex(4)}")
    made.mkdir()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _said_in_a_line(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"output_dir={folder}: cannot be written ({error.strerror or error}); free some space, or give another "
            "folder"
        ) from error
