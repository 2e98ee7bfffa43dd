"""Labels that say nothing: no run is better than a constant, whatever the split. So the evaluation rows do not leak."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bench import api

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_records")]

USERS, ITEMS, ROWS = 300, 200, 20_000
SPLITS: dict[str, dict[str, Any]] = {
    "random": {"validation_fraction": 0.1},
    "last": {"validation_fraction": 0.1, "last_n": 10},
    "time": {"validation_fraction": 0.1},
    "folds": {},
    "seven_parts": {},
}
FILES = "files"
"""Rows that the user has divided."""

TASKS = ("rating", "click")
OTHERS = ("qr", "md", "cafe", "pq")
"""Methods that share rows, go by popularity, watch gradients, and compress a trained table."""

NOISE = 4.0
"""Standard errors that count as noise."""


def labelled(task: str, shuffled: bool) -> npt.NDArray[np.int64]:
    """Rows of user, item, label and time. Labels follow from users and items, or are these shuffled over the rows."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, USERS, ROWS), np.minimum(rng.geometric(0.02, ROWS), ITEMS) - 1
    score = rng.normal(size=USERS)[users] + rng.normal(size=ITEMS)[items] + rng.normal(scale=0.7, size=ROWS)
    cuts = [0.06, 0.16, 0.42, 0.77] if task == "rating" else [0.7]
    labels = np.digitize(score, np.quantile(score, cuts)) + (task == "rating")
    return np.column_stack(
        [users, items, rng.permutation(labels) if shuffled else labels, rng.permutation(ROWS)]
    )


def written(name: str, rows: npt.NDArray[np.int64]) -> str:
    np.savetxt(name, rows, "%d", delimiter=",", header="user,item,label,time", comments="")
    return name


def divided(task: str, kind: str, shuffled: bool = True) -> dict[str, Any]:
    """Settings of data that are split in one way."""
    name, rows = f"{task}{'-shuffled' if shuffled else ''}", labelled(task, shuffled)
    if kind != FILES:
        return {"path": written(f"{name}.csv", rows), "split": {"kind": kind, **SPLITS[kind]}}
    parts = zip(("train", "evaluation"), np.split(rows, [round(0.85 * ROWS)]), strict=True)
    return {f"{part}_path": written(f"{name}-{part}.csv", own) for part, own in parts}


def run(task: str, data: dict[str, Any], strategy: str = "full", **training: Any) -> api.Run:
    """A run that learns its training rows nearly by heart, if ``training`` does not stop it."""
    return api.run(
        f"strategy={strategy}", "dataset=table", dataset={"task": task, "timestamp": "time", **data},
        embedding_dim=16, save_weights=True,
        training={"epochs": 5, "learning_rate": 0.02, "progress": False, "jit": False, **training},
    )  # fmt: skip


def told(found: api.Run) -> tuple[float, float]:
    """How much the predictions of a run say of the labels that evaluate it, and the standard error of this if nothing.

    For clicks it is the AUC above one half (Hanley and McNeil 1982), for ratings the correlation.
    """
    trained = api.load(found)
    labels = trained.data.evaluation.labels
    if found.result.task == "click":
        clicks, others = int(labels.sum()), int((1 - labels).sum())
        assert found.result.val_auc is not None
        return found.result.val_auc - 0.5, float(np.sqrt((clicks + others + 1) / (12 * clicks * others)))
    predicted = trained.model.predict(trained.inputs(trained.data.evaluation), verbose=0)
    return float(np.corrcoef(predicted, labels)[0, 1]), len(labels) ** -0.5


def check(found: api.Run) -> None:
    """Compares a run on shuffled labels with the best constant."""
    result = found.result
    assert result.val_constant is not None
    if result.task == "rating":
        assert result.val_mae is not None and result.val_mae >= result.val_constant
    else:
        assert result.val_logloss is not None and result.val_constant_logloss is not None
        assert result.val_logloss >= result.val_constant_logloss and result.val_constant == 0.5
    much, error = told(found)
    assert abs(much) <= NOISE * error


@pytest.mark.parametrize("kind", [*SPLITS, FILES])
@pytest.mark.parametrize("task", TASKS)
def test_nothing_is_better_than_a_constant(task: str, kind: str) -> None:
    check(run(task, divided(task, kind)))


@pytest.mark.parametrize("strategy", OTHERS)
@pytest.mark.parametrize("task", TASKS)
def test_no_method_and_no_choice_of_an_epoch_is_better(task: str, strategy: str) -> None:
    data = divided(task, "random") | {"vocabulary": "train"}
    check(run(task, data, strategy, best_weights=True, early_stopping={"patience": 2}))


@pytest.mark.parametrize("task", TASKS)
def test_labels_that_say_something_are_learned(task: str) -> None:
    """The same rows before their labels are shuffled: what is checked above is no property of the models."""
    result = run(task, divided(task, "random", shuffled=False)).result
    if task == "rating":
        assert (result.val_mae or 9) < 0.7 * (result.val_constant or 0)
    else:
        assert (result.val_auc or 0) > 0.85
        assert (result.val_logloss or 9) < 0.7 * (result.val_constant_logloss or 0)


@pytest.mark.parametrize("task", TASKS)
def test_a_leak_would_be_seen(task: str) -> None:
    """A fifth of the rows that evaluate are among those that train."""
    rows, data = labelled(task, shuffled=True), divided(task, FILES)
    train, evaluation = np.split(rows, [round(0.85 * ROWS)])
    leaked = np.concatenate([train, evaluation[::5]])
    much, error = told(run(task, data | {"train_path": written(f"{task}-leaked.csv", leaked)}))
    assert much > NOISE * error
