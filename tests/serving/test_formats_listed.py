"""Further formats in ``export.json``: read as strictly as all of it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import exports_made as made
import pytest

from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.serving import ServingError, load

GRAPH = b"a graph"
FILE = "saved_model/variables/variables.data-00000-of-00001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export that lists a format of two files."""
    place = tmp_path / "shop"
    made.write(place, {"user": find("qr")(Vocabulary("user", 20), 4)}, {"user": None})
    tree = made.manifest(place)
    for name in ("lookup_user.onnx", FILE):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(GRAPH)
        tree["files"][name] = {"bytes": len(GRAPH), "sha256": hashlib.sha256(GRAPH).hexdigest()}
    tree["formats"] = {
        "onnx": entry("lookup_user.onnx"),
        "savedmodel": entry(FILE),
    }
    made.write_manifest(place, tree)
    return place


def entry(*names: str) -> Any:
    return {"files": [*names], "bytes": len(names) * len(GRAPH), "promise": {"fields.user": 0.0}}


def test_formats_are_given_as_listed(folder):
    described = load(folder, verify=True).described
    assert described.formats["savedmodel"].files == (FILE,)
    assert described.formats["onnx"].nbytes == len(GRAPH)
    assert described.formats["onnx"].promise == {"fields.user": 0.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda own: own.update(openvino=entry("lookup_user.onnx")), "'openvino': no format of this version"),
        (lambda own: own.update(onnx=[]), "is no dict"),
        (lambda own: own["onnx"].pop("files"), "files is missing"),
        (lambda own: own["onnx"].pop("promise"), "promise is missing"),
        (lambda own: own["onnx"].update(more=1), "'more' is no key"),
        (lambda own: own["onnx"].update(files=["model.onnx"]), "'model.onnx' is not among the files"),
        (lambda own: own["onnx"].update(files=["../lookup_user.onnx"]), "is not among the files"),
        (lambda own: own["onnx"].update(files=[["lookup_user.onnx"]]), "is no str"),
        (lambda own: own["onnx"].update(files=["lookup_user.onnx"] * 2, bytes=14), "bytes are not those"),
        (lambda own: own["onnx"].update(bytes=8), "bytes are not those of its files"),
        (lambda own: own["onnx"].update(bytes="7"), "is no int"),
        (lambda own: own["onnx"]["promise"].update(predictions="0"), "a promise that is no number"),
        (lambda own: own["onnx"]["promise"].update(predictions=-1), "a promise that is no number"),
        (lambda own: own["onnx"]["promise"].update(predictions=True), "a promise that is no number"),
    ],
)
def test_other_entries_are_refused(folder, change, message):
    tree = made.manifest(folder)
    change(tree["formats"])
    made.write_manifest(folder, tree)
    with pytest.raises(ServingError) as caught:
        load(folder)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.onnx",
        "/etc/passwd",
        "saved_model/../../evil",
        "saved_model//x",
        ".hidden",
        "a\\..\\b",
        "a/./b",
    ],
)
def test_files_that_lead_out_are_refused(folder, name):
    tree = made.manifest(folder)
    tree["files"][name] = tree["files"].pop("lookup_user.onnx")
    tree["formats"]["onnx"]["files"] = [name]
    made.write_manifest(folder, tree)
    with pytest.raises(ServingError, match="no plain name of a file in the folder"):
        load(folder)


@pytest.mark.parametrize("what", ["altered", "link", "linked folder", "missing"])
def test_files_of_formats_are_compared_when_all_are(folder, what):
    file = folder / FILE
    if what == "altered":
        file.write_bytes(b"a worse")
    elif what == "link":
        file.rename(folder / "else")
        file.symlink_to(folder / "else")
    elif what == "linked folder":
        (folder / "saved_model").rename(folder.parent / "else")
        (folder / "saved_model").symlink_to(folder.parent / "else")
    else:
        file.unlink()
    load(folder)  # reads nothing of them
    part = {"altered": "altered since it was written", "missing": "not found"}.get(
        what, "a link; an export has none"
    )
    with pytest.raises(ServingError, match=part):
        load(folder, verify=True)
