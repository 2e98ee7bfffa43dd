from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from bench.records.files import link_or_copy, remove_empty, write_whole


def full(*arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_that_cannot_be_written_whole_leaves_the_earlier_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    assert write_whole(path, "earlier").read_text() == "earlier"
    for module, call in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(module, call, full)
            write_whole(path, "new")
        assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"record.json": "earlier"}
    assert write_whole(path, "new").read_text() == "new"


def test_a_copy_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_text("weights")
    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: (Path(target).write_text("wei"), full()))
    with pytest.raises(OSError, match="No space left"):
        link_or_copy(tmp_path / "source", tmp_path / "target")
    assert [file.name for file in tmp_path.iterdir()] == ["source"]


def test_empty_folders_are_removed_up_to_one_that_stays(tmp_path: Path) -> None:
    inner = tmp_path / "end" / "kept" / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "end" / "kept" / "file").touch()
    remove_empty(inner, tmp_path / "end")
    assert not inner.parent.exists() and inner.parent.parent.exists()
    (tmp_path / "end" / "kept" / "file").unlink()
    remove_empty(inner.parent.parent, tmp_path / "end")
    assert list((tmp_path / "end").iterdir()) == [] and (tmp_path / "end").exists()
