"""Biases alone in a report: a line in every chart of the headline metric, a row in every table, or a command."""

from __future__ import annotations

import csv
import io
import json
import shlex
from typing import Any

import pytest
from made import CONSTANT, made

from bench.config import compose
from bench.records.result import Result
from bench.reporting import contents, page, plots, tables
from bench.reporting.contents import Report, filtered
from bench.reporting.plots.scale import Scale

HEADLINE = ("memory-error", "time-error", "learning-curves", "popularity")


def dot() -> list[Result]:
    return [
        made(name, seed, mae + seed / 1000, size)
        for name, mae, size in (("full", 0.7, 1.0), ("qr", 0.8, 0.1)) for seed in range(3)
    ]  # fmt: skip


def biases(mae: float = 0.75, **changed: Any) -> list[Result]:
    own = ("model=bias", "embedding_dim=1")
    return [made("full", seed, mae + seed / 1000, 1 / 64, overrides=own, **changed) for seed in range(3)]


def html(report: Report) -> str:
    specs = {section.key: plots.specifications(section) for section in report.sections}
    return page.page(report, "e", page.Drawn(specs, ""))


def test_every_chart_of_the_headline_metric_has_the_lines_of_the_baselines() -> None:
    with_, without = (contents.build(runs).sections[0] for runs in ([*dot(), *biases()], dot()))
    for name in HEADLINE:
        text, bare = (json.dumps(plots.specifications(section)[name]) for section in (with_, without))
        of_biases, of_constant = ("[8, 3, 2, 3]", "best constant 0.9300")
        if name in ("learning-curves", "popularity"):
            of_biases, of_constant = "[6, 2, 1, 2]", "[1, 3]"
            assert plots.note(with_, name).endswith(
                "Dotted: the best constant. Dashed and dotted: biases alone."
            )
            assert plots.note(without, name).endswith("Dotted: the best constant.")
        else:
            assert "biases alone 0.7510" in text
        assert of_biases in text and of_constant in text and of_constant in bare and of_biases not in bare
        assert '{"name": "base"}' in text or '"base_at"' in text  # full tables


def test_the_line_stands_at_its_value() -> None:
    section = contents.build([*dot(), *biases()]).sections[0]
    layers = plots.specifications(section)["memory-error"]["layer"]
    rules = [layer["data"]["values"][0]["at"] for layer in layers if "values" in layer["data"]][::2]
    scale = Scale.of([0.701, 0.801], CONSTANT, False)
    assert rules == pytest.approx([CONSTANT - scale.best, 0.751 - scale.best])


def test_biases_that_are_better_than_all_are_on_the_axis() -> None:
    section = contents.build([*dot(), *biases(0.6)]).sections[0]
    assert "biases alone 0.6010" in json.dumps(plots.specifications(section)["memory-error"])
    assert "Full tables do not beat biases alone: MAE 0.7010 against 0.6010." in " ".join(section.sentences)


def test_every_table_has_a_row() -> None:
    report = contents.build([*dot(), *biases()])
    assert len(report.sections) == 1 and len(report.entries) == 2 and report.runs == 9
    assert "|  | biases alone | 38.1 KiB | 64.0x | 0.7510 ± 0.0025 | +0.0500 ± 0.0000 |" in tables.markdown(
        report
    )
    values = report.values()["sets"][0]["biases"]
    assert values["val_mae_mean"] == pytest.approx(0.751) and values["delta"] == pytest.approx(0.05)
    assert values["command"] == "python -m bench.run -m model=bias embedding_dim=1 seed=0,1,2"
    lines = list(csv.DictReader(io.StringIO(tables.table(report))))
    assert [float(line["val_biases"]) for line in lines] == pytest.approx([0.751, 0.751])
    assert '<th scope="row">biases alone</th><td>38.1 KiB</td>' in html(report)
    assert not any("run again later" in text for text in report.left_out)


def test_without_them_the_report_names_the_command_that_runs_them() -> None:
    report = contents.build([
        made(name, s, 0.7, size, overrides=("training.epochs=5", "model=neumf"))
        for name, size in (("full", 1.0), ("md", 0.1)) for s in (0, 1)
    ])  # fmt: skip
    expected = "python -m bench.run -m model=bias training.epochs=5 embedding_dim=1 seed=0,1"
    note = next(note for note in report.sections[0].notes if "Biases alone" in note)
    command = note.split(": ", 1)[1].removesuffix(" gives their line.")
    assert sorted(command.split()) == sorted(expected.split()) and command in html(report)
    asked = compose([word for word in shlex.split(command)[4:] if not word.startswith("seed=")])
    assert (asked.values["model"], asked.strategy, asked.embedding_dim) == ({"name": "bias"}, "full", 1)
    assert report.values()["sets"][0]["biases"] is None
    assert next(csv.DictReader(io.StringIO(tables.table(report))))["val_biases"] == ""
    own = contents.build(biases()).sections[0]
    assert not any("Biases alone" in note for note in own.notes)


def test_filters_by_model_keep_them() -> None:
    assert len(filtered([*dot(), *biases()], {"model": ["dot"], "dataset": None, "strategy": None})) == 9
    assert len(filtered([*dot(), *biases()], {"strategy": ["qr"], "model": None})) == 9
    assert filtered([*dot(), *biases()], {"model": ["neumf"]}) == []
