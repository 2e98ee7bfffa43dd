"""What MLflow's pages say of an experiment, a run and a sweep."""

import json
from dataclasses import replace

import pytest

from bench.records.result import METRICS, Metric, Result, Status
from bench.records.sweeps import COUNTS, Member, SweepRecord
from bench.tracking import notes, view

SWEEP = SweepRecord("key", "seed=0,1,2", "python -m bench.run -m seed=0,1,2", "outputs/s", "host 1 2.0", {})


def of(status=Status.FINISHED, **values):
    return Result.of(status, **values)


def test_every_metric_has_a_unit_and_a_meaning():
    text = notes.of_experiment()
    for name in METRICS.keys() - {"history"}:
        assert f"| `{name}` | {METRICS[name].unit} | {METRICS[name].meaning} |" in text
    assert all(f"| `{name}` | {meaning} |" in text for name, meaning in COUNTS.items())


def test_a_metric_that_a_result_has_is_described_by_itself(monkeypatch):
    monkeypatch.setitem(METRICS, "val_new", Metric("times", "a new one"))
    assert "| `val_new` | times | a new one |" in notes.of_experiment()


def test_a_description_stays_within_mlflows_limit(monkeypatch):
    for number in range(200):
        monkeypatch.setitem(METRICS, f"val_{number}", Metric("times", "one of very many"))
    text = notes.of_experiment()
    assert 4900 < len(text) <= 5000 and text.endswith("|")
    assert "| `embedding_bytes` | bytes |" in text  # a main one


def overrides(folder, *texts):
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- {text}\n" for text in texts))


def test_a_run_says_its_numbers_and_how_to_repeat_it(tmp_path):
    overrides(tmp_path, "strategy=qr", "block_splits=[1, 2]")
    result = of(val_mae=0.70312345, embedding_bytes=299_008, params_embedding=74_752)
    assert notes.of_run(result, tmp_path).splitlines() == [
        "| metric | value | unit |",
        "| --- | --- | --- |",
        "| `params_embedding` | 74,752 | numbers |",
        "| `embedding_bytes` | 299,008 (292 KiB) | bytes |",
        "| `val_mae` | 0.70312 | of the label |",
        "",
        "Again:",
        "",
        "```",
        "python -m bench.run strategy=qr 'block_splits=[1, 2]' resume=false",
        "```",
    ]


def test_a_failed_run_says_why(tmp_path):
    assert notes.of_run(of(Status.FAILED, error="the loss became nan"), tmp_path) == "the loss became nan\n"


def test_no_password_is_shown(tmp_path):
    overrides(tmp_path, "tracking.uri=postgresql://bench:secret@host/db")
    assert "secret" not in notes.of_run(of(), tmp_path)


@pytest.mark.parametrize(("trained", "said"), [(("f", "g"), False), (("f",), True)])
def test_a_sweep_says_how_its_runs_ended(trained, said):
    jobs = (Member(0, (), "finished", "f"), Member(1, (), "skipped", "g"), Member(2, (), "failed"))
    text = notes.of_sweep(replace(SWEEP, jobs=jobs, trained=trained), "id")
    assert text.startswith("3 runs: 2 finished, 1 skipped, 1 failed.\n")
    assert SWEEP.command in text and "tags.mlflow.parentRunId = 'id'" in text
    assert ("1 had finished before" in text) == said


def test_the_saved_view_plots_metrics_that_runs_have():
    saved = json.loads(notes.experiment_tags()[view.TAG])
    charts = json.loads(saved["state"])["compareRunCharts"]
    axes = [(chart["xaxis"]["key"], chart["yaxis"]["key"]) for chart in charts if chart["type"] == "SCATTER"]
    assert axes[0] == ("embedding_bytes", "val_mae") and {name for pair in axes for name in pair} <= set(
        METRICS
    )
    assert saved["name"] == "Trade-off" and len({chart["uuid"] for chart in charts}) == len(charts)
