"""What runs leave in MLflow, read with MLflow's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from commands import Done, client_of, logged_runs, sweep_runs

pytestmark = pytest.mark.slow  # in a process of its own it makes its own runs

NUMBERS = (
    "params_total", "params_embedding", "embedding_bytes", "full_embedding_bytes", "compression_ratio",
    "optimizer_bytes", "peak_rss_bytes", "val_mae", "val_rmse", "val_loss", "train_loss",
    "step_time_ms", "step_time_ms_p95", "examples_per_second",
    "compile_s", "train_s", "eval_s", "data_s", "total_s", "lookup_us",
)  # fmt: skip


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.fixture(scope="module")
def client(good: Done) -> Any:
    return client_of(good.cwd)


@pytest.fixture(scope="module")
def logged(client: Any, good: Done) -> Any:
    return client.get_run(good.result["run_id"])


def test_run_is_finished_in_the_default_experiment(client: Any, logged: Any) -> None:
    assert logged.info.status == "FINISHED"
    assert client.get_experiment(logged.info.experiment_id).name == "embedding-compression"


def test_every_setting_is_a_parameter(logged: Any, good: Done) -> None:
    settings = good.result["settings"]
    assert set(leaves(settings)) <= set(logged.data.params)
    expected = {
        "seed": "0", "strategy": "qr", "embedding_dim": "64", "training.batch_size": "128",
        "training.learning_rate": "0.001", "dataset.num_users": "300", "dataset.split.train_fraction": "0.85",
        "model.name": "dot", "training.table_updates": "deferred",
    }  # fmt: skip
    assert {name: logged.data.params[name] for name in expected} == expected


def test_metrics_have_the_names_and_values_of_the_result(logged: Any, good: Done) -> None:
    result = good.result
    differing = {
        name: (logged.data.metrics.get(name), result[name])
        for name in NUMBERS
        if logged.data.metrics.get(name) != pytest.approx(result[name], rel=1e-12)
    }
    assert differing == {}
    assert any(name.startswith("bytes") for name in logged.data.metrics)
    deciles = sorted(name for name in logged.data.metrics if name.startswith("val_mae_by_decile"))
    assert [logged.data.metrics[name] for name in deciles] == result["val_mae_by_decile"]


def test_history_is_logged_by_epoch(client: Any, logged: Any, good: Done) -> None:
    for name in ("val_mae", "train_loss"):
        points = client.get_metric_history(logged.info.run_id, name)
        values = [point.value for point in sorted(points, key=lambda point: point.step)]
        assert values == good.result["history"][name]
        assert len({point.step for point in points}) == 3


def test_tags(logged: Any, good: Done) -> None:
    tags = logged.data.tags
    assert {name: tags.get(name) for name in ("fingerprint", "dataset", "strategy")} == {
        "fingerprint": good.result["fingerprint"], "dataset": "synthetic", "strategy": "qr",
    }  # fmt: skip


def test_artifacts_lie_beside_the_database(client: Any, logged: Any, good: Done, tmp_path: Path) -> None:
    assert logged.info.artifact_uri.startswith(f"file://{good.cwd}/outputs/")
    folder = Path(client.download_artifacts(logged.info.run_id, "", str(tmp_path)))
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.name != "weights.safetensors"}
    configuration = next(text for name, text in texts.items() if name.endswith(".yaml"))
    assert "learning_rate: 0.001" in configuration and "${" not in configuration
    history = next(text for name, text in texts.items() if "history" in name)
    assert str(good.result["history"]["val_mae"][1]) in history
    summary = next(text for name, text in texts.items() if "model" in name)
    assert "user_embedding" in summary and f"{good.result['params_total']:,}" in summary
    assert json.loads(texts["result.json"])["val_mae"] == good.result["val_mae"]


def test_skipped_run_gets_no_second_one(client: Any, again: Done) -> None:
    runs = [run for run in logged_runs(client) if run.data.tags["fingerprint"] == again.result["fingerprint"]]
    assert [run.info.run_id for run in runs] == [again.result["run_id"]]


def test_sweep_logs_its_runs_where_it_is_told(client: Any, sweep: Done, good: Done) -> None:
    ids = {result["run_id"] for result in sweep.results}
    runs = [run for run in logged_runs(client) if run.info.run_id in ids]
    assert len(runs) == 4 and {run.info.status for run in runs} == {"FINISHED"}
    assert {(run.data.tags["strategy"], run.data.params["seed"]) for run in runs} == {
        ("full", "0"), ("full", "1"), ("qr", "0"), ("qr", "1"),
    }  # fmt: skip
    assert all(Path(run.info.artifact_uri.removeprefix("file://")).is_dir() for run in runs)
    assert all(run.info.artifact_uri.startswith(f"file://{good.cwd}/outputs/") for run in runs)


def test_sweep_has_a_run_of_its_own_above_those_it_trained(client: Any, sweep: Done, good: Done) -> None:
    (own,) = sweep_runs(client)
    assert own.info.run_name == "strategy=full,qr seed=0,1" and own.info.status == "FINISHED"
    assert own.data.tags["command"].startswith("python -m bench.run dataset.num_users=300 ")
    counts = {name: own.data.tags[name] for name in ("runs", "runs.finished", "runs.skipped")}
    assert counts == {"runs": "4", "runs.finished": "4", "runs.skipped": "1"}
    above = {run.info.run_id: run.data.tags.get("mlflow.parentRunId") for run in logged_runs(client)}
    trained = {result["run_id"] for result in sweep.results if result["status"] == "finished"}
    assert {run for run, parent in above.items() if parent == own.info.run_id} == trained
    assert above[good.result["run_id"]] is None  # it had finished before


def test_runs_say_what_they_are(logged: Any, good: Done) -> None:
    assert logged.info.run_name.startswith("qr num_buckets=user:18,item:15 ")
    note = logged.data.tags["mlflow.note.content"]
    assert f"| `embedding_bytes` | {good.result['embedding_bytes']:,} " in note
    assert "python -m bench.run dataset.num_users=300 " in note and "save_weights=true resume=false" in note
    (used,) = logged.inputs.dataset_inputs
    assert used.dataset.name == "synthetic" and len(used.dataset.digest) == 12
    assert '"train_rows": 4250' in used.dataset.profile and '"user_vocabulary": 300' in used.dataset.profile


def test_failed_run_is_marked_in_the_database_that_was_named(diverged: Done) -> None:
    from mlflow.tracking import MlflowClient

    (run,) = logged_runs(MlflowClient(f"sqlite:///{diverged.cwd}/store/runs.db"))
    assert run.info.status == "FAILED" and run.info.run_id == diverged.result["run_id"]
    assert run.data.params["training.learning_rate"] == "1e+30"
    assert run.info.artifact_uri.startswith(f"file://{diverged.cwd}/store/")
    assert not (diverged.cwd / "outputs" / "mlflow.db").exists()


def test_interrupted_run_is_marked(interrupted: Done) -> None:
    (run,) = logged_runs(client_of(interrupted.cwd))
    assert run.info.status == "KILLED"
    assert run.data.params["training.epochs"] == "20000"
