import dataclasses

import pytest

from bench.records import result as results
from bench.records.result import Metric, Result, Status
from bench.tracking.content import flat, metrics, params, tags

MD = {"method": "md", "block_splits": [400, 1700], "block_dims": [64, 32]}


def of(**values):
    return Result.of(Status.FINISHED, **values)


def test_settings_become_dotted_names_and_texts():
    settings = {
        "seed": 0,
        "budget": None,
        "training": {"jit": True, "rate": 1e-3, "more": {}},
        "model": {"name": "dot"},
    }
    assert params(of(settings=settings, embeddings={"user": MD})) == {
        "seed": "0",
        "budget": "null",
        "training.jit": "true",
        "training.rate": "0.001",
        "training.more": "{}",
        "model.name": "dot",
        "used.user.method": "md",
        "used.user.block_splits": "[400, 1700]",
        "used.user.block_dims": "[64, 32]",
    }


def test_texts_are_no_longer_than_mlflow_takes():
    text = params(of(settings={"a": list(range(5000))}))["a"]
    assert len(text) == 6000 and text.endswith("...") and text.startswith("[0, 1")


def test_names_have_only_letters_that_mlflow_takes():
    found = params(
        of(settings={"dataset": {"transforms": {"price (eur)": "log1p", "a/b": "none", "città": "x"}}})
    )
    names = [name.removeprefix("dataset.transforms.") for name in found]
    assert names == ["price _eur_", "a_b", "città"]


def test_nothing_is_flat():
    assert list(flat({})) == []


def test_numbers_by_epoch_or_once():
    result = of(
        seed=7,
        params_total=5,
        bytes={"tables": 4, "maps": 0},
        val_mae=0.6,
        val_rmse=0.9,
        val_mae_by_decile=[0.5, None, 0.7],
        history={"val_mae": [0.8, 0.6], "train_loss": [None, 2], "val_mae_by_decile": [[1, 2], [3, None]]},
    )
    assert sorted(metrics(result)) == [
        ("bytes.maps", 0.0, 0),
        ("bytes.tables", 4.0, 0),
        ("params_total", 5.0, 0),
        ("train_loss", 2.0, 2),
        ("val_mae", 0.6, 2),
        ("val_mae", 0.8, 1),
        ("val_mae_by_decile.01", 1.0, 1),
        ("val_mae_by_decile.01", 3.0, 2),
        ("val_mae_by_decile.02", 2.0, 1),
        ("val_rmse", 0.9, 0),
    ]


def test_a_metric_that_a_result_has_is_logged_by_itself(monkeypatch):
    added = dataclasses.make_dataclass("Longer", [("val_new", float, 0.25)], bases=(Result,), frozen=True)
    monkeypatch.setitem(results.METRICS, "val_new", Metric("times", "a new one"))
    assert ("val_new", 0.25, 0) in list(metrics(added(status=Status.FINISHED)))


def test_tags():
    result = of(
        fingerprint="f", data_digest="0123", task="rating", dataset="d", strategy="s", parent_fingerprint="p",
        environment={"threads": 2, "gpu": None},
    )  # fmt: skip
    assert tags(result) == {
        "fingerprint": "f", "data_digest": "0123", "task": "rating", "dataset": "d", "strategy": "s",
        "parent_fingerprint": "p", "status": "finished", "environment.threads": "2",
    }  # fmt: skip


@pytest.mark.parametrize("environment", [None, {}])
def test_tags_of_a_run_without_an_environment(environment):
    assert set(tags(of(environment=environment))) == {"status"}
