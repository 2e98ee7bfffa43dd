"""Folders that are cut off, altered, or made to do harm: none is loaded, none crashes, none takes memory."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import exports_made as made
import numpy as np
import pytest
from marks import slow_but

from bench import models
from bench.config.typed import plain
from bench.embeddings import find, names
from bench.embeddings.base import Vocabulary
from bench.serving import ServingError, load
from bench.serving.layout import ARRAYS, MANIFEST, Placed, Stored, header, placed

Tree = Any
MOST_MEMORY = 3_000_000
"""Bytes that a refusal may take; the files have 0.1 MB, Python's own modules are loaded before."""

CORRUPTIONS = 400


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of three fields of several kinds of ids, with a model."""
    folder = tmp_path_factory.mktemp("good") / "shop"
    methods = {
        "user": find("md")(Vocabulary("user", 200, np.arange(200)), 8),
        "item": find("hash")(Vocabulary("item", 60), 8),
        "shop": find("qr")(Vocabulary("shop", 30), 8),
    }
    ids = {
        "user": made.texts([f"u{n * 7919 % 200}" for n in range(200)]),
        "item": made.integers([n * 31 % 61 for n in range(60)]),
        "shop": made.texts([f"{'long' * 20}{n}" for n in range(29)], first=1),
    }
    made.write(folder, methods, ids, ("neumf", {"hidden_units": [4, 3]}))
    assert load(folder, verify=True).predict(
        {"user": ["u3"], "item": [0], "shop": ["long" * 20 + "5"]}
    ).shape == (1,)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of the good export."""
    return Path(shutil.copytree(good, tmp_path / "shop"))


def refused(folder: Path, verify: bool | None = True) -> str:
    """The one line by which a folder is refused, without much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ServingError) as caught:
            load(folder, verify)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 700, message
    return message


@pytest.mark.parametrize("block", range(4))
def test_random_corruptions(folder, block):
    """One of some hundred small damages to one of both files: flipped, cut, longer, zeroed, moved."""
    rng = random.Random(block)
    whole = {name: (folder / name).read_bytes() for name in (MANIFEST, ARRAYS)}
    for _ in range(CORRUPTIONS // 4):
        name = rng.choice([MANIFEST, ARRAYS, ARRAYS])
        data = bytearray(whole[name])
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 100))
            case 3:
                data[at : at + 8] = bytes(b ^ 0xA5 for b in data[at : at + 8])
            case _:
                del data[at : at + rng.randrange(1, 64)]
        (folder / name).write_bytes(data)
        if name == MANIFEST and _same(data, whole[name]):
            continue  # a space more: the same content
        with pytest.raises(ServingError) as caught:
            load(folder)
        assert "\n" not in str(caught.value)
        (folder / name).write_bytes(whole[name])
    load(folder)


def _same(found: bytearray, wanted: bytes) -> bool:
    try:
        return bool(json.loads(found) == json.loads(wanted))
    except ValueError:
        return False


def test_without_the_sums_no_corruption_crashes(folder):
    """Numbers of a table may be altered then, never what a lookup reads outside of the tables."""
    rng, whole = random.Random(9), (folder / ARRAYS).read_bytes()
    ids = {
        "user": ["u1", "u77", "no"],
        "item": [1, 59, 1000],
        "shop": ["x", "long" * 20 + "1", "long" * 20 + "2"],
    }
    loaded = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (folder / ARRAYS).write_bytes(data)
        try:
            tables = load(folder, verify=False)
        except ServingError:
            continue
        loaded += 1
        for field in tables.fields:
            try:
                assert tables.lookup(field, ids[field], unknown="nan").shape == (3, 8)
                tables.vectors(field, range(30))
            except (IndexError, ValueError):  # a map that points outside: said, not read
                continue
    assert loaded


def change(**changed: Any) -> Callable[[Tree], None]:
    """Sets keys at the top of a manifest."""
    return lambda tree: tree.update(changed)


def at(*path: Any, value: Any) -> Callable[[Tree], None]:
    """Sets a value at a place in a manifest."""

    def set_it(tree: Tree) -> None:
        for key in path[:-1]:
            tree = tree[key]
        tree[path[-1]] = value

    return set_it


def gone(*path: Any) -> Callable[[Tree], None]:
    """Removes a value from a manifest."""

    def remove(tree: Tree) -> None:
        for key in path[:-1]:
            tree = tree[key]
        del tree[path[-1]]

    return remove


deep: Any = []
for _ in range(300):
    deep = [deep]

USER = ("fields", "user")
MANIFESTS = {
    "newer version": (change(format_version=2), "format version 2"),
    "version as text": (change(format_version="1"), "format version 1"),
    "version true": (change(format_version=True), "format version True"),
    "unknown key": (change(code="import os"), "'code' is no key"),
    "no fields": (change(fields={}), "0 fields"),
    "fields as a list": (change(fields=[]), "is no dict"),
    "files missing": (gone("files"), "files is missing"),
    "arrays missing": (gone("files", ARRAYS), "arrays.safetensors is missing"),
    "name with dots": (at("files", "../secret", value={"bytes": 1, "sha256": "0" * 64}), "no plain name"),
    "absolute name": (at("files", "/etc/passwd", value={"bytes": 1, "sha256": "0" * 64}), "no plain name"),
    "name with backslash": (at("files", "..\\a", value={"bytes": 1, "sha256": "0" * 64}), "no plain name"),
    "name with zero": (at("files", "a\0b", value={"bytes": 1, "sha256": "0" * 64}), "no plain name"),
    "hidden name": (at("files", ".a/b", value={"bytes": 1, "sha256": "0" * 64}), "no plain name"),
    "file of negative size": (at("files", ARRAYS, "bytes", value=-1), "bytes is not from 0"),
    "file of other size": (at("files", ARRAYS, "bytes", value=2**40), "bytes, and export.json says"),
    "sum of another kind": (at("files", ARRAYS, "sha256", value="md5"), "no SHA-256"),
    "other sum": (at("files", ARRAYS, "sha256", value="0" * 64), "altered"),
    "a file that is not there": (at("files", "model.onnx", value={"bytes": 1, "sha256": "0" * 64}), "not found"),
    "unknown method": (at(*USER, "method", value="os"), "'os' is no method"),
    "method with a path": (at(*USER, "method", value="../../evil"), "is no method"),
    "method with a module": (at(*USER, "method", value="os.system"), "is no method"),
    "base class as method": (at(*USER, "method", value="__init__"), "is no method"),
    "method as a number": (at(*USER, "method", value=7), "is no str"),
    "other method": (at(*USER, "method", value="full"), "do not work"),
    "unknown setting": (at(*USER, "settings", "pickle", value="x"), "do not work"),
    "setting of another type": (at(*USER, "settings", "block_dims", value="x"), "do not work"),
    "huge setting": (at("fields", "item", "settings", "num_rows", value=2**62), "is above"),
    "huge vocabulary": (at(*USER, "size", value=2**31 - 1), "bytes of arrays"),
    "no rows": (at(*USER, "size", value=0), "size is not from 1"),
    "half a row": (at(*USER, "size", value=1.5), "is no int"),
    "huge width": (at(*USER, "dim", value=2**40), "dim is not from 1"),
    "other width": (at("fields", "shop", "dim", value=16), "export.json"),
    "nested settings": (at(*USER, "settings", "block_dims", value=deep), ""),
    "long settings": (at(*USER, "settings", "block_dims", value=[1] * 25_000), "settings of"),
    "unknown row outside": (at(*USER, "unknown_row", value=200), "unknown_row is not from"),
    "more ids than rows": (at(*USER, "ids", "count", value=201), "count is not from"),
    "fewer ids": (at(*USER, "ids", "count", value=100), "bytes of arrays, and export.json describes"),
    "ids of another kind": (at(*USER, "ids", "kind", value="pickle"), "no kind of ids"),
    "ids as long text": (at(*USER, "ids", "kind", value="long_text"), ""),
    "ids of huge width": (at(*USER, "ids", "width", value=2**31), "width is not from"),
    "ids of width 0": (at(*USER, "ids", "width", value=0), "ids that do not fit"),
    "range beyond": (at("fields", "item", "ids", value={
        "kind": "range", "count": 60, "first": 2**63 - 1, "row": 0, "mapped": False, "width": 0, "nbytes": 0,
    }), "ids that do not fit"),
    "unknown transform": (at(*USER, "transform", value="eval:1"), "no transform"),
    "unknown part": (at(*USER, "part", value="_year"), "no transform"),
    "field with a slash": (at("fields", "a/b", value={}), "no name of a field"),
    "unknown model": (at("model", "name", value="subprocess"), "no predictions in NumPy"),
    "unknown setting of the model": (at("model", "settings", "code", value=1), "do not work"),
    "other model": (at("model", value={"name": "dot", "settings": {}, "label_range": [1, 5]}), "do not work"),
    "huge model": (at("model", "settings", "hidden_units", value=[2**40]), "export.json"),
    "range of labels of three": (at("model", "label_range", value=[1, 2, 3]), "give two numbers"),
    "range of labels of text": (at("model", "label_range", value=["a", "b"]), "give two numbers"),
    "dense columns that are not there": (at("dense", value=[{"column": "x", "is_log": False, "keeps_missing": False}]),
                                         "export.json describes"),
    "dense column that is a list": (at("dense", value=[[]]), "is no dict"),
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_hostile_manifests(folder, name):
    changed, says = MANIFESTS[name]
    tree = made.manifest(folder)
    changed(tree)
    made.write_manifest(folder, tree)
    assert says in refused(folder)


@pytest.mark.parametrize("method", slow_but(("qr", "dhe", "md"), names()))
def test_hostile_values_of_every_setting(tmp_path, method):
    """No setting of a method makes work or takes memory before it is compared with the file.

    A setting that is a number of arrays belongs into ``PARTS`` of ``bench/config/parts.py``.
    """
    made.write(
        tmp_path / "shop", {"user": find(method)(Vocabulary("user", 50, np.arange(50)), 8)}, {"user": None}
    )
    tree = made.manifest(tmp_path / "shop")
    check_settings(tmp_path / "shop", tree["fields"]["user"]["settings"], tree)
    for size, dim in ((2**31 - 1, 8), (50, 2**16), (2**31 - 1, 2**16), (1, 1)):
        tree["fields"]["user"] |= {"size": size, "dim": dim}
        timed(tmp_path / "shop", tree)


@pytest.mark.parametrize("model", slow_but(("dcn_v2",), models.names()))
def test_hostile_values_of_every_setting_of_a_model(tmp_path, model):
    choice = models.read({"name": model})
    dim = models.vector_dim(choice, 4)
    fields = {name: find("full")(Vocabulary(name, 5), dim) for name in ("a", "b")}
    settings = {"hidden_units": [4]} if hasattr(choice.settings, "hidden_units") else {}
    made.write(
        tmp_path / "shop", fields, dict.fromkeys(fields), (model, {**plain(choice.settings), **settings})
    )
    tree = made.manifest(tmp_path / "shop")
    check_settings(tmp_path / "shop", tree["model"]["settings"], tree)


def check_settings(folder: Path, settings: Tree, tree: Tree) -> None:
    load(folder)
    for name, value in list(settings.items()):
        if isinstance(value, bool) or not isinstance(value, int | float | list):
            continue
        for huge in (513, 10**6, 2**31 - 1, 2**47, 1e40, [1] * 2000, list(range(1, 1000))):
            settings[name] = huge
            timed(folder, tree)
        settings[name] = value


def timed(folder: Path, tree: Tree) -> None:
    """Loads a folder, which may be refused, in a moment and in little memory."""
    made.write_manifest(folder, tree)
    tracemalloc.start()
    begin = time.perf_counter()
    with contextlib.suppress(ServingError):  # a seed may have any value
        load(folder)
    took, most = time.perf_counter() - begin, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 2 and most < 2 * MOST_MEMORY, (str(tree)[:500], took, most)


TEXTS = {
    "empty": b"",
    "no JSON": b"\x80\x04\x95pickle",
    "a list": b"[]",
    "a number": b"1",
    "twice": b'{"format_version": 1, "format_version": 1}',
    "not a number": b'{"format_version": NaN}',
    "deep": b'{"a":' * 100_000,
    "long number": b'{"format_version": ' + b"1" * 10_000 + b"}",
    "not UTF-8": b'{"\xff": 1}',
    "another encoding": '{"format_version": 1}'.encode("utf-16"),
    "no digest": b'{"format_version": 1}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_manifest(folder, name):
    (folder / MANIFEST).write_bytes(TEXTS[name])
    refused(folder)


def test_an_edited_manifest(folder):
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"user"', '"yser"'))
    assert "altered since it was written" in refused(folder)


def rewritten(
    folder: Path, places: list[Placed] | None = None, text: bytes | None = None, length: int = -1
) -> None:
    """Puts another header before the arrays, and signs the folder."""
    raw = (folder / ARRAYS).read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    made_header = header(places) if places is not None else b""
    if text is not None:
        text += b" " * (-(len(text) + 8) % 64)
        made_header = (len(text) if length < 0 else length).to_bytes(8, "little") + text
    (folder / ARRAYS).write_bytes(made_header + raw[begin:])
    made.sign(folder, made.manifest(folder))


def described(folder: Path) -> Any:
    raw = (folder / ARRAYS).read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])


def _overlap(tree: Tree) -> None:
    first, second = list(tree)[:2]
    tree[second]["data_offsets"] = tree[first]["data_offsets"]


def _swap(tree: Tree) -> None:
    one, two = (f"head/hidden_0/{name}" for name in ("kernel", "bias"))
    tree[one]["data_offsets"], tree[two]["data_offsets"] = (
        tree[two]["data_offsets"],
        tree[one]["data_offsets"],
    )


HEADERS = {
    "overlap": _overlap,
    "swapped": _swap,
    "shape that lies": lambda tree: tree["fields/user/rank"].update(shape=[2**40]),
    "negative shape": lambda tree: tree["fields/user/rank"].update(shape=[-200]),
    "shape of text": lambda tree: tree["fields/user/rank"].update(shape=["200"]),
    "type that lies": lambda tree: tree["fields/user/rank"].update(dtype="F32"),
    "type of objects": lambda tree: tree["fields/user/rank"].update(dtype="O"),
    "offset beyond the file": lambda tree: tree["fields/user/rank"].update(data_offsets=[2**50, 2**50 + 800]),
    "negative offset": lambda tree: tree["fields/user/rank"].update(data_offsets=[-800, 0]),
    "array missing": lambda tree: tree.pop("fields/user/rank"),
    "array more": lambda tree: tree.update(more={"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}),
    "metadata": lambda tree: tree.update(__metadata__={"format": "pt"}),
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers(folder, name):
    tree = described(folder)
    HEADERS[name](tree)
    rewritten(folder, text=json.dumps(tree, separators=(",", ":")).encode())
    assert "its header does not describe" in refused(folder)


@pytest.mark.parametrize("length", [0, 7, 2**31, 2**63, 2**64 - 1])
def test_headers_of_other_lengths(folder, length):
    text = json.dumps(described(folder), separators=(",", ":")).encode()
    rewritten(folder, text=text, length=length)
    refused(folder)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 4096])
def test_a_file_cut_off_and_signed(folder, size):
    (folder / ARRAYS).write_bytes((folder / ARRAYS).read_bytes()[:size])
    made.sign(folder, made.manifest(folder))
    refused(folder)


def put(folder: Path, name: str, values: Any, dtype: str) -> None:
    """Writes other numbers into an array, and signs the folder."""
    raw = bytearray((folder / ARRAYS).read_bytes())
    begin, end = described(folder)[name]["data_offsets"]
    start = 8 + int.from_bytes(raw[:8], "little")
    found = np.frombuffer(bytes(raw[start + begin : start + end]), dtype).copy()
    values(found)
    raw[start + begin : start + end] = found.tobytes()
    (folder / ARRAYS).write_bytes(raw)
    made.sign(folder, made.manifest(folder))


CONTENTS = {
    "integers that do not ascend": ("ids/item/keys", "int64", lambda a: a.__setitem__(3, 0)),
    "integers twice": ("ids/item/keys", "int64", lambda a: a.__setitem__(3, a[2])),
    "text that does not ascend": ("ids/user/keys", "uint8", lambda a: a.__setitem__(slice(0, 4), 255)),
    "row outside": ("ids/user/rows", "int32", lambda a: a.__setitem__(5, 200)),
    "negative row": ("ids/user/rows", "int32", lambda a: a.__setitem__(5, -1)),
    "ends that fall": ("ids/shop/ends", "int64", lambda a: a.__setitem__(3, 0)),
    "ends beyond": ("ids/shop/ends", "int64", lambda a: a.__setitem__(-1, 2**40)),
    "negative end": ("ids/shop/ends", "int64", lambda a: a.__setitem__(0, -5)),
    "long text that does not ascend": ("ids/shop/text", "uint8", lambda a: a.__setitem__(0, 255)),
}


@pytest.mark.parametrize("verify", [None, False])
@pytest.mark.parametrize("name", CONTENTS)
def test_ids_that_cannot_be_searched(folder, name, verify):
    array, dtype, values = CONTENTS[name]
    put(folder, array, values, dtype)
    message = refused(folder, verify)
    assert "field" in message and ("ascend" in message or "outside" in message)


@pytest.mark.parametrize("name", [MANIFEST, ARRAYS])
def test_links_pipes_and_folders_are_not_followed(folder, name):
    there = folder / name
    there.rename(folder.parent / "elsewhere")
    there.symlink_to(folder.parent / "elsewhere")
    assert "a link" in refused(folder)
    there.unlink()
    os.mkfifo(there)
    refused(folder)
    there.unlink()
    there.mkdir()
    refused(folder)
    there.rmdir()
    assert "not found" in refused(folder)


def test_no_folder(tmp_path):
    assert "not found" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file")


def test_a_large_file_is_compared_only_when_asked(folder, monkeypatch):
    monkeypatch.setattr("bench.serving.tables.VERIFIED_BYTES", 10)
    put(folder, "fields/item/table", lambda a: a.__setitem__(0, 9.0), "float32")
    tree = made.manifest(folder)
    tree["files"][ARRAYS]["sha256"] = "0" * 64
    made.write_manifest(folder, tree)
    assert load(folder).fields == ("user", "item", "shop")
    assert "altered" in refused(folder, True)


def test_padding_and_places_are_as_documented():
    places = placed([Stored("a", "uint8", (3,)), Stored("b", "float32", (2, 2)), Stored("c", "bool", ())])
    assert [(p.array.name, p.begin, p.end) for p in places] == [
        ("a", 0, 3), ("padding/0", 3, 64), ("b", 64, 80), ("padding/1", 80, 128), ("c", 128, 129),
    ]  # fmt: skip
    assert len(header(places)) % 64 == 0
