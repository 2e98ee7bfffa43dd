"""What docs/which-method.md says of bytes, counted; and that its commands are taken."""

from __future__ import annotations

import re
import shlex
from typing import Any

import numpy as np
import pytest
from commands import ROOT

from bench.cli import run
from bench.config import report
from bench.embeddings import find, names
from bench.embeddings.base import Vocabulary
from bench.errors import RequestError

NUMBER, WIDTH = 20_000, 32
FULL = 4 * NUMBER * WIDTH
WHILE_TRAINING = {
    "what is served": (0.99, 1.01),
    "up to two and a half times that": (1.3, 2.5),
}
OF_FULL = {"a full table, or a little more": (1.0, 1.05), "more than a full table": (1.2, 1.5)}


def page() -> str:
    return (ROOT / "docs" / "which-method.md").read_text("utf-8")


def rows(title: str) -> dict[str, list[str]]:
    """The methods that each row of a table names, by its first cell."""
    table = page().split(f"| {title} | methods |\n| --- | --- |\n")[1].split("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return {
        first: [name for name in re.findall(r"`(\w+)`", rest) if name in names()] for first, rest in cells
    }


def vocabulary(number: int) -> Vocabulary:
    return Vocabulary(
        "sku", number, np.sort(np.random.default_rng(0).zipf(1.3, number).clip(max=10**6))[::-1]
    )


def method(name: str) -> Any:
    """A method at a tenth of full tables' bytes, or at its own size."""
    cls = find(name)
    try:
        settings = cls.fit(vocabulary(NUMBER), WIDTH, cls.Settings(), FULL // 10)
    except RequestError:
        settings = cls.Settings()
    return cls(vocabulary(NUMBER), WIDTH, settings)


@pytest.mark.slow
def test_bytes_while_training() -> None:
    found = rows("while you train")
    assert sorted(name for row in found.values() for name in row) == sorted(names())
    for first, listed in found.items():
        for name in listed:
            made = method(name)
            trained = sum(array.nbytes for array in (*made.tables(), *made.weights(), *made.maps()))
            low, high = {**WHILE_TRAINING, **OF_FULL}[first]
            share = trained / (FULL if first in OF_FULL else made.nbytes)
            assert low <= share <= high, (name, first, share)


@pytest.mark.slow
def test_bytes_with_twice_the_ids() -> None:
    stay, others = rows("if a field has twice the ids, at the same settings").values()
    assert others == ["tt"]
    for name in names():
        made = method(name)
        growth = find(name)(vocabulary(2 * NUMBER), WIDTH, made.settings).nbytes / made.nbytes
        assert (growth == 1) == (name in stay), (name, growth)
        if name == "tt":
            assert growth < 1.5


def test_every_method_that_is_named_is_one() -> None:
    named = set(re.findall(r"`([a-z]+\d*(?:_\w+)?)`", page())) - {"take", "synthetic"}
    assert named <= set(names()), named - set(names())
    assert f"{len(names())} methods" in page()


def test_commands_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```\n(.*?)^```$", page(), re.DOTALL | re.MULTILINE)
    plan, sweep, shown = [shlex.split(line)[2:] for line in block.splitlines()]
    assert plan[:3] == ["bench.run", "-m", "--plan=measure"] and shown[0] == "bench.report"
    assert report.read(shown[1:]).within == "1%"
    for words in (plan[3:], sweep[2:]):
        once = [word if word.startswith("dataset.split") else word.partition(",")[0] for word in words]
        assert run.main([*once, "--cfg", "job"]) == 0, capsys.readouterr().err
