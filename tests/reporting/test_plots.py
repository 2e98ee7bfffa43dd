"""The charts: which there are, what they show, and that they stay readable with 27 methods."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import Any

import pytest
from made import made, side_by_side, sixty

from bench.embeddings import names
from bench.records.result import Result
from bench.reporting import contents, render
from bench.reporting.contents import Section
from bench.reporting.entries import BYTES
from bench.reporting.looks import FAMILIES, OTHER, SEVERAL, looks
from bench.reporting.plots import specifications
from bench.reporting.plots.dodge import moves
from bench.reporting.plots.scale import APART, FOOT, MIDDLE, Scale
from bench.reporting.plots.style import HEIGHT, WIDTH, powers
from bench.reporting.rows import data, rows


def section_of(*runs: Result) -> Section:
    return contents.build(runs).sections[0]


def seeds(strategy: str, mae: float, size: float = 1.0, **changed: Any) -> list[Result]:
    return [made(strategy, s, mae + (0.001, 0, 0.002)[s], size, **changed) for s in range(3)]


def y_axis(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(layer for layer in spec["layer"] if layer.get("name") == "points")[
        "encoding"
    ]["y"]
    return found


def heights(spec: dict[str, Any], *values: float) -> list[float]:
    """Where values lie on a chart's axis, as shares of its height."""
    scale = y_axis(spec)["scale"]
    layer = next(layer for layer in spec["layer"] if layer.get("name") == "points")
    best = float(layer["transform"][-1]["calculate"].removeprefix("datum.value - "))
    span = scale["domain"][1]
    return [((value - best) / span) ** scale["exponent"] for value in values]


def test_a_place_that_a_run_lacks_is_not_drawn() -> None:
    histories = ([0.8, 0.75, 0.7], [0.82, None, 0.72, 0.71])
    section = section_of(*(made(seed=s, history={"val_mae": own}) for s, own in enumerate(histories)))
    assert [(place["at"], round(place["mean"], 6)) for place in section.curves] == [(1, 0.81), (3, 0.71)]
    assert all(place["lo"] < place["mean"] < place["hi"] for place in section.curves)


def test_every_plot_has_its_data() -> None:
    section = contents.build(sixty()).sections[0]
    rows = data(section)
    specs = specifications(section)
    assert list(specs) == [
        "memory-error",
        "time-error",
        "parameters-memory",
        "learning-curves",
        "popularity",
        "bytes",
    ]
    for spec in specs.values():
        named = set(re.findall(r'"data": {"name": "([^"]+)"}', json.dumps(spec)))
        assert named and named <= {*rows, *spec.get("datasets", {})}
    assert all(rows[name] for name in ("groups", "front", "base", "curves", "tenths", "parts", "sizes"))
    assert len(rows["curves"]) == 8 * 3 and len(rows["tenths"]) == 8 * 10
    assert all(
        sum(p["share"] for p in rows["parts"] if p["name"] == r["name"]) == pytest.approx(1)
        for r in rows["groups"]
    )
    assert len(rows["groups"][0]["parts"]) == len(BYTES)


@pytest.mark.parametrize(
    ("run", "missing"),
    [
        (made(mae=None), {"memory-error", "time-error", "learning-curves", "popularity"}),
        (made(step_time_ms=None), {"time-error"}),
        (made(params_embedding=None), {"parameters-memory"}),
        (made(bytes=None), {"bytes"}),
        (made(history={"val_mae": [0.7]}), {"learning-curves"}),
        (made(val_mae_by_decile=None), {"popularity"}),
    ],
)
def test_plot_without_data_is_left_out(run: Result, missing: set[str]) -> None:
    section = section_of(run)
    every = {"memory-error", "time-error", "parameters-memory", "learning-curves", "popularity", "bytes"}
    assert set(specifications(section)) == every - missing


def test_baseline_is_in_the_frame_without_a_step_time() -> None:
    slow = {"processor": "q", "threads": 2, "jobs": 1, "gpu": None}
    section = section_of(made(environment=slow), *seeds("qr", 0.80, 0.1), made("md", 0, 0.81, 0.1))
    assert not section.entries[0].timed
    base, worst = heights(specifications(section)["time-error"], 0.70, 0.81)
    assert 0 < base < worst < 1


def test_wide_bars_do_not_squeeze_the_marks() -> None:
    wide = [made("qr", 0, 0.60, 0.1), made("qr", 1, 0.80, 0.1)]  # t is 12.7 at one degree of freedom
    section = section_of(*seeds("full", 0.70), *wide)
    assert (section.entries[1].group.leading.ci95 or (0, 0))[1] > 1.9
    (top,) = heights(specifications(section)["memory-error"], 0.93)
    assert top == pytest.approx(1)


def test_the_best_constant_is_the_edge_and_what_is_worse_is_not_drawn() -> None:
    section = section_of(*seeds("full", 0.70), *seeds("qr", 0.80, 0.1), *seeds("prune", 1.2, 0.1))
    for name in ("memory-error", "time-error"):
        spec = specifications(section)[name]
        assert heights(spec, 0.93) == [pytest.approx(1)]
        assert "best constant 0.9300" in json.dumps(spec)
    assert {row["method"]: row["drawn"] for row in rows(section)} == {
        "full": True,
        "qr": True,
        "prune": False,
    }
    assert [entry.value for entry in section.beyond["prune"]] == [pytest.approx(1.201)]
    for name in ("learning-curves", "popularity"):
        rule = specifications(section)[name]["spec"]["layer"][0]
        assert rule["mark"]["strokeDash"] == [1, 3] and rule["encoding"]["y"]["datum"] > 0


def test_where_nothing_is_better_than_a_constant_all_is_drawn() -> None:
    section = section_of(*seeds("full", 0.95), *seeds("qr", 0.97, 0.1))
    assert all(row["drawn"] for row in rows(section)) and section.beyond == {}
    low, high = heights(specifications(section)["memory-error"], 0.951, 0.971)
    assert 0 < low < high < 1


def test_charts_of_runs_that_know_no_constant() -> None:
    section = section_of(*seeds("full", 0.70, val_constant=None), *seeds("qr", 0.80, 0.1, val_constant=None))
    assert "constant" not in json.dumps(specifications(section)["memory-error"])
    low, high = heights(specifications(section)["memory-error"], 0.701, 0.801)
    assert 0 < low < high < 1


def test_one_group_has_charts() -> None:
    for constant in (None, 0.93, 0.7):
        section = section_of(made(mae=0.7, val_constant=constant))
        assert 0 < heights(specifications(section)["memory-error"], 0.7)[0] < 1


# The axis of errors


def test_the_axis_is_stretched_towards_the_best() -> None:
    values = [0.68, 0.682, 0.685, 0.69, 0.7, 0.72, 0.75, 0.8, 0.9]
    scale = Scale.of(values, 0.93, higher=False)
    assert scale.height(0.93) == pytest.approx(1)
    assert scale.height(0.7) == pytest.approx(MIDDLE, abs=0.05)  # the median
    assert scale.height(0.68) == pytest.approx(FOOT, abs=0.01)
    # linear, the four best would lie within 4 % of the height
    assert scale.height(0.69) - scale.height(0.68) > 0.15


def test_the_axis_is_linear_where_marks_are_spread() -> None:
    assert Scale.of([0.70, 0.82, 0.90], 0.93, higher=False).exponent == 1


def test_the_axis_of_scores_has_the_best_at_the_top() -> None:
    scale = Scale.of([0.80, 0.79, 0.60], 0.5, higher=True)
    assert scale.best > 0.80 and scale.height(0.5) == pytest.approx(1)
    channel = scale.axis("at", "score")
    assert channel["scale"]["reverse"] and "- datum.value" in channel["axis"]["labelExpr"]


@pytest.mark.parametrize("edge", [None, 0.875, 0.93, 5.0])
@pytest.mark.parametrize("values", [[0.7], [0.7, 0.7001], [0.6757, 0.6804, 0.72, 0.9], [0.0], [-1.0, 2.0]])
def test_labels_of_errors_are_round_and_apart(values: list[float], edge: float | None) -> None:
    scale = Scale.of(values, edge, higher=False)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 14
    at = [scale.height(tick) for tick in ticks]
    assert all(after - before >= APART - 1e-9 for before, after in pairwise(at))
    assert at[0] >= 0 and at[-1] <= 1 + 1e-9


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (100, 1000, [128, 256, 512]),
        (180, 290, [192, 224, 256]),
        (100, 1e6, [256, 1024, 4096, 16384, 65536, 262144]),
        (1e3, 1e10, [2**power for power in range(12, 34, 3)]),
        (1000, 1010, [math.sqrt(1010000)]),
    ],
)
def test_labels_of_bytes(low: float, high: float, expected: list[float]) -> None:
    assert powers(low, high, 8) == pytest.approx(expected)


# Marks side by side


def test_marks_are_moved_so_that_none_hides_another() -> None:
    assert moves([(0, 0), (3, 2), (1, 3), (50, 0), (0, 20)], 10) == [0, 10, -10, 0, 0]
    assert moves([(0, 0)] * 9, 10) == [0, 10, -10, 20, -20, 30, -30, 40, -40]
    assert moves([(0, 0)] * 10, 10)[-1] == 0  # no place is left within reach


def test_marks_of_27_methods_do_not_hide_each_other() -> None:
    section = section_of(*side_by_side())
    spec = specifications(section)["memory-error"]
    points = next(layer for layer in spec["layer"] if layer.get("name") == "points")
    lookup = next(one for one in points["transform"] if "lookup" in one)
    factor = {one["id"]: one["moved"] for one in lookup["from"]["data"]["values"]}
    low, high = points["encoding"]["x"]["scale"]["domain"]
    drawn = [row for row in rows(section) if row["drawn"]]
    assert not [row for row in drawn if row["front"] and row["id"] in factor]  # what counts stays where it is
    assert all(0.6 < one < 1.7 for one in factor.values())
    x = [math.log(row["bytes"] * factor.get(row["id"], 1) / low, high / low) * WIDTH for row in drawn]
    y = [height * HEIGHT for height in heights(spec, *(row["value"] or 0.0 for row in drawn))]
    hidden = [
        1 for i in range(len(drawn)) for j in range(i)
        if abs(x[i] - x[j]) < 7 and abs(y[i] - y[j]) < 7
        and not (drawn[i]["front"] and drawn[j]["front"])
    ]  # fmt: skip
    assert hidden == []


# Names and looks


def test_the_front_is_named_by_method_or_by_settings() -> None:
    section = section_of(*seeds("full", 0.70), *seeds("md", 0.72, 0.2), *seeds("qr", 0.9, 0.3))
    assert [row["label"] for row in data(section)["front"]] == ["md", "full"]
    alone = section_of(*seeds("qr", 0.72, 0.2), *seeds("qr", 0.7, 0.3))
    assert [row["label"] for row in data(alone)["front"]] == ["budget=0.2", "budget=0.3"]


def test_the_front_is_drawn_last() -> None:
    found = [row["front"] for row in data(section_of(*side_by_side()))["groups"]]
    assert found == sorted(found) and sum(found) > 3


def test_methods_look_alike_in_all_sets() -> None:
    found = contents.build(
        [
            made(),
            made("qr"),
            made("md"),
            made("qr", dataset="movielens_1m"),
            made("md", dataset="movielens_1m"),
        ]
    )
    one, other = (section.looks for section in found.sections)
    assert list(one) == ["full", "qr", "md"] and list(other) == ["qr", "md"]
    assert all(other[name] == one[name] for name in other)


def test_every_strategy_has_a_family_and_a_shape_of_its_own() -> None:
    found = looks({**{name: [name] for name in names()}, "unified": ["ce"]})
    assert {look.family for look in found.values()} <= set(FAMILIES) - {OTHER, SEVERAL}
    assert len({look.shape for look in found.values()}) == len(found)
    colours = {look.family: look.colour for look in found.values()}
    assert len(set(colours.values())) == len(colours) == 7


def test_strategies_of_several_methods_and_methods_that_are_not_known() -> None:
    found = looks(
        {"qr_md": ["qr", "md"], "full, item=md": ["full", "md"], "mine": ["mine"], "other": ["mine", "mine"]}
    )
    assert {name: look.family for name, look in found.items()} == {
        "qr_md": SEVERAL, "full, item=md": "by popularity", "mine": OTHER, "other": OTHER,
    }  # fmt: skip
    assert found["mine"].shape != found["other"].shape


def test_one_thread_at_a_time_calls_the_library_that_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    class Fake:
        def __getattr__(self, name: str) -> Any:
            def call(*arguments: Any, **named: Any) -> Any:
                held.append((name, render._ALONE.locked()))
                return {"vegalite_to_vega": {}, "svg_to_png": b"png"}.get(name, "<svg/>")

            return call

    monkeypatch.setattr(render, "vl_convert", Fake())
    labels = {"transform": [{}], "from": {"data": "none"}}
    for more in ({}, {"usermeta": {"labels": labels}}):
        assert render.pictures({"config": {}, **more}, {}, "title", []) == ("<svg/>", b"png")
    render.warm_up()
    assert {name for name, _ in held} == {"vegalite_to_vega", "vega_to_svg", "vegalite_to_svg", "svg_to_png"}
    assert all(locked for _, locked in held) and not render._ALONE.locked()
