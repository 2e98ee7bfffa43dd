"""The commands of docs/coming-from.md on small files of the other projects' formats, and the names that it gives."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest
from commands import ROOT, result_in

from bench.embeddings import names
from bench.embeddings.registry import settings_class
from bench.models import names as models


def page() -> str:
    return (ROOT / "docs" / "coming-from.md").read_text("utf-8")


def typed() -> list[list[str]]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page(), re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks if not kind for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines]


def write_files(folder: Path) -> None:
    """Writes an atomic file with features of items, and three files of clicks."""
    rows = [
        f"u{i * 7 % 500}\ti{i * 11 % 400}\t{1 + i % 5}.0\t{978300000 + i * 13 % 3000}" for i in range(3000)
    ]
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "shop.inter").write_text("\n".join([head, *rows, ""]))
    items = [f"i{i}\tc{i % 4}" for i in range(400)]
    (folder / "shop.item").write_text("\n".join(["item_id:token\tclass:token", *items, ""]))
    for name, first in (("train", 0), ("valid", 400), ("test", 500)):
        clicks = [
            f"u{i % 30},a{i % 11},{'' if i % 13 == 0 else i % 3},{i % 2}" for i in range(first, first + 400)
        ]
        (folder / f"{name}.csv").write_text("\n".join(["userid,adgroup_id,pid,clk", *clicks, ""]))


@pytest.mark.slow
def test_commands_work_on_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("BENCH_RESULTS_DIR", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    write_files(tmp_path)
    folders = []
    for number, words in enumerate(typed()):
        if words[0] == "cp":
            shutil.copy(words[1], words[2])
            continue
        module = importlib.import_module(words[2].replace("bench.", "bench.cli."))
        more = []
        if words[2] == "bench.run":
            folders.append(tmp_path / str(number))
            more = [f"hydra.run.dir={folders[-1]}", "training.epochs=1"]
        given = [word for word in words[3:] if word != "training.epochs=1"]
        assert module.main([*given, *more]) == 0, (words, capsys.readouterr().err)
    ratings, clicks, dlrm = map(result_in, folders)
    assert ratings["task"] == "rating" and ratings["dataset"] == "shop" and ratings["val_mae"] > 0
    assert clicks["task"] == "click" and set(clicks["embeddings"]) == {"userid", "adgroup_id", "pid"}
    assert dlrm["embedding_bytes"] <= 0.25 * dlrm["full_embedding_bytes"]
    largest = max(dlrm["embeddings"].values(), key=lambda own: own.get("num_buckets", 0))
    rows = sorted(shape[0] for shape in largest["tables"].values())
    assert largest["method"] == "qr" and rows[0] in (4, 5) and rows[1] > 1000, largest
    assert any(own["method"] == "full" for own in dlrm["embeddings"].values())


@pytest.mark.slow
def test_the_join_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", page(), re.DOTALL | re.MULTILINE)
    exec(code, {})
    lines = (tmp_path / "shop_items.csv").read_text().splitlines()
    assert lines[0] == "user_id,item_id,rating,timestamp,class" and len(lines) == 3001
    assert all(f",c{int(line.split(',')[1][1:]) % 4}" == line[-3:] for line in lines[1:])


def test_our_names_exist() -> None:
    ours = [line.split(" | ", 1)[1] for line in page().splitlines() if line.startswith(("| `", "| SGD"))]
    named = re.findall(r"\b((?:dataset|training|model)\.[a-z]\w*(?:\.[a-z]\w*)*)", " ".join(ours))
    listed = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert len(set(named)) > 35
    free = ("dataset.transforms.hour", "dataset.transforms")  # a column of the user's
    assert [name for name in named if f"| `{name}` |" not in listed and name not in free] == []
    assert {*re.findall(r"strategy=(\w+)", " ".join(ours))} == {"qr", "lowrank", "md"} <= {*names()}
    found = {one for row in ours for one in re.findall(r"`model=(\w+)`(?:, `(\w+)`)*", row)}
    assert found and all(one in models() for pair in found for one in pair if one)
    for name in ("quotient_rows", "combine"):
        assert f"{name}=" in page()
        assert name in settings_class("qr").__dataclass_fields__
