"""Runs on clicks as commands: tasks, tables beside the fields', small fields, and experiments."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
from commands import Commands

from bench import tasks
from bench.config import compose
from bench.config.schema import MONITORS, Monitored
from bench.data.interactions import Field, Interactions, Part
from bench.errors import RequestError
from bench.measure.memory import embedding_memory
from bench.models.fields import choose_methods, own_tables
from bench.records.result import METRICS, Result

CLICKS = [
    "dataset=synthetic_ctr", "dataset.sizes=[3000,200,20]", "dataset.num_dense=2", "dataset.num_interactions=2",
    "dataset.num_rows=6000", "dataset.split.validation_fraction=0.1", "embedding_dim=8", "training.epochs=2",
]  # fmt: skip


def made(labels=(0.0, 1.0)) -> Interactions:
    sizes = {"C1": 3000, "C2": 200, "C3": 20}
    rng = np.random.default_rng(0)

    def part(n: int) -> Part:
        ids = {name: rng.integers(0, size, n).astype(np.int32) for name, size in sizes.items()}
        return Part(ids, rng.choice(np.asarray(labels, np.float32), n), np.zeros((n, 2), np.float32))

    known = {name: Field(name, size, np.ones(size, np.int64)) for name, size in sizes.items()}
    return Interactions("made", known, part(50), part(0), part(50), (0.0, 1.0), None, "digest")


def test_every_task_says_its_metrics_once() -> None:
    assert set(MONITORS) == set(tasks.NAMES) and {m for own in MONITORS.values() for m in own} == set(
        get_args(Monitored)
    )
    for name in tasks.NAMES:
        task = tasks.find(name)
        for metric in (task.headline, task.validation, task.by_popularity[0], *MONITORS[name]):
            assert name in (METRICS[metric].tasks or tasks.NAMES), metric
        for metric in MONITORS[name]:
            assert (METRICS[metric].better == "higher") == (metric in task.higher)
    assert {one.name for one in fields(Result)} >= {"val_auc", "val_constant_logloss"}


def test_a_data_set_has_a_task_of_its_own() -> None:
    click = ["dataset=synthetic_ctr", "model=fm"]
    assert compose(click).task == "click" == compose(click).values["task"]
    assert compose([]).task == "rating" and compose(["task=click"]).task == "click"
    assert compose([*click, "task=rating"]).task == "rating"
    for name in ("criteo", "avazu", "frappe_x1"):
        assert compose([f"dataset={name}", "model=fm"]).task == "click"
    asked = (
        "training.monitor=validation_auc",
        "training.best_weights=true",
        "dataset.split.validation_fraction=0.1",
    )
    with pytest.raises(
        RequestError, match=r"training\.monitor=validation_auc: task=rating has no such metric"
    ):
        compose([*asked])


def test_labels_that_are_no_clicks_are_refused() -> None:
    check = tasks.find("click").check
    check(made())
    with pytest.raises(RequestError, match="training rows have the label 2; clicks are 0 and 1 alone"):
        check(made((0.0, 1.0, 2.0)))
    with pytest.raises(RequestError, match="all training rows have the label 1"):
        check(made((1.0,)))


def test_own_linear_tables_count_compressed_or_not() -> None:
    data = made()
    found = {}
    for linear in ("projected", "own"):
        asked = compose([*CLICKS, "model=fm", f"model.linear={linear}", "strategy=qr", "num_buckets=100"])
        methods = choose_methods(asked, data)
        found[linear] = embedding_memory({**methods, **own_tables(asked, methods)})
    for key in ("embedding_bytes", "full_embedding_bytes"):
        assert found["own"][key] == found["projected"][key] + 4 * 3220
    assert found["projected"]["full_embedding_bytes"] == 4 * 8 * 3220


def test_small_fields_stay_full() -> None:
    asked = compose([*CLICKS, "model=fm", "strategy=hash", "budget=0.2", "full_below=201"])
    methods = choose_methods(asked, made())
    assert {name: method.name() for name, method in methods.items()} == {
        "C1": "hash",
        "C2": "full",
        "C3": "full",
    }
    assert sum(method.nbytes for method in methods.values()) <= 0.2 * 4 * 8 * 3220
    assert methods["C1"].nbytes > 0.1 * 4 * 8 * 3220
    assert choose_methods(compose([*CLICKS, "model=lr"]), made())["C1"].embedding_dim == 1


@pytest.mark.parametrize("name", ["lr", "fm", "wide_deep", "deepfm", "dcn_v2", "dlrm"])
def test_experiments_are_as_published(name: str) -> None:
    asked = compose([f"experiment=frappe_{name}"])
    training = asked.training
    assert (asked.dataset.name, asked.model.name, asked.task) == ("frappe_x1", name, "click")
    assert (training.batch_size, training.clipnorm, training.monitor) == (4096, 10.0, "validation_auc")
    l2 = {"lr": 1e-5, "fm": 5e-6, "wide_deep": 0.1, "dlrm": 0.1}.get(name, 0.05)
    assert training.embedding_l2 == l2 and training.best_weights
    assert getattr(asked.model.settings, "batch_norm", True)


@pytest.mark.slow
def test_a_sweep_of_clicks_and_its_report(commands: Commands) -> None:
    done = commands.run("-m", *CLICKS, "model=fm", "model.linear=own", "strategy=full,hash,pq", "budget=0.2",
                        "full_below=100", "seed=0,1")  # fmt: skip
    assert done.code == 0, done.err
    assert "val AUC" in done.out
    groups = json.loads(commands.start("format=json", module="bench.report").wait().out)["groups"]
    assert groups[0]["strategy"] == "full"
    for group in groups:
        assert group["task"] == "click" and 0.5 < group["val_auc_mean"] < 1 and "val_mae_mean" not in group
        assert (group["delta"] is None) == (group["strategy"] == "full") and "delta_mae" not in group
    best = max(groups, key=lambda group: group["val_auc_mean"])
    assert best["pareto"]
