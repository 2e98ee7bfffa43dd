"""``across=model``: sections side by side in one chart and one table, and nothing that is compared between them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made import made
from test_files import parsed

from bench.cli.report import main
from bench.config import report as request
from bench.errors import RequestError
from bench.records.result import Result
from bench.records.store import Store
from bench.reporting import contents, page, plots, render, tables
from bench.reporting.contents import Report
from bench.reporting.plots.key import with_key

SIZES = (("full", 0.70, 1.0), ("qr", 0.75, 0.2), ("md", 0.71, 0.1))


def runs(*overrides: str, better: float = 0.0, dataset: str = "synthetic") -> list[Result]:
    return [
        made(name, seed, mae - better + 0.001 * seed * (1 + size), size, dataset, overrides)
        for name, mae, size in SIZES for seed in range(3)
    ]  # fmt: skip


def models() -> list[Result]:
    return [*runs(), *runs("model=neumf", better=0.02)]


def report(found: list[Result], *names: str) -> Report:
    return contents.build(found, beside=names)


def test_sections_side_by_side_and_nothing_mixed() -> None:
    plain, beside = report(models()), report(models(), "model")
    (one,) = beside.across
    assert [part.label for part in one.parts] == ["model=dot", "model=neumf"]
    assert one.title == "synthetic, side by side: model=dot; model=neumf"
    # groups, fronts, differences and p values are those of the sections
    assert beside.values()["groups"] == plain.values()["groups"]
    assert [entry.group.pareto for entry in beside.entries] == [True, False, True] * 2
    assert {entry.group.family.size for entry in beside.entries if entry.group.family} == {2}


def test_the_chart_has_a_panel_a_part_with_its_own_baselines() -> None:
    biases = [made("full", s, 0.72, 1 / 64, overrides=("model=bias", "embedding_dim=1")) for s in range(3)]
    (one,) = report([*models(), *biases], "model").across
    spec = plots.side_by_side(one)
    drawn = spec["data"]["values"]
    assert spec["facet"]["sort"] == ["model=dot", "model=neumf"] and spec["columns"] == 2
    assert [row["part"] for row in drawn if row["kind"] == "group"] == ["model=dot"] * 3 + ["model=neumf"] * 3
    levels = {(row["part"], row["name"]): row["value"] for row in drawn if row["kind"] == "level"}
    assert levels == {
        ("model=dot", "full tables"): pytest.approx(0.702), ("model=neumf", "full tables"): pytest.approx(0.682),
        ("model=dot", "best constant"): 0.93, ("model=neumf", "best constant"): 0.93,
        ("model=dot", "biases alone"): pytest.approx(0.72), ("model=neumf", "biases alone"): pytest.approx(0.72),
    }  # fmt: skip
    svg, png = render.pictures(with_key(spec, one.looks), {}, "t", [one.title])
    assert png.startswith(b"\x89PNG") and svg.count("full tables 0.") == 2
    assert "full tables 0.7020" in svg and "full tables 0.6820" in svg and "model=neumf" in svg


def test_table_with_a_column_for_what_differs() -> None:
    found = report(models(), "model")
    text = tables.markdown(found)
    assert "| model |  | run | memory | smaller | val MAE | to full | p |" in text
    assert (
        "| model=neumf | ★ | md budget=0.1 | 244 KiB | 10.0x | 0.6911 ± 0.0027 | +0.0091 ± 0.0022 |" in text
    )
    assert "| model=dot |  | best constant | - | - | 0.9300 | +0.2280 |  |" in text
    lines = list(csv.DictReader(io.StringIO(tables.table(found))))
    assert [line["across"] for line in lines] == ["model=dot"] * 3 + ["model=neumf"] * 3
    assert found.values()["across"] == [{
        "across": "across-1", "settings": ["model"], "title": one_title(found),
        "parts": [{"label": "model=dot", "set": "set-1"}, {"label": "model=neumf", "set": "set-2"}],
    }]  # fmt: skip
    assert report(models()).values()["across"] is None and "across" not in tables.table(report(models()))


def one_title(found: Report) -> str:
    return found.across[0].title


def test_page_has_the_figure_first() -> None:
    found = report(models(), "model")
    specs = {section.key: plots.specifications(section) for section in found.sections}
    html = page.page(found, "e", page.Drawn(specs, "", frozenset({"across-1.png"})))
    assert parsed(html).figures[0] == "across" and html.count('data-plot="across"') == 1
    assert '<a href="across-1.png">PNG</a>' in html and "Nothing is tested across parts." in html
    assert html.index('id="across-1"') < html.index('id="set-1"')


def test_two_settings_at_once() -> None:
    found = [run for model in ("dot", "neumf") for epochs in (3, 5)
             for run in runs(f"model={model}", f"training.epochs={epochs}")]  # fmt: skip
    (one,) = report(found, "model", "epochs").across
    assert [part.label for part in one.parts] == [
        "model=dot, training.epochs=3", "model=dot, training.epochs=5",
        "model=neumf, training.epochs=3", "model=neumf, training.epochs=5",
    ]  # fmt: skip
    by_model = report(found, "model").across  # one comparison for each number of epochs
    assert [[part.label for part in one.parts] for one in by_model] == [["model=dot", "model=neumf"]] * 2
    assert len(report(found, "training").across) == 2


def test_optimizers_and_splits() -> None:
    optimizers = [*runs(), *runs("training.optimizer=adagrad", "training.optimizer_settings.epsilon=1e-6")]
    (one,) = report(optimizers, "optimizer").across
    assert [part.label for part in one.parts] == ["optimizer=adam", "optimizer=adagrad"]
    splits = [*runs(), *runs("dataset.split.kind=last")]  # other rows are held out, so the digests differ
    (one,) = report(splits, "split").across
    assert [part.label for part in one.parts] == ["dataset.split.kind=random", "dataset.split.kind=last"]
    (one,) = report([*runs(), *runs(dataset="movielens_1m")], "dataset").across
    assert {part.section.dataset for part in one.parts} == {"synthetic", "movielens_1m"}


@pytest.mark.parametrize(
    ("found", "names", "says"),
    [
        (models(), ("modle",), r"across=modle: no such setting; did you mean model\?; sections differ in model"),
        (models(), ("optimizer",), "across=optimizer: equal in all sections; sections differ in model"),
        (runs(), ("model",), "across=model: equal in all sections; all runs are of one section"),
        (
            [*runs(), *runs("model=neumf", "training.epochs=5")], ("model",),
            "across=model: no two sections differ in that alone; they differ in training.epochs too",
        ),
    ],
    ids=["unknown", "equal", "one section", "not alone"],
)  # fmt: skip
def test_refusals_say_what_would_work(found: list[Result], names: tuple[str, ...], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        report(found, *names)


def test_names_are_given_with_commas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("across=model,optimizer", "across=[model,optimizer]"):
        assert request.read([form]).beside == ["model", "optimizer"]
    assert request.read(["across=model"]).beside == ["model"] and request.read([]).beside == []
    for run in models():
        known = hashlib.sha256(str(run.fingerprint).encode()).hexdigest()
        Store(tmp_path).add(replace(run, fingerprint=known))
    assert main([f"results_dir={tmp_path}", "across=model", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["across"][0]["settings"] == ["model"]
    assert main([f"results_dir={tmp_path}", "across=nothing", "format=json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: across=nothing: no such setting") and err.count("\n") == 1
