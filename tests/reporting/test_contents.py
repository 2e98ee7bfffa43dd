"""What a report says of runs of all kinds, and that none of them ends in a traceback or an empty plot."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

import pytest
from made import made, sixty

from bench.reporting import contents, tables
from bench.reporting.contents import BYTES, Report, filtered
from bench.reporting.plots import _powers, specifications
from bench.reporting.rows import data

CONTRACT = {
    "strategy", "embeddings", "dataset", "budget", "seeds", "embedding_bytes", "compression_ratio", "pareto",
    "delta_mae", "delta_mae_ci95", "p_value",
    *(f"{n}_{s}" for n in ("val_mae", "val_rmse", "step_time_ms") for s in ("mean", "sd", "ci95")),
}  # fmt: skip


def report(*runs: dict[str, Any]) -> Report:
    return contents.build(runs)


def seeds(
    strategy: str, mae: float, size: float = 1.0, count: int = 3, **changed: Any
) -> list[dict[str, Any]]:
    return [made(strategy, s, mae + (0.001, 0, 0.002, 0.001)[s], size, **changed) for s in range(count)]


def first(*runs: dict[str, Any]) -> str:
    return " ".join(report(*runs).sections[0].sentences)


# What to choose


def test_sentence_says_what_to_choose() -> None:
    front = [
        *seeds("full", 0.70),
        *seeds("md", 0.71, 0.2),
        *seeds("md", 0.80, 0.05),
        *seeds("qr", 0.75, 0.19),
    ]
    text = first(*front)
    assert text.startswith(
        "md budget=0.2 needs 5.0 times less memory than full tables and loses 0.0100 MAE ± 0.0000"
    )
    assert "at that size qr budget=0.19 loses more: 0.0500." in text
    assert "Chosen as the knee of the front, on the rows that the errors are reported for" in text


def test_sentence_names_what_seeds_do_not_tell_apart() -> None:
    equal = [made("md", s, (0.705, 0.698, 0.701)[s], 0.5) for s in range(3)]
    text = first(*seeds("full", 0.70), *equal, *seeds("qr", 0.80, 0.1), *seeds("qr", 0.72, 0.2))
    assert (
        "The smallest whose difference to full tables may be none, by its interval over 3 seeds, is md"
        in text
    )


def test_a_loss_beside_which_no_interval_holds_0_is_none_that_may_be_nothing() -> None:
    # 0.02 ± 0.0086, but Holm's p over twelve groups is above 0.05
    lost = [made("md", s, (0.716, 0.721, 0.723)[s], 0.05) for s in range(3)]
    others = [
        run for n in range(11) for s in range(3) for run in [made("qr", s, 0.9 + 0.03 * s * n, 0.2 + n / 100)]
    ]
    text = first(*seeds("full", 0.70), *lost, *others)
    assert "may be none" not in text or "is md" not in text.split("may be none")[1]


def test_choice_by_validation_rows() -> None:
    def run(strategy: str, mae: float, validation: float, size: float) -> list[dict[str, Any]]:
        return seeds(strategy, mae, size, validation_mae=validation)

    runs = [
        *run("full", 0.70, 0.70, 1.0),
        *run("md", 0.75, 0.71, 0.2),
        *run("qr", 0.72, 0.74, 0.2),
        *run("md", 0.9, 0.9, 0.1),
    ]
    text = first(*runs)
    assert text.startswith("md budget=0.2 needs") and "Chosen on validation rows, as the knee" in text
    assert "loses more" in text and "optimistic" not in text


@pytest.mark.parametrize(
    ("runs", "says"),
    [
        ([made()], "Only full tables have been run here"),
        ([made("qr", size=0.1)], "not known without a run of strategy=full"),
        ([made(), made("qr", mae=0.8, size=0.1)], "That is one seed: nothing can be told apart"),
        ([made(mae=None)], "nothing to choose by"),
        ([made(), made("qr", mae=0.8, size=1.0)], "keep them"),
        ([made(), made("qr", mae=0.6, size=0.1)], "gains 0.1000 MAE"),
    ],
)
def test_sentences_of_few_runs(runs: list[dict[str, Any]], says: str) -> None:
    assert says in first(*runs)


# What is left out


def test_failed_runs_are_listed_and_never_averaged() -> None:
    failed = made("qr", 1, None, 0.1, status="failed", error="the loss is nan at step 3", embeddings=None)
    found = report(*seeds("full", 0.7), made("qr", 0, 0.8, 0.1), failed)
    assert [group["seeds"] for group in found.sections[0].groups] == [[0, 1, 2], [0]]
    assert found.missing == ["1 failed: qr budget=0.1, seed 1: the loss is nan at step 3"]
    assert "Runs without numbers (1 failed): listed below, in no mean." in found.left_out


def test_all_failed() -> None:
    found = report(made(mae=None, status="failed", error="why", embeddings=None))
    assert found.sections == [] and found.values()["groups"] == []
    assert "nothing to compare" in tables.markdown(
        found
    ) and "1 failed: full, seed 0: why" in tables.markdown(found)
    assert len(tables.table(found).splitlines()) == 1


def test_sets_are_never_mixed() -> None:
    found = report(*seeds("full", 0.7), *seeds("qr", 0.8, 0.1), made("qr", dataset="movielens_1m", size=0.1))
    assert [section.dataset for section in found.sections] == ["synthetic", "movielens_1m"]
    assert found.sections[1].groups[0]["delta_mae"] is None
    assert any(text.startswith("2 sets of runs differ in data") for text in found.left_out)


def test_earlier_run_of_equal_settings() -> None:
    found = report(made(mae=0.6, fingerprint="old"), made(mae=0.7, fingerprint="new"))
    assert found.sections[0].groups[0]["val_mae_mean"] == 0.7
    assert found.left_out[0].startswith("1 finished run of settings and seeds that were run again")


def test_step_times_of_one_machine() -> None:
    busy = {"processor": "p", "threads": 2, "jobs": 3, "gpu": None}
    found = report(made(), made("qr", size=0.1), made("md", size=0.1, environment=busy)).sections[0]
    assert [group["step_time_comparable"] for group in found.groups] == [True, False, True]
    assert "Those of 1 group are left out: other machines, threads or load." in " ".join(found.notes)
    assert [row["step"] for row in data(found)["groups"]] == [0.1, None, 0.1]


def test_interval_says_what_it_covers() -> None:
    fixed = report(*seeds("full", 0.7)).sections[0]
    assert "initial weights and batch order on one split" in " ".join(fixed.notes)
    own = [made("full", s, 0.7 + s / 100, overrides=(f"dataset.split.seed={s}",)) for s in range(3)]
    drawn = report(*own).sections[0]
    assert "the draw of the split" in " ".join(drawn.notes)
    assert drawn.groups[0]["command"] == "python -m bench.run -m 'dataset.split.seed=${seed}' seed=0,1,2"


def test_filters_keep_the_baseline() -> None:
    runs = [made(), made("qr"), made("md"), made("qr", dataset="movielens_1m")]
    kept = filtered(runs, {"dataset": ["synthetic"], "strategy": ["qr"], "model": None})
    assert [(run["dataset"], run["strategy"]) for run in kept] == [("synthetic", "full"), ("synthetic", "qr")]
    assert filtered(runs, {"model": ["neumf"]}) == []


# Plots


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
    assert all(rows[name] for name in ("groups", "front", "base", "curves", "deciles", "parts", "sizes"))
    assert len(rows["curves"]) == 8 * 3 and len(rows["deciles"]) == 8 * 10
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
def test_plot_without_data_is_left_out(run: dict[str, Any], missing: set[str]) -> None:
    section = report(run).sections[0]
    every = {"memory-error", "time-error", "parameters-memory", "learning-curves", "popularity", "bytes"}
    assert set(specifications(section)) == every - missing


def test_baseline_is_in_the_frame_without_a_step_time() -> None:
    slow = {"processor": "q", "threads": 2, "jobs": 1, "gpu": None}
    section = report(made(environment=slow), *seeds("qr", 0.80, 0.1), made("md", 0, 0.81, 0.1)).sections[0]
    assert not section.groups[0]["step_time_comparable"]
    spec = specifications(section)["time-error"]
    low, high = next(layer["encoding"]["y"]["scale"]["domain"] for layer in spec["layer"])
    assert low < 0.7 < 0.81 < high


def test_wide_bars_do_not_squeeze_the_marks() -> None:
    wide = [made("qr", 0, 0.60, 0.1), made("qr", 1, 0.80, 0.1)]  # t is 12.7 at one degree of freedom
    section = report(*seeds("full", 0.70), *wide).sections[0]
    assert section.groups[1]["val_mae_ci95"][1] > 1.9
    spec = specifications(section)["memory-error"]
    marks = [layer for layer in spec["layer"] if layer["mark"]["type"] == "point"]
    low, high = marks[0]["encoding"]["y"]["scale"]["domain"]
    assert high - low < 0.05


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
    assert _powers(low, high, 8) == pytest.approx(expected)


def test_methods_look_alike_in_all_sets() -> None:
    found = report(
        made(), made("qr"), made("md"), made("qr", dataset="movielens_1m"), made("md", dataset="movielens_1m")
    )
    places = [{row["method"]: row["place"] for row in data(section)["groups"]} for section in found.sections]
    assert places == [{"full": 0, "md": 1, "qr": 2}, {"md": 1, "qr": 2}]


# Tables


def test_json_has_the_keys_of_the_contract() -> None:
    values = json.loads(tables.as_json(contents.build(sixty())))
    assert next(iter(values)) == "groups" and len(values["groups"]) == 12
    for group in values["groups"]:
        assert set(group) >= CONTRACT
    assert values["groups"][0]["command"] == "python -m bench.run -m dataset=movielens_1m seed=0,1,2,3,4"


def test_csv_has_a_line_a_group() -> None:
    found = contents.build(sixty())
    lines = list(csv.DictReader(io.StringIO(tables.table(found))))
    assert len(lines) == 12
    for line, group in zip(lines, found.sections[0].groups, strict=True):
        assert float(line["val_mae_mean"]) == group["val_mae_mean"]
        assert float(line["val_mae_high"]) == group["val_mae_ci95"][1]
        assert line["pareto"] == str(int(group["pareto"])) and line["seeds"] == "0 1 2 3 4"


def test_markdown_table() -> None:
    text = tables.markdown(report(*seeds("full", 0.70), *seeds("qr", 0.80, 0.1)))
    assert "| ★ | `full` | 2.38 MiB | 1.0x | 0.7010 ± 0.0025 | baseline |  | 0.1 | 3 |" in text
    # the differences are equal in every seed, so without spread
    assert "| ★ | `qr budget=0.1` | 244 KiB | 10.0x | 0.8010 ± 0.0025 | +0.1000 ± 0.0000 |" in text
