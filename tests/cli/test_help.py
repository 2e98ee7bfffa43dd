from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli.help import settings, summary, usage
from bench.config import options
from bench.config.composing import method_defaults


@pytest.mark.parametrize("group", ["strategy", "dataset", "model", "experiment"])
def test_lists_all_choices_with_what_they_are(group: str) -> None:
    text = usage()
    for name in options(group):
        line = next(line for line in text.splitlines() if line.startswith(f"  {name} "))
        assert len(line.split(None, 1)[1]) > 5, "a first comment in its file says what it is"


def test_lists_settings_with_defaults_and_comments() -> None:
    text = usage()
    for setting in ("seed=0", "embedding_dim=64", "training.epochs=3", "training.schedule.kind=null"):
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{setting} "))
        assert line.strip().removeprefix(setting).strip(), "a comment on its line says what it means"
    for method in options("embedding"):
        for name in method_defaults(method):
            assert f"  {name}=" in text
    assert "${oc.select" not in text
    assert "dataset.num_users=6040" in text
    assert "dataset.split.train_fraction=0.85" in text


def test_lists_settings_of_what_is_asked_for() -> None:
    assert "model.hidden_units=[64, 32, 16]" in usage(["model=neumf"])
    assert "dataset.bad_rows=refuse" in usage(["dataset=table"])
    assert "settings of dataset=nosuch" not in usage(["dataset=nosuch"])


def test_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "# @package _global_\n# what it is\ndefaults:\n  - a: b  # no setting\n\n"
        "one: 1      # first\ntwo:        # a group\n  three: [3, 4]\n  four:\n    five: x # deep\nsix: 6\n"
    )
    assert summary(path) == "what it is"
    assert list(settings(path, "p.")) == [
        ("p.one", "1", "first"),
        ("p.two.three", "[3, 4]", ""),
        ("p.two.four.five", "x", "deep"),
        ("p.six", "6", ""),
    ]
