"""The commands and programs of docs/tutorial.md, typed as the page prints them, on fewer rows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, Commands

FEWER = {
    "training.epochs=5": "training.epochs=1",
    "strategy=full,qr,md": "strategy=full,qr",
    "seed=0,1,2": "seed=0,1",
}


def steps(text: str) -> list[tuple[str, str]]:
    """The page's programs to be saved, by name, and its commands, in order."""
    found, named = [], ""
    for before, kind, block in re.findall(
        r"([^\n]*)\n\n```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    ):
        if kind == "python":
            (named,) = re.findall(r"Save this as `(\w+\.py)`", before)
            found.append((named, block))
        elif not kind:
            found += [("", line) for line in block.replace("\\\n", " ").splitlines()]
    return found


@pytest.mark.slow
def test_the_page_works_as_it_is_printed(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    assert page.count("60_000") == 1
    done, place = [], Commands(tmp_path, tmp_path / "data")
    for name, text in steps(page):
        if name:
            (place.cwd / name).write_text(text.replace("60_000", "6_000"), "utf-8")
            continue
        words = [FEWER.get(word, word) for word in shlex.split(text)]
        done.append(words[:3])
        if words[0] == "mkdir":
            (place.cwd / words[1]).mkdir()
        elif words[0] == "cd":
            place = Commands(place.cwd / words[1], place.data_dir)
        elif words[1] == "-m":
            ended = place.start(*words[3:], module=words[2], PYTHONPATH=str(ROOT)).wait()
            assert ended.code == 0, (text, ended.err)
            check(words, ended.out, place.cwd)
        else:
            said = subprocess.run(
                [sys.executable, *words[1:]], cwd=place.cwd, env=place.environment(PYTHONPATH=str(ROOT)),
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert said.returncode == 0, (text, said.stderr)
    assert "(1, 64)\n[" in said.stdout
    assert [" ".join(words) for words in done] == [
        "mkdir shop", "cd shop", "python orders.py", "python -m bench.init", *["python -m bench.run"] * 3,
        "python -m bench.report", "python -m bench.export", "python serve.py",
    ]  # fmt: skip


def check(words: list[str], out: str, folder: Path) -> None:
    """Looks for what the page says of a command."""
    match words[2]:
        case "bench.init":
            assert "customer  field" in out and "stars     label" in out
            assert (folder / "conf" / "dataset" / "orders.yaml").is_file()
        case "bench.run" if "--plan" in words:
            assert "qr: num_buckets=" in out and not (folder / "outputs" / "first").exists()
        case "bench.run" if "-m" in words[3:]:
            assert "skipped   strategy=qr seed=0" in out
            assert re.search(r"qr budget=0\.2 .* 5\.0x", out) and "best constant" in out
        case "bench.run":
            assert re.search(r"^compression +5\.0x$", out, re.MULTILINE), out
            assert (folder / "outputs" / "first" / "result.json").is_file()
        case "bench.report":
            assert (folder / "outputs" / "report" / "index.html").is_file()
        case "bench.export":
            assert "wrote served: embeddings" in out and "largest difference from Keras" in out
