"""Who pays, on tables whose ids are text: numbers by hand, ids as they are in the file."""

import csv
from collections import defaultdict

import numpy as np
import pytest

import bench.data
from bench.config import compose
from bench.records.result import metrics_of
from bench.tasks import NAMES, find
from bench.training.popularity import who_pays

TRAINED, HELD_OUT = 400, 400


@pytest.fixture
def table(tmp_path):
    """Writes a table of three fields, and loads it: the first rows train, the others evaluate."""
    rng = np.random.default_rng(3)
    shops, skus = ["Köln", "a,b", "=1+1"], [f"sku {n:02d}" for n in range(15)]
    rows = [(rng.choice(skus), rng.choice(shops), rng.integers(3, 5), n) for n in range(TRAINED)]
    rows += [
        (rng.choice([*skus, "new", "newer"]), rng.choice(shops), 7, TRAINED + n) for n in range(HELD_OUT)
    ]
    path = tmp_path / "orders.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "shop", "weekday", "stars", "when"])
        writer.writerows([sku, shop, day, number % 5 + 1, number] for sku, shop, day, number in rows)

    def load(*overrides):
        settings = compose((
            "dataset=table", f"dataset.path={path}", "dataset.fields=[sku,shop,weekday]", "dataset.label=stars",
            "dataset.timestamp=when", "model=neumf", "dataset.split.kind=time", "dataset.split.train_fraction=0.5",
            *overrides,
        ))  # fmt: skip
        return bench.data.load(settings.dataset, tmp_path / "cache"), rows

    return load


def found(data):
    predictions = np.random.default_rng(4).uniform(1, 5, HELD_OUT).astype(np.float32)
    errors = np.abs(predictions.astype(float) - data.evaluation.labels)
    return who_pays(find("rating"), data, predictions), errors


def test_names_and_numbers_are_those_of_the_file(table):
    data, rows = table()
    pays, errors = found(data)
    for place, field in enumerate(("sku", "shop", "weekday")):
        own = defaultdict(list)
        for row, error in zip(rows[TRAINED:], errors, strict=True):
            own[row[place]].append(error)
        trained = [row[place] for row in rows[:TRAINED]]
        expected = sorted(
            ((np.mean(own[name]), name, len(own[name]), trained.count(name)) for name in own if len(own[name]) >= 20),
            key=lambda one: -one[0],
        )  # fmt: skip
        got = pays["val_mae_worst_ids"][field]
        assert [one["id"] for one in got] == [str(name) for _, name, _, _ in expected[:10]]
        assert [(one["rows"], one["training_rows"]) for one in got] == [one[2:] for one in expected[:10]]
        assert [one["error"] for one in got] == pytest.approx([one[0] for one in expected[:10]])
    assert {one["id"] for one in pays["val_mae_worst_ids"]["shop"]} == {"Köln", "a,b", "=1+1"}
    assert {one["id"] for one in pays["val_mae_worst_ids"]["weekday"]} == {
        "7"
    }  # 3 and 4 are in training rows only


def test_ids_that_never_train_are_the_rarest(table):
    data, rows = table()
    pays, errors = found(data)
    # 17 items: only the one of place 16, from 0, is in the last tenth. Of two that never train it is the later one.
    first = next(row[0] for row in rows[TRAINED:] if row[0].startswith("new"))
    rarest = [row[0].startswith("new") and row[0] != first for row in rows[TRAINED:]]
    assert pays["val_mae_by_field"]["sku"][9] == pytest.approx(errors[rarest].mean())
    # three weekdays, of which two train: they are in the tenths 1, 4 and 7
    assert pays["val_mae_by_field"]["weekday"] == [*[None] * 6, pytest.approx(errors.mean()), *[None] * 3]


def test_ids_without_a_row_are_one(table):
    data, rows = table("dataset.vocabulary=train")
    pays, errors = found(data)
    unknown = [row[0] in ("new", "newer") for row in rows[TRAINED:]]
    (one,) = [one for one in pays["val_mae_worst_ids"]["sku"] if one["id"] is None]
    assert one == {
        "id": None, "error": pytest.approx(errors[unknown].mean()), "rows": sum(unknown), "training_rows": 0,
    }  # fmt: skip
    assert pays["val_mae_by_field"]["sku"][9] == pytest.approx(errors[unknown].mean())  # the rarest


def test_the_ids_of_synthetic_data_are_their_numbers(tmp_path):
    settings = compose(("dataset.num_users=9", "dataset.num_items=8", "dataset.num_ratings=60"))
    data = bench.data.load(settings.dataset, tmp_path)
    pays = who_pays(find("rating"), data, data.evaluation.labels + np.float32(0.5))
    assert all(one in (None, 0.5) for own in pays["val_mae_by_field"].values() for one in own)
    assert pays["val_mae_worst_ids"] == {"user": [], "item": []}  # nobody has 20 of the 9 rows


@pytest.mark.parametrize("name", NAMES)
def test_every_task_names_metrics_of_its_own(name):
    task = find(name)
    assert {task.by_field, task.by_id[0], task.by_popularity[0]} <= metrics_of(name).keys()
