"""The kind of data set that the documentation adds."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import bench.data
from bench.data import settings
from bench.errors import RequestError

ROOT = Path(__file__).parents[2]
LINES = """{"user": "a", "item": 1, "city": "x", "rating": 3, "time": 1}
{"user": "b", "item": 1, "city": "y", "rating": 4, "time": 2}

{"user": "a", "item": 2, "city": "y", "rating": 5, "time": 3}
"""


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the documented kind as a reader would."""
    text = (ROOT / "docs" / "data.md").read_text("utf-8").partition("### Another format")[2]
    declared, module = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(declared, vars(settings))
    monkeypatch.setitem(settings.KINDS, "jsonl", vars(settings).pop("JsonlSettings"))
    made = ModuleType("bench.data.jsonl")
    monkeypatch.setattr(settings, "JsonlSettings", settings.KINDS["jsonl"], raising=False)
    exec(module, vars(made))
    monkeypatch.setitem(sys.modules, "bench.data.jsonl", made)


@pytest.mark.usefixtures("documented")
def test_it_reads(dataset: object, tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_text(LINES, "utf-8")
    split = {"kind": "time", "train_fraction": 0.67, "last_n": 1, "seed": 0, "validation_fraction": 0.0}
    values = {"name": "jsonl", "kind": "jsonl", "vocabulary": "all", "split": split, "path": str(path)}
    data = bench.data.load(values, tmp_path / "data")
    assert list(data.fields) == ["user", "item", "city"]
    assert data.train.labels.tolist() == [3, 4] and data.evaluation.labels.tolist() == [5]
    assert data.train.ids["city"].tolist() == [0, 1] and data.evaluation.ids["city"].tolist() == [1]
    path.write_text('{"user": 1}\n', "utf-8")
    with pytest.raises(RequestError, match="a line is not what was expected"):
        bench.data.load(values, tmp_path / "data")
