"""The command ``python -m bench.prepared``."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

import bench.data
from bench import compiled
from bench.cli.prepared import main, manage
from bench.config import compose

SMALL = ("dataset.num_users=30", "dataset.num_items=20", "dataset.num_ratings=200")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two prepared copies, one of them old, and compiled programs."""
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    for seed in (1, 2):
        bench.data.load(compose([*SMALL, f"dataset.seed={seed}"]).dataset, tmp_path)
    old = sorted(tmp_path.glob("prepared/*/meta.json"))[0]
    os.utime(old, (time.time() - 40 * 86400,) * 2)
    store = tmp_path / compiled.FOLDER / "abc123"
    store.mkdir(parents=True)
    (store / compiled.ABOUT).write_text(json.dumps({"tensorflow": "2.21", "keras": "3.12"}))
    (store / f"x{compiled.SUFFIX}").write_bytes(b"1234")
    return tmp_path


def copies(data_dir: Path) -> int:
    return len(list(data_dir.glob("prepared/*/meta.json")))


def test_what_is_kept_is_listed(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    header, *rows, total = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "kind", "size", "unused", "for", "of"]
    assert [row.split()[1] for row in rows] == ["data", "data", "programs"]
    assert (
        rows[0].endswith("synthetic")
        and "960 h" in rows[0]
        and rows[2].endswith("tensorflow 2.21, keras 3.12")
    )
    assert re.fullmatch(r"3 folders, [\d.]+ KiB", total)


def test_what_is_not_finished_is_listed_and_removed(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = data_dir / "prepared" / ".feed0000feed0000.unfinished" / "blocks"
    left.mkdir(parents=True)
    (left / "000000.arrow").write_bytes(bytes(5000))
    assert main(["list", "feed"]) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert row.startswith("feed0000feed  data") and "4.88 KiB" in row and row.endswith("not finished")
    assert main(["remove", "feed", "--yes"]) == 0
    assert not left.exists() and copies(data_dir) == 2


def test_what_is_used_is_new_again(data_dir: Path) -> None:
    assert main(["remove", "--older-than", "30d", "--yes"]) == 0
    assert copies(data_dir) == 1
    bench.data.load(compose([*SMALL, "dataset.seed=1"]).dataset, data_dir)
    bench.data.load(compose([*SMALL, "dataset.seed=2"]).dataset, data_dir)
    assert copies(data_dir) == 2 and main(["remove", "--older-than", "30d", "--yes"]) == 2


@pytest.mark.parametrize(("filters", "left"), [
    (["programs"], (2, 0)), (["data"], (0, 1)), (["dataset=synthetic,criteo"], (0, 1)), (["abc"], (2, 0)),
])  # fmt: skip
def test_filters(data_dir: Path, filters: list[str], left: tuple[int, int]) -> None:
    assert main(["remove", *filters, "--yes"]) == 0
    assert (copies(data_dir), len(compiled.stores(data_dir))) == left
    assert not list(data_dir.glob("prepared/.*"))


def test_it_asks_first(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert manage(["remove", "data"], lambda question: "n") == 0
    assert copies(data_dir) == 2 and "nothing was removed" in capsys.readouterr().out
    assert manage(["remove", "data"], lambda question: "y") == 0
    assert copies(data_dir) == 0


@pytest.mark.parametrize(("arguments", "says"), [
    (["lst"], "lst: give list or remove; did you mean list?"),
    (["remove"], "remove: give a filter, such as dataset=table"),
    (["remove", "data"], "here is no terminal; add --yes"),
    (["list", "dataset=table"], "dataset=table: none of 3 in"),
    (["list", "strategy=qr"], "strategy=qr: no such filter; give dataset=NAME"),
    (["list", "--older-than", "soon"], "--older-than soon: give a number and a unit"),
    (["list", "--all"], "--all; python -m bench.prepared --help says more"),
    (["list", "data_dir=nowhere"], "nowhere: nothing is prepared there"),
])  # fmt: skip
def test_wrong_requests(
    data_dir: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and says in line


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0 and "usage: python -m bench.prepared" in capsys.readouterr().out
