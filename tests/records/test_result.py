"""The typed result: its keys, what it refuses, how it is written and read."""

import dataclasses
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from results_made import VALUES

from bench.errors import RequestError
from bench.records.result import KEYS, METRICS, Result, Status, metrics_of, table
from bench.tasks import NAMES, find

CONTRACT = [
    "status", "run_id", "task", "fingerprint", "data_digest", "dataset", "strategy", "embeddings", "settings", "seed",
    "environment",
    "params_total", "params_embedding", "embedding_bytes", "full_embedding_bytes", "compression_ratio",
    "bytes", "optimizer_bytes", "peak_rss_bytes", "val_mae", "val_rmse", "val_loss", "train_loss", "val_constant",
    "val_mae_by_decile", "history", "step_time_ms", "step_time_ms_p95", "examples_per_second",
    "compile_s", "train_s", "eval_s", "data_s", "total_s", "lookup_us",
]  # fmt: skip

ADDED = ("error", "parent_fingerprint", "model_bytes", "validation_mae", "validation_loss", "val_mae_by_field",
         "val_mae_worst_ids", "validation_rmse", "val_auc", "val_logloss", "val_gauc", "val_ece", "validation_auc",
         "validation_logloss", "val_constant_logloss", "val_auc_by_decile", "val_auc_by_field",
         "val_logloss_worst_ids")  # fmt: skip

DOCS = Path(__file__).resolve().parents[2] / "docs" / "results.md"


def test_every_key_of_the_contract_in_its_order():
    values = Result.of(Status.REFUSED, error="too small").values()
    assert [key for key in values if key not in ADDED] == CONTRACT
    assert {key for key, value in values.items() if value is not None} == {"status", "error"}


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Result.of(Status.FINISHED).seed = 1


def test_each_metric_says_its_meaning_and_a_measured_error_its_direction():
    assert set(METRICS) < set(KEYS)
    for name, metric in METRICS.items():
        assert metric.meaning and (metric.unit or name == "history"), name
        assert not metric.averaged or (metric.title and metric.better), name
        assert set(metric.tasks) <= set(NAMES), name


@pytest.mark.parametrize("name", NAMES)
def test_a_task_leads_by_metrics_of_its_own(name):
    task, own = find(name), metrics_of(name)
    for metric in (task.headline, task.validation):
        assert own[metric].better and own[metric].averaged
    assert task.by_popularity[0] in own


def test_the_table_in_the_documentation_is_the_generated_one():
    text = DOCS.read_text(encoding="utf-8")
    between = text.split("<!-- metrics: make generate -->")[1].split("<!-- end -->")[0]
    assert between.strip().splitlines() == list(table()), "make generate writes it"


def test_numpy_becomes_plain():
    result = Result.of(
        Status.FINISHED,
        val_mae=np.float32(0.5),
        val_mae_by_decile=np.array([1.0, 2.0]),
        params_total=np.int64(7),
        settings={"path": Path("a"), "splits": (1, 2)},
    )
    assert result.settings == {"path": "a", "splits": [1, 2]}
    assert (result.val_mae, result.val_mae_by_decile, result.params_total) == (0.5, [1.0, 2.0], 7)
    assert Result.from_json(result.to_json(), "x") == result


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("-inf")])
def test_a_number_that_is_not_finite_is_a_failure(bad):
    result = Result.of(Status.FINISHED, val_mae=bad, history={"val_mae": [0.7, bad], "val_loss": [1, 1]})
    assert result.status == "failed"
    assert result.error == "not a finite number: history.val_mae, val_mae"
    assert result.val_mae is None
    assert result.history == {"val_mae": [0.7, None], "val_loss": [1, 1]}


def test_a_failure_keeps_its_own_cause():
    result = Result.of(Status.FAILED, error="NaN loss at step 7", train_loss=float("nan"))
    assert (result.status, result.error) == ("failed", "NaN loss at step 7")


@pytest.mark.parametrize(
    ("status", "values", "error", "says"),
    [
        ("done", {}, ValueError, "done"),
        ("finished", {"mae": 1}, TypeError, "mae"),
        ("finished", {"settings": {"a": {1, 2}}}, TypeError, "settings.a"),
    ],
)
def test_what_is_not_a_result(status, values, error, says):
    with pytest.raises(error, match=says):
        Result.of(status, **values)


def test_written_and_read_back(tmp_path):
    result = Result.of(**VALUES)
    assert result.write(tmp_path) == tmp_path / "result.json"
    assert Result.read(tmp_path) == result
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_the_mode_follows_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        Result.of(Status.FINISHED).write(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "result.json").stat().st_mode) == 0o666 & ~umask


def test_whole_or_not_at_all(tmp_path, monkeypatch):
    Result.of(Status.FINISHED, seed=1).write(tmp_path)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        Result.of(Status.FINISHED, seed=2).write(tmp_path)
    assert Result.read(tmp_path).seed == 1
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_no_nan_is_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        Result(status=Status.FINISHED, val_mae=float("nan")).write(tmp_path)
    assert not list(tmp_path.iterdir())


BAD = [
    None, "", '{"status": "fin', "[]", '{"a": 1}', '{"status": "done"}', '{"status": 1}', '{"status": ["finished"]}',
    '{"status": "finished", "settings": "x"}', '{"status": "finished", "embeddings": {"user": "qr"}}',
    '{"status": "finished", "val_mae": "0.7"}', '{"status": "finished", "seed": 0.5}',
    '{"status": "finished", "val_mae": true}', '{"status": "finished", "val_mae_by_decile": ["a"]}',
    '{"status": "finished", "history": {"val_mae": 1}}', '{"status": "finished", "bytes": {"tables": "many"}}',
    "[" * 100_000, '{"status":' * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_what_cannot_be_read(tmp_path, content):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(RequestError, match=str(tmp_path)) as refused:
        Result.read(tmp_path)
    assert len(str(refused.value)) < 300 + len(str(tmp_path))


def test_a_key_of_another_version_is_passed_over(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"status": "finished", "seed": 3, "val_ndcg": 0.1}))
    assert Result.read(tmp_path) == Result.of(Status.FINISHED, seed=3)


def test_settings_and_metrics_by_name():
    result = Result.of(
        Status.FINISHED, val_mae=0.5, settings={"training": {"epochs": 3}}, history={"val_mae": [1.0]}
    )
    assert result.setting("training.epochs") == 3
    assert result.setting("training.epochs.more") is result.setting("model.name") is None
    assert result.metric("val_mae") == 0.5
    assert result.metric("history") is result.metric("seed") is result.metric("nosuch") is None


def test_numbers_that_repeat_are_told_from_times():
    one = Result.of(Status.FINISHED, val_mae=0.5, total_s=3.0, peak_rss_bytes=7, embedding_bytes=10)
    assert one.numbers() == one.with_(total_s=4.0, peak_rss_bytes=8, seed=5).numbers()
    assert one.numbers() != one.with_(val_mae=0.5000000000000001).numbers()
    assert one.numbers() != one.with_(embedding_bytes=11).numbers()
