"""Large tables, whose weights training holds once: equal to those that are held twice, and read by rows meanwhile."""

import numpy as np
import pytest
from marks import slow_but, unlike_in_training
from test_checkpoint import Killed, KilledIn, click_trainer, rating_trainer
from test_trainer import Silent, by_rows, interactions, trained  # noqa: F401

from bench import api
from bench.config import Loader, compose
from bench.experiment import Experiment
from bench.records.checkpoint import Checkpoint
from bench.sweeps.measuring import rehearse

DATA = interactions(rows=900, validation=80)


@pytest.fixture
def once(by_rows, monkeypatch):  # noqa: F811
    """Every table counts as so large that its weights are held once."""
    monkeypatch.setattr("bench.training.layers.HELD_ONCE", 0)


def tables(run):
    return [table for table in run.loop.tables.values() if table.once]


def check_equal(one, other):
    weights, history, run = one
    assert weights.keys() == other[0].keys()
    for name in weights:
        np.testing.assert_allclose(weights[name], other[0][name], rtol=1e-6, atol=1e-7, err_msg=name)
    assert [epoch["train_loss"] for epoch in history.epochs] == [e["train_loss"] for e in other[1].epochs]
    for epoch, same in zip(history.epochs, other[1].epochs, strict=True):
        assert epoch["val_mae"] == pytest.approx(same["val_mae"], abs=1e-6)
        assert epoch["validation_mae"] == pytest.approx(same["validation_mae"], abs=1e-6)
    np.testing.assert_allclose(run.predictions, other[2].predictions, rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", slow_but(["adam"], ["adam", "sgd", "lazy_adam", "rowwise_adagrad"]))
def test_weights_and_errors_are_those_of_two_copies(by_rows, monkeypatch, optimizer):  # noqa: F811
    plain = trained(DATA, optimizer=optimizer, learning_rate=0.01, jit=False)
    monkeypatch.setattr("bench.training.layers.HELD_ONCE", 0)
    lean = trained(DATA, optimizer=optimizer, learning_rate=0.01, jit=False)
    assert len(tables(lean[2])) == 2 and not tables(plain[2])
    check_equal(lean, plain)
    saved = sum(4 * table.rows * table.width for table in tables(lean[2]))
    assert plain[2].optimizer_bytes - lean[2].optimizer_bytes == saved


@pytest.mark.slow
@pytest.mark.parametrize("method", unlike_in_training())
def test_every_kind_of_method(by_rows, monkeypatch, method):  # noqa: F811
    plain = trained(DATA, (method, method), learning_rate=0.01, jit=False)
    monkeypatch.setattr("bench.training.layers.HELD_ONCE", 0)
    check_equal(trained(DATA, (method, method), learning_rate=0.01, jit=False), plain)


def test_the_model_is_empty_while_it_trains_and_whole_afterwards(once):
    seen = []

    class Looks(Silent):
        def epoch(self, *_):
            seen.extend(table.variable.numpy().shape for table in tables(run))

    run = rating_trainer(epochs=1)
    run.fit(Looks())
    assert seen == [(0, 6), (0, 6)]
    assert [table.variable.numpy().shape for table in tables(run)] == [(90, 6), (40, 6)]
    assert [table.state.numpy().shape[0] for table in tables(run)] == [0, 0]
    np.testing.assert_allclose(run.predict(run.data.evaluation), run.predictions, rtol=0, atol=2e-6)


def test_steps_can_be_timed_when_all_is_done(once):
    run = rating_trainer(epochs=1)
    run.fit(Silent())
    before = [table.variable.numpy() for table in tables(run)]
    (chunk, *_) = run.time_steps(0.0)
    assert chunk[1] > 0
    for table, weights in zip(tables(run), before, strict=True):
        np.testing.assert_array_equal(table.variable.numpy(), weights)


@pytest.mark.parametrize(
    "setting", [{"best_weights": True}, {"embedding_l2": 0.1}, {"table_updates": "dense"}], ids=str
)
def test_weights_that_are_read_whole_stay_in_the_model(once, setting):
    assert not tables(rating_trainer(**setting))


@pytest.mark.parametrize("method", ["pep", "cce", "deeplight"])
def test_tables_that_their_method_changes_stay_in_the_model(once, method):
    assert not tables(rating_trainer(method))


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [rating_trainer, pytest.param(click_trainer, marks=pytest.mark.slow)])
def test_a_killed_training_goes_on(once, tmp_path, trainer):
    whole = trainer()
    history = whole.fit(Silent())
    killed = trainer()
    with pytest.raises(Killed):
        killed.fit(KilledIn(3), Checkpoint(tmp_path / "state", True))
    again = trainer()
    assert tables(again)
    found = again.fit(Silent(), Checkpoint(tmp_path / "state", True))
    assert [e["train_loss"] for e in found.epochs] == [e["train_loss"] for e in history.epochs]
    for one, other in zip(again.model.variables, whole.model.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    np.testing.assert_array_equal(again.predictions, whole.predictions)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["pq", "ptq_int8", "deeplight"])
def test_a_whole_run_has_equal_numbers(strategy, by_rows, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    found = []
    for folder, most in (("plain", 1 << 24), ("once", 0)):
        monkeypatch.setattr("bench.training.layers.HELD_ONCE", most)
        monkeypatch.setenv("BENCH_RESULTS_DIR", str(tmp_path / folder))
        dataset = {"num_users": 120, "num_items": 90, "num_ratings": 3000}
        training = {"epochs": 2, "learning_rate": 0.01, "progress": False}
        found.append(api.run(strategy=strategy, dataset=dataset, training=training, timing=True).result)
    assert found[0].fingerprint == found[1].fingerprint
    for metric in ("val_mae", "val_rmse", "train_loss"):
        assert found[0].metric(metric) == pytest.approx(found[1].metric(metric), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["full", "pq"])
def test_a_few_steps_can_be_measured(strategy, once, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = ("dataset.num_users=120", "dataset.num_items=90", "dataset.num_ratings=3000")
    planned = Experiment(
        compose([*given, f"strategy={strategy}", f"data_dir={tmp_path}"], Loader()), tmp_path
    )
    assert rehearse(planned).fixed > 0
