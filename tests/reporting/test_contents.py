"""What a report says of runs of all kinds, and that none of them ends in a traceback or an empty plot."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from made import made, sixty
from scored import scored, task

from bench.records.result import METRICS, Metric, Result
from bench.reporting import contents, tables
from bench.reporting.contents import Report, filtered
from bench.reporting.plots import specifications
from bench.reporting.rows import rows
from bench.tradeoff import Unfinished

CONTRACT = {
    "strategy", "embeddings", "dataset", "data_digest", "task", "model", "delta", "delta_ci95", "budget", "seeds",
    "embedding_bytes", "compression_ratio", "pareto",
    "delta_mae", "delta_mae_ci95", "p_value",
    *(f"{n}_{s}" for n in ("val_mae", "val_rmse", "step_time_ms") for s in ("mean", "sd", "ci95")),
}  # fmt: skip


def report(*runs: Result) -> Report:
    return contents.build(runs)


def seeds(strategy: str, mae: float, size: float = 1.0, count: int = 3, **changed: Any) -> list[Result]:
    return [made(strategy, s, mae + (0.001, 0, 0.002, 0.001)[s], size, **changed) for s in range(count)]


def first(*runs: Result) -> str:
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
        "md budget=0.2 needs 5.0 times less memory than full tables and loses 0.0100 ± 0.0000 MAE"
    )
    assert "at that size qr budget=0.19 loses more: 0.0500." in text
    assert "Chosen as the knee of the front, on the rows that the errors are reported for" in text


def test_sentence_names_what_seeds_do_not_tell_apart() -> None:
    equal = [made("md", s, (0.705, 0.698, 0.701)[s], 0.5) for s in range(3)]
    text = first(*seeds("full", 0.70), *equal, *seeds("qr", 0.80, 0.1), *seeds("qr", 0.72, 0.2))
    # by hand: differences 0.004, -0.002, -0.001; t * 0.0032 / sqrt(3) = 0.0080
    assert (
        "The smallest whose interval of the difference to full tables holds 0, over 3 seeds, is md budget=0.5, which "
        "needs 2.0 times less memory; by that interval it may lose 0.0083 MAE." in text
    )


def test_sentence_names_the_best_of_the_others_and_the_smallest_that_may_lose_nothing() -> None:
    equal = [made("md", s, (0.705, 0.698, 0.701)[s], size) for size in (0.7, 0.5, 0.6) for s in range(3)]
    others = [
        *seeds("qr", 0.75, 0.19),
        *seeds("hash", 0.73, 0.21),
        *seeds("ce", 0.78, 0.2),
        *seeds("tt", 0.72, 0.5),
    ]
    text = first(*seeds("full", 0.70), *equal, *seeds("dpq", 0.71, 0.2), *others)
    assert text.startswith("dpq budget=0.2 needs 5.0 times less memory")
    assert "; at that size hash budget=0.21 loses more: 0.0300." in text
    assert "holds 0, over 3 seeds, is md budget=0.5, which needs 2.0 times less memory;" in text


def test_a_loss_beside_which_no_interval_holds_0_is_none_that_may_be_nothing() -> None:
    # 0.02 ± 0.0086, but Holm's p over twelve groups is above 0.05
    lost = [made("md", s, (0.716, 0.721, 0.723)[s], 0.05) for s in range(3)]
    others = [
        run for n in range(11) for s in range(3) for run in [made("qr", s, 0.9 + 0.03 * s * n, 0.2 + n / 100)]
    ]
    text = first(*seeds("full", 0.70), *lost, *others)
    assert "holds 0" not in text or "is md" not in text.split("holds 0")[1]


def test_choice_by_validation_rows() -> None:
    def run(strategy: str, mae: float, validation: float, size: float) -> list[Result]:
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
        ([made(), made("qr", mae=0.6, size=0.1)], "and lowers MAE by 0.1000."),
    ],
)
def test_sentences_of_few_runs(runs: list[Result], says: str) -> None:
    assert says in first(*runs)


def test_full_tables_that_hardly_beat_a_constant() -> None:
    def of(mae: float, **more: Any) -> str:
        return first(
            *seeds("full", mae, val_constant=0.875), *seeds("qr", 0.87, 0.1, val_constant=0.875), **more
        )

    assert "Full tables hardly beat the best constant: MAE 0.8630 against 0.8750." in of(0.862)
    assert "Full tables do not beat the best constant: MAE 0.8810 against 0.8750." in of(0.88)
    assert "best constant" not in of(0.7)


def test_a_task_whose_headline_is_better_the_higher_it_is() -> None:
    def runs(strategy: str, score: float, size: float) -> list[Result]:
        own = [scored(made(strategy, s, size=size), score + s / 1000, val_constant=0.5) for s in range(3)]
        return [replace(run, history={"val_score": [0.4, 0.6]}) for run in own]

    with task():
        found = report(
            *runs("full", 0.80, 1.0), *runs("md", 0.79, 0.2), *runs("md", 0.60, 0.05), *runs("qr", 0.75, 0.19),
            *runs("hash", 0.45, 0.04),
        )  # fmt: skip
        section = found.sections[0]
        text = " ".join(section.sentences)
        assert text.startswith(
            "md budget=0.2 needs 5.0 times less memory than full tables and loses 0.0100 ± 0.0000 score"
        )
        assert "at that size qr budget=0.19 loses more: 0.0500." in text
        assert [entry.name for entry in section.entries if entry.worse] == ["hash budget=0.04"]
        assert list(section.beyond) == ["hash"] and section.edge == 0.5
        assert "What lies below it is worse than no embeddings: 1 group here" in " ".join(section.notes)
        better = report(*runs("full", 0.80, 1.0), *runs("md", 0.81, 0.2)).sections[0].sentences[0]
        assert better.startswith(
            "md budget=0.2 needs 5.0 times less memory than full tables and raises score by 0.0100 ± 0.0000"
        )
        group = json.loads(tables.as_json(found))["groups"][1]
        assert group["val_score_mean"] == pytest.approx(0.791) and "delta_mae" not in group
        line = next(csv.DictReader(io.StringIO(tables.table(found))))
        assert float(line["val_score_mean"]) == pytest.approx(0.801)
        # charts: the best is at the top, the constant at the bottom
        spec = specifications(section)["memory-error"]
        marks = next(layer for layer in spec["layer"] if layer.get("name") == "points")
        assert marks["encoding"]["y"]["scale"]["reverse"]
        assert [place["mean"] for place in section.curves][:2] == pytest.approx([0.4, 0.6])


# What is left out


def test_failed_runs_are_listed_and_never_averaged() -> None:
    failed = made("qr", 1, None, 0.1, status="failed", error="the loss is nan at step 3", embeddings=None)
    found = report(*seeds("full", 0.7), made("qr", 0, 0.8, 0.1), failed)
    assert [entry.group.seeds for entry in found.entries] == [[0, 1, 2], [0]]
    assert found.missing == ["1 failed: qr budget=0.1, seed 1: the loss is nan at step 3"]
    assert "Runs without numbers (1 failed): listed below, in no mean." in found.left_out


def test_records_that_cannot_be_read_are_listed() -> None:
    broken = Unfinished("unreadable", "abc123", None, "result.json: damaged")
    found = contents.build([made()], unreadable=[broken])
    assert found.missing == ["1 unreadable: abc123: result.json: damaged"]
    assert "Runs without numbers (1 unreadable): listed below, in no mean." in found.left_out
    assert found.values()["unfinished"][0]["reason"] == "result.json: damaged"


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
    assert found.sections[1].entries[0].group.delta.mean is None
    assert any(text.startswith("2 sets of runs differ in data") for text in found.left_out)


def test_earlier_run_of_equal_settings() -> None:
    found = report(made(mae=0.6, fingerprint="old"), made(mae=0.7, fingerprint="new"))
    assert found.entries[0].value == 0.7
    assert found.left_out[0].startswith("1 finished run of settings and seeds that were run again")


def test_a_file_that_was_replaced_has_a_section_of_its_own() -> None:
    path = {"dataset": "table", "overrides": ("dataset.path=a.csv",)}
    before = [made(name, s, mae=0.7, size=size, data_digest="1" * 64, **path)
              for name, size in (("full", 1.0), ("qr", 0.1)) for s in (0, 1)]  # fmt: skip
    after = [made("full", s, mae=84.0, data_digest="2" * 64, fingerprint=f"new {s}", **path) for s in (0, 1)]
    found = report(*before, *after)
    assert [section.title for section in found.sections] == [
        "table, model dot, data 11111111", "table, model dot, data 22222222",
    ]  # fmt: skip
    assert [entry.value for entry in found.sections[1].entries] == [84.0]


def test_step_times_of_one_machine() -> None:
    busy = {"processor": "p", "threads": 2, "jobs": 3, "gpu": None}
    found = report(made(), made("qr", size=0.1), made("md", size=0.1, environment=busy)).sections[0]
    assert [entry.values()["step_time_comparable"] for entry in found.entries] == [True, False, True]
    assert "Those of 1 group are left out: other machines, threads or load." in " ".join(found.notes)
    assert {row["id"]: row["step"] for row in rows(found)} == {
        "set-1-1": 0.1,
        "set-1-2": None,
        "set-1-3": 0.1,
    }


def test_interval_says_what_it_covers() -> None:
    fixed = report(*seeds("full", 0.7)).sections[0]
    assert "initial weights and batch order on one split" in " ".join(fixed.notes)
    own = [made("full", s, 0.7 + s / 100, overrides=(f"dataset.split.seed={s}",)) for s in range(3)]
    drawn = report(*own).sections[0]
    assert "the draw of the split" in " ".join(drawn.notes)
    assert drawn.entries[0].command == "python -m bench.run -m 'dataset.split.seed=${seed}' seed=0,1,2"


def test_filters_keep_the_baseline() -> None:
    runs = [made(), made("qr"), made("md"), made("qr", dataset="movielens_1m")]
    kept = filtered(runs, {"dataset": ["synthetic"], "strategy": ["qr"], "model": None})
    assert [(run.dataset, run.strategy) for run in kept] == [("synthetic", "full"), ("synthetic", "qr")]
    assert filtered(runs, {"model": ["neumf"]}) == []


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
    for line, group in zip(lines, found.values()["groups"], strict=True):
        assert float(line["val_mae_mean"]) == group["val_mae_mean"]
        assert float(line["val_mae_high"]) == group["val_mae_ci95"][1]
        assert line["pareto"] == str(int(group["pareto"])) and line["seeds"] == "0 1 2 3 4"


def test_a_metric_that_is_added_appears_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        METRICS, "val_loss", Metric("label squared", "the loss", averaged=True, title="val loss")
    )  # type: ignore[arg-type]
    found = report(*(replace(made(seed=s), val_loss=1.0 + s) for s in range(2)))
    assert "| val MAE | to full | p | val RMSE | val loss | step ms |" in tables.markdown(found)
    line = next(csv.DictReader(io.StringIO(tables.table(found))))
    assert (line["val_loss_mean"], line["val_loss_low"] != "") == ("1.5", True)
    assert found.values()["groups"][0]["val_loss_mean"] == 1.5
    assert "val loss 1.5000 ± 6.3531" in rows(found.sections[0])[0]["also"]


def test_the_best_constant_is_in_every_table() -> None:
    found = report(*seeds("full", 0.70, val_constant=0.875), *seeds("qr", 0.9, 0.1, val_constant=0.875))
    assert "|  | best constant | - | - | 0.8750 | +0.1740 |" in tables.markdown(found)
    values = found.values()
    assert (
        {group["val_constant"] for group in values["groups"]}
        == {values["sets"][0]["val_constant"]}
        == {0.875}
    )
    assert next(csv.DictReader(io.StringIO(tables.table(found))))["val_constant"] == "0.875"
    assert "1 group here, in no chart of errors." in " ".join(found.sections[0].notes)


def test_markdown_table() -> None:
    text = tables.markdown(report(*seeds("full", 0.70), *seeds("qr", 0.80, 0.1)))
    assert (
        "| ★ | `full` | 2.38 MiB | 1.0x | 0.7010 ± 0.0025 | baseline |  | 0.9010 ± 0.0025 | 0.1 | 5 | 3 |"
        in text
    )
    # the differences are equal in every seed, so without spread
    assert "| ★ | `qr budget=0.1` | 244 KiB | 10.0x | 0.8010 ± 0.0025 | +0.1000 ± 0.0000 |" in text


def test_names_that_tables_would_take_for_something_else() -> None:
    own = [replace(run, strategy="=half|hash") for run in seeds("qr", 0.80, 0.1)]
    found = report(*seeds("full", 0.70), *own)
    (line,) = (
        line for line in tables.markdown(found).splitlines() if "half" in line and line.startswith("|")
    )
    assert line.startswith(r"| ★ | `=half\|hash` | 244 KiB |")
    lines = csv.DictReader(io.StringIO(tables.table(found)))
    assert [line["strategy"] for line in lines] == ["full", "'=half|hash"]
