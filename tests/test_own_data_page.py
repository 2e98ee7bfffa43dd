"""The commands and files of docs/own-data.md, typed as the page prints them, on fewer rows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from commands import ROOT, Commands

SMALLER = {"rows=200000": "rows=6000", "customers=30000": "customers=900", "skus=5000": "skus=300"}
FEWER = ("training.epochs=1", "seed=0", "strategy=full,customers_qr", "budget=0.5")


def page() -> str:
    return (ROOT / "docs" / "own-data.md").read_text("utf-8")


def typed() -> list[list[str]]:
    """The page's commands for a shell, in order."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page(), re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks for line in block.splitlines() if not kind]
    lines = [line for line in lines if line.startswith("python -m ")]
    return [shlex.split(line) for line in lines]


def write_files(folder: Path) -> None:
    """Writes the settings files that the page shows, each named in the text before it."""
    found = re.findall(r"`(conf/\w+/\w+\.yaml)`[^`]*```yaml\n(.*?)```", page(), re.DOTALL)
    assert [name for name, _ in found] == ["conf/experiment/fifth.yaml", "conf/strategy/customers_qr.yaml"]
    for name, text in found:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


@pytest.mark.slow
def test_the_page_works_as_it_is_printed(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    commands = Commands(shop, tmp_path / "data")
    write_files(shop)
    modules = []
    for _, _, module, *words in typed():
        smaller = [SMALLER.get(word, word) for word in words]
        more = FEWER if module == "bench.run" and "experiment=fifth" in words else ()
        done = commands.start(*smaller, *more, module=module, PYTHONPATH=str(ROOT)).wait()
        assert done.code == 0, (module, words, done.err)
        modules.append(module)
        if "experiment=fifth" in words and "--plan" not in words:
            assert {result["strategy"] for result in done.results} == {"full", "customers_qr"}
            assert "plots and a page of all runs: python -m bench.report --config-dir conf" in done.out
    expected = [
        "benchmarks.orders",
        "bench.init",
        *["bench.run"] * 4,
        "bench.report",
        "bench.results",
        "bench.prepared",
    ]
    assert modules == expected
    report = json.loads((shop / "outputs" / "report" / "report.json").read_text())
    assert "--config-dir" in json.dumps(report)
