"""What MLflow's pages say of an experiment, a run and a sweep."""

import json
import re
from pathlib import Path

from bench import results
from bench.tracking import notes, view

DOCS = Path(__file__).resolve().parents[2] / "docs" / "results.md"


def test_every_metric_has_a_unit_and_a_meaning():
    assert set(notes.METRICS) == set(results.METRICS) - {"history"}
    text = notes.of_experiment()
    for name, (unit, meaning) in notes.METRICS.items():
        assert f"| `{name}` | {unit} | {meaning} |" in text
    assert all(f"| `{name}` | {meaning} |" in text for name, meaning in notes.OF_SWEEP.items())
    assert len(text) <= 5000  # MLflow's limit of a tag in some stores


def test_units_are_those_of_the_documentation():
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \| ", DOCS.read_text(), re.MULTILINE)
    documented = {name: unit for names, unit in rows for name in re.findall(r"`(\w+)`", names)}
    for name, (unit, _) in notes.METRICS.items():
        if name in documented and "validation" not in name and unit not in ("times",):
            assert documented[name] == unit, name


def test_a_run_says_its_numbers_and_how_to_repeat_it(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- strategy=qr\n- block_splits=[1, 2]\n")
    result = {
        "val_mae": 0.70312345,
        "embedding_bytes": 299_008,
        "params_embedding": 74_752,
        "step_time_ms": None,
    }
    assert notes.of_run(result, tmp_path).splitlines() == [
        "| metric | value | unit |",
        "| --- | --- | --- |",
        "| `val_mae` | 0.70312 | of the label |",
        "| `embedding_bytes` | 299,008 (292 KiB) | bytes |",
        "| `params_embedding` | 74,752 | numbers |",
        "",
        "Again:",
        "",
        "```",
        "python -m bench.run strategy=qr 'block_splits=[1, 2]' resume=false",
        "```",
    ]


def test_a_failed_run_says_why(tmp_path):
    assert (
        notes.of_run({"error": "the loss became nan", "val_mae": None}, tmp_path) == "the loss became nan\n"
    )


def test_no_password_is_shown(tmp_path):
    (tmp_path / ".hydra").mkdir()
    uri = "postgresql://bench:secret@host/db"
    (tmp_path / ".hydra" / "overrides.yaml").write_text(f"- tracking.uri={uri}\n")
    assert "secret" not in notes.of_run({}, tmp_path)


def test_a_sweep_says_how_its_runs_ended():
    text = notes.of_sweep(
        "python -m bench.run -m seed=0,1", {"runs": 3, "runs.finished": 2, "runs.failed": 1}
    )
    assert text.startswith("3 runs: 2 finished, 1 failed.\n")
    assert "python -m bench.run -m seed=0,1" in text and "runs.csv" not in text
    assert "1 had finished before" in notes.of_sweep("c", {"runs": 1, "runs.finished": 1}, ["id"])


def test_the_saved_view_plots_metrics_that_runs_have():
    saved = json.loads(notes.experiment_tags()[view.TAG])
    charts = json.loads(saved["state"])["compareRunCharts"]
    axes = [(chart["xaxis"]["key"], chart["yaxis"]["key"]) for chart in charts if chart["type"] == "SCATTER"]
    assert axes[0] == ("embedding_bytes", "val_mae") and {name for pair in axes for name in pair} <= set(
        notes.METRICS
    )
    assert saved["name"] == "Trade-off" and len({chart["uuid"] for chart in charts}) == len(charts)
