"""The messages of docs/faq.md, each made by the command or the call that stands above it."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import ROOT, SMALL

HOME = "/home/me"
BEFORE = {
    "### bench.init and a settings file that is there": "python -m bench.init orders.csv",
    "### Weights that were not kept": "python -m bench.run "
    + " ".join(SMALL)
    + " training.epochs=1 hydra.run.dir=outputs/first",
    "### A folder that is not empty": "python -m bench.compress items.npy method=pq budget=0.5 output_dir=small "
    "ids=names.txt field=sku",
}
"""What has been done before the examples of a section."""

AT_HOME = "### Nothing to report"
"""The section whose command is started beside the folder of the others."""

EXIT_1 = (
    "### A download that fails",
    "### The loss is not a number",
    "### The tracking server does not answer",
)


def page() -> str:
    return (ROOT / "docs" / "faq.md").read_text("utf-8")


def sections() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Each heading, with kind, request and message of its examples."""
    found = []
    for part in re.split(r"^(?=### )", page(), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```(console|pycon)\n(?:\$|>>>) (.*)\n(.*)\n```$", part, re.MULTILINE)
        assert len(blocks) == part.count("```") // 2 > 0, part
        found.append((part.splitlines()[0], blocks))
    return found


def write_files(folder: Path) -> None:
    """Writes the files that the page speaks of."""
    rows = [f"C{i * 7 % 40:02},S{i * 11 % 31:02},{('Bonn', 'Lyon')[i % 2]},{1 + i % 5}" for i in range(400)]
    wrong = {"orders": rows[0], "gaps": ",S01,Bonn,4", "words": "C01,S01,Bonn,five"}
    for name, first in wrong.items():
        text = "\n".join(["customer,sku,city name,stars", first, *rows[1:], ""])
        (folder / f"{name}.csv").write_text(text)
    (folder / "same.csv").write_text("a,b,n\nx,y,1\nz,y,1\nx,w,1\n")
    np.save(folder / "items.npy", np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32))
    (folder / "names.txt").write_text("".join(f"S{number:03}\n" for number in range(50)))


def main(words: list[str]) -> int:
    python, _, module, *arguments = words
    assert python == "python"
    code: int = importlib.import_module(module.replace("bench.", "bench.cli.")).main(arguments)
    return code


def raised(call: str, folder: Path) -> str:
    """The last line of what a call prints in Python."""
    from bench import api, serving
    from bench.embeddings import QREmbedding

    names: dict[str, Any] = {"api": api, "QREmbedding": QREmbedding, "np": np}
    if call.startswith("tables."):
        names["tables"] = serving.load(folder / "small")
    with pytest.raises(Exception) as error:
        eval(call, names)
    module, name = error.type.__module__, error.type.__qualname__
    return f"{name if module == 'builtins' else f'{module}.{name}'}: {error.value}"


@pytest.mark.slow
def test_every_message_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    write_files(folder)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / ".cache" / "embedding-bench"))
    for name in ("BENCH_RESULTS_DIR", "MLFLOW_TRACKING_URI", "BENCH_SERVE_TOKEN", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(name, raising=False)
    wrong = []
    for title, examples in sections():
        monkeypatch.chdir(tmp_path if title == AT_HOME else folder)
        if title in BEFORE:
            assert main(shlex.split(BEFORE[title])) == 0, (title, capsys.readouterr().err)
        for kind, request, message in examples:
            capsys.readouterr()
            if kind == "pycon":
                said = raised(request, folder)
            else:
                code = main(shlex.split(request))
                said = capsys.readouterr().err.strip().splitlines()[-1]
                assert code == (1 if title in EXIT_1 else 2), (request, code, said)
            said = said.replace(str(tmp_path), HOME)
            if said != message:
                wrong.append(f"{request}\n  page: {message}\n  said: {said}")
    assert not wrong, "\n".join(wrong)


def test_examples_are_found() -> None:
    found = dict(sections())
    assert sum(map(len, found.values())) > 30
    assert {*BEFORE, *EXIT_1} <= found.keys()
    assert all(
        message.startswith("error: ")
        for one in found.values()
        for kind, _, message in one
        if kind == "console"
    )
