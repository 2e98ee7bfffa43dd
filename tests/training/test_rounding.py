"""Methods whose rows are rounded after each update, through the trainer: by rows and dense."""

from dataclasses import replace

import numpy as np
import pytest
from test_trainer import TRAINING, Silent, build, by_rows, interactions, trained  # noqa: F401 - a fixture too

from bench.training.trainer import Trainer

SCALE = 0.005
both_ways = pytest.mark.parametrize("updates", ["deferred", "dense"])


def tables_of(model, data):
    return {name: model.get_layer(f"{name}_embedding").arrays()["table"] for name in data.fields}


def run_of(data, seed=0, **training):
    """The tables before and after training, and the trainer."""
    model = build(data, ("int8", "int8"))
    before = tables_of(model, data)
    run = Trainer(model, data, replace(TRAINING, batch_size=16, **training), seed)
    run.fit(Silent())
    return before, tables_of(model, data), run


def on_grid(values):
    codes = values.astype(np.float64) / SCALE
    return np.abs(codes - np.rint(codes)) < 1e-4


@pytest.mark.parametrize(
    ("updates", "jit"),
    [
        ("deferred", True),
        pytest.param("deferred", False, marks=pytest.mark.slow),
        pytest.param("dense", True, marks=pytest.mark.slow),
    ],
)
def test_all_rows_that_were_read_end_on_the_grid(by_rows, updates, jit):  # noqa: F811
    data = interactions(400, 300, 200)
    # SGD moves no row that is not read. Were rows not rounded, few would be on the grid.
    choice = {"optimizer": "sgd", "learning_rate": 0.5, "table_updates": updates, "jit": jit, "epochs": 1}
    before, after, run = run_of(data, **choice)
    assert set(run.updates_by_field().values()) == {updates}
    for name, table in after.items():
        read = np.isin(np.arange(len(table)), data.train.ids[name])
        assert 10 < read.sum() < len(table)
        assert on_grid(table[read]).all()
        assert np.mean(on_grid(before[name])) < 0.1
        assert np.any(np.abs(table[read] - before[name][read]) > SCALE)
        if updates == "deferred":
            np.testing.assert_array_equal(table[~read], before[name][~read])
        else:
            assert on_grid(table).all()


@pytest.mark.slow
@both_ways
def test_rounding_is_unbiased(by_rows, updates):  # noqa: F811
    data = interactions(4000, 600, 400)
    # With next to no learning, a number is rounded once and then stays.
    choice = {"optimizer": "sgd", "learning_rate": 1e-9, "table_updates": updates, "jit": False, "epochs": 1}
    before, after, _ = run_of(data, **choice)
    moved, up = [], []
    for name, table in after.items():
        read = np.isin(np.arange(len(table)), data.train.ids[name])
        moved.append((table[read] - before[name][read]).ravel() / SCALE)
        up.append((before[name][read] / SCALE % 1).ravel())
    moved, up = np.concatenate(moved), np.concatenate(up)
    assert len(moved) > 3000
    assert np.all(np.abs(moved) < 1 + 1e-3)
    # the neighbour above as often as the fraction says: a variance of fraction (1 - fraction)
    assert abs(moved.mean()) < 4 * np.sqrt(np.mean(up * (1 - up)) / len(moved))
    for low in np.arange(0, 1, 0.25):
        part = (up >= low) & (up < low + 0.25)
        assert np.mean(moved[part] > 0) == pytest.approx(up[part].mean(), abs=4 * 0.5 / part.sum() ** 0.5)


@pytest.mark.slow
@both_ways
def test_equal_seeds_round_alike_and_others_do_not(by_rows, updates):  # noqa: F811
    data = interactions(300)
    choice = {"table_updates": updates, "jit": False, "epochs": 1}
    one, again, other = (run_of(data, seed, **choice)[1] for seed in (3, 3, 4))
    for name in data.fields:
        np.testing.assert_array_equal(one[name], again[name])
        assert np.any(one[name] != other[name])


@pytest.mark.slow
@pytest.mark.parametrize("updates", ["deferred", pytest.param("dense", marks=pytest.mark.slow)])
def test_integers_learn_and_serve_what_was_trained(by_rows, updates):  # noqa: F811
    data = interactions(4000)
    _, history, run = trained(data, ("int8", "int8"), table_updates=updates)
    _, of_full, _ = trained(data, ("full", "full"), table_updates=updates)
    last, full = (h.epochs[-1]["train_loss"] for h in (history, of_full))
    assert last < history.epochs[0]["train_loss"]
    assert last == pytest.approx(full, rel=0.05)
    for name, size in (("user", 90), ("item", 40)):
        layer = run.model.get_layer(f"{name}_embedding")
        ids = np.arange(size, dtype=np.int32)
        np.testing.assert_array_equal(layer.to_served()(ids), layer(ids))
