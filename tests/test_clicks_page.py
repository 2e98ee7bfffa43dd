"""The commands of docs/clicks.md: that their settings exist and are taken."""

from __future__ import annotations

import re
import shlex

import pytest
from commands import ROOT

from bench.cli import run


def typed() -> list[list[str]]:
    """What follows ``python -m bench.run`` in each command of the page."""
    text = (ROOT / "docs" / "clicks.md").read_text("utf-8")
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True)[3:] for line in lines if line.startswith("python -m bench.run ")]


def single(words: list[str]) -> list[list[str]]:
    """The words of each value that a sweep gives to ``strategy``, and the first of all its other values."""
    kept = [word for word in words if word not in ("-m", "--plan") and not word.startswith("hydra/launcher=")]
    one = [word if "[" in word else word.partition(",")[0] for word in kept]
    swept = next((word for word in kept if word.startswith("strategy=")), None)
    if swept is None:
        return [one]
    others = [word for word in one if not word.startswith("strategy=")]
    return [[*others, f"strategy={name}"] for name in swept.removeprefix("strategy=").split(",")]


COMMANDS = [words for command in typed() for words in single(command)]


# all jobs of a sweep are composed
CASES = [
    pytest.param(words, marks=pytest.mark.slow) if "experiment=sweep" in words[0] else words
    for words in COMMANDS
]


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_a_command_is_taken(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([*words, "--cfg", "job"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "embedding_dim:" in said and "dataset:" in said


def test_published_settings_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        words for words in COMMANDS if {"dataset=criteo", "dataset.split.kind=seven_parts"} <= set(words)
    ]
    assert [word for words in found for word in words if word.startswith("strategy=")] == [
        "strategy=full", "strategy=hash", "strategy=qr", "strategy=md"
    ]  # fmt: skip
    for words in found:
        assert run.main([*words, "--cfg", "job"]) == 0
        said = capsys.readouterr().out
        for line in ("kind: seven_parts", "optimizer: sgd", "learning_rate: 0.1", "batch_size: 128",
                     "epochs: 1", "embedding_dim: 16"):  # fmt: skip
            assert re.search(rf"^ *{line}$", said, re.MULTILINE), line
