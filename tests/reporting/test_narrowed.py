"""``within=1%`` in a report: a sentence, a line a method, the page, Markdown, CSV, JSON, and what to run."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made import made

from bench.cli.report import main
from bench.config import compose
from bench.records.result import Result
from bench.records.store import Store
from bench.reporting import contents, page, plots
from bench.reporting.contents import Report
from bench.tradeoff.margin import Margin

NOISE = (0.0, 0.001, -0.001)
"""By hand, t = 4.3027 at two degrees of freedom: half an interval is 0.0022 at the size 0.12, 0.0024 at 0.05."""


def seeds(strategy: str, mae: float, size: float, count: int = 3, **changed: Any) -> list[Result]:
    """Runs whose difference to full tables has a standard deviation of 0.001 (1 - size)."""
    return [made(strategy, seed, mae + NOISE[seed] * (1 - size), size, **changed) for seed in range(count)]


def runs() -> list[Result]:
    return [
        *seeds("full", 0.70, 1.0),
        *seeds("md", 0.701, 0.3),
        *seeds("md", 0.702, 0.12),
        *seeds("md", 0.75, 0.05),
        *seeds("dpq", 0.701, 0.2),
        *seeds("qr", 0.75, 0.3),
        *seeds("qr", 0.78, 0.12),
        *seeds("tt", 0.70, 0.1, count=1),
        *seeds("int8", 0.701, 0.25),
    ]


def built(*found: Result, margin: str = "1%") -> Report:
    return contents.build(found or runs(), margin=Margin.read("within", margin))


def store(folder: Path, found: list[Result]) -> str:
    for run in found:
        known = hashlib.sha256(str(run.fingerprint).encode()).hexdigest()
        Store(folder).add(replace(run, fingerprint=known))
    return f"results_dir={folder}"


def test_the_sentence() -> None:
    asked = built().sections[0].within
    assert asked and asked.sentence == (
        "Within 1 % of full's val MAE: md is the smallest, 292 KiB (8.3 times smaller); then dpq 487 KiB (5.0 times "
        "smaller); then int8 609 KiB (4.0 times smaller); qr at none of its 2 sizes; tt cannot be answered with one "
        "seed in common with full (1 size)."
    )
    assert (
        "the same rows, so they are optimistic" in asked.basis
        and "is at most 0.0070 (1 % of 0.7000)" in asked.basis
    )


def test_validation_rows_choose_and_the_sentence_says_so() -> None:
    found = [
        replace(run, validation_mae=(run.val_mae or 0) + (0.03 if run.strategy == "md" else 0))
        for run in runs()
    ]
    asked = built(*found).sections[0].within
    assert asked and asked.sentence.startswith("Within 1 % of full's val MAE: dpq is the smallest")
    assert (
        "on the validation rows, which choose; the losses in the table are of the evaluation rows"
        in asked.basis
    )
    assert "loss +0.0010 ± 0.0020 on evaluation rows, at most +0.0030 on validation rows" in "\n".join(
        asked.texts()
    )


@pytest.mark.slow
def test_commands_try_sizes_between_and_can_be_run() -> None:
    asked = built().sections[0].within
    assert asked
    commands = dict(asked.commands)
    assert list(commands) == ["md", "dpq", "qr"]  # int8 has one size, tt one seed
    # md: 0.05 fails and 0.12 keeps the margin; 0.05 * 2.4 ** (n / 4), from the largest
    assert commands["md"] == "python -m bench.run -m strategy=md budget=0.0964,0.0775,0.0622 seed=0,1,2"
    assert commands["qr"] == "python -m bench.run -m strategy=qr budget=0.74,0.548,0.405 seed=0,1,2"
    for text in commands.values():
        words = shlex.split(text)[4:]
        for budget in words[-2].removeprefix("budget=").split(","):
            assert compose([*words[:-2], f"budget={budget}", "seed=0"]).values["budget"] == float(budget)


def test_all_formats_have_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = store(tmp_path, runs())
    sentence = built().sections[0].within.sentence  # type: ignore[union-attr]
    assert main([place, "within=1%", "format=markdown"]) == 0
    text = capsys.readouterr().out
    assert f"**{sentence}**" in text
    assert (
        "| md | md budget=0.12 | 292 KiB | 8.3x | +0.0020 ± 0.0022 | +0.0042 | 122 KiB (+0.0524) | 2 of 3 |"
        in text
    )
    assert "| qr | none | - | - | - | - | 731 KiB (+0.0517) | 0 of 2 |" in text
    assert "| tt | one seed | - | - | - | - | - | 0 of 1 |" in text
    assert main([place, "within=1%", "format=json"]) == 0
    values = json.loads(capsys.readouterr().out)
    (own,) = values["within"]
    assert (own["set"], own["margin"], own["sentence"]) == ("set-1", "1 %", sentence)
    assert (
        own["chosen_on"] == "evaluation" and own["allowed"] == pytest.approx(0.007) and own["problem"] is None
    )
    md, *_, tt = own["methods"]
    group = next(group for group in values["groups"] if group["id"] == md["id"])
    assert (
        md["embedding_bytes"] == group["embedding_bytes"] and md["name"] == group["name"] == "md budget=0.12"
    )
    assert md["loss"] == pytest.approx(group["delta"]) and md["upper"] == pytest.approx(
        group["delta_ci95"][1]
    )
    assert (md["sizes"], md["sizes_within"], tt["decided"], tt["embedding_bytes"]) == (3, 2, False, None)
    assert main([place, "within=1%", "format=csv"]) == 0
    lines = {line["name"]: line for line in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    marks = {name: (line["within"], line["within_chosen"]) for name, line in lines.items()}
    assert marks["md budget=0.3"] == ("1", "0") and marks["md budget=0.12"] == ("1", "1")
    assert (
        marks["md budget=0.05"] == ("0", "0")
        and marks["full"] == ("", "")
        and marks["tt budget=0.1"] == ("", "0")
    )
    assert main([place, "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["within"] is None
    assert main([place, "format=csv"]) == 0
    assert "within" not in capsys.readouterr().out


def test_the_page_begins_with_the_answer() -> None:
    report = built()
    specs = {section.key: plots.specifications(section) for section in report.sections}
    html = page.page(report, "e", page.Drawn(specs, ""))
    asked = report.sections[0].within
    assert asked and html.count('<div class="within">') == 1
    assert html.index("md is the smallest, 292 KiB") < html.index(report.sections[0].sentences[0])
    assert "<th scope=row>md</th><td>md budget=0.12</td><td>292 KiB</td>" in html
    assert asked.commands[0][1] in html


def test_the_terminal_has_a_line_a_method() -> None:
    asked = built().sections[0].within
    assert asked
    lines = [text for text in asked.texts() if text.startswith("  ") and not text.startswith("    ")]
    assert [line.split(":")[0].strip() for line in lines] == ["md", "dpq", "int8", "qr", "tt"]
    assert lines[0] == (
        "  md: 292 KiB (8.3 times smaller), loss +0.0020 ± 0.0022, at most +0.0042; 122 KiB is not within (at most "
        "+0.0524)"
    )
    assert lines[2].endswith("at most +0.0029; it has no smaller size")
    assert lines[3] == "  qr: at none of its 2 sizes; 731 KiB is not within (at most +0.0517)"


def test_one_method_at_one_size() -> None:
    asked = built(*seeds("full", 0.70, 1.0), *seeds("qr", 0.75, 0.3)).sections[0].within
    assert asked and asked.sentence == (
        "Within 1 % of full's val MAE: no size that was tried; qr not at its only size."
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("abc", "within=abc: give what may be lost"),
        ("100%", "within=100%: 100 % is no margin: full tables have val MAE 0.7000"),
        ("0.9", "within=0.9: 0.9 is no margin"),
        ("0", "within=0: give what may be lost"),
    ],
)
def test_nonsense(given: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([store(tmp_path, runs()), f"within={given}", "format=json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and says in err


def test_a_section_without_full_tables_says_so_beside_one_that_has_them() -> None:
    found = built(*runs(), made("qr", dataset="movielens_1m", size=0.1))
    asked = [section.within for section in found.sections]
    assert asked[1] and "not answered: no run of full tables" in asked[1].sentence and not asked[1].lines
