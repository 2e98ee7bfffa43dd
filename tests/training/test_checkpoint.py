"""A training that was killed goes on from the state of its last whole epoch, to equal digits."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import test_click_training as clicks
import test_trainer as ratings
from marks import slow_but, unlike_in_training
from test_trainer import TRAINING, Silent, by_rows  # noqa: F401

from bench.records.checkpoint import LONG_SECONDS, Checkpoint
from bench.training.history import History
from bench.training.trainer import Trainer

EPOCHS = 4
RATINGS = ratings.interactions(rows=600, validation=100)
CLICKS = clicks.interactions()
ADAM = {"batch_size": 32, "epochs": EPOCHS, "jit": False, "learning_rate": 0.02}
PUBLISHED = {
    "schedule": replace(TRAINING.schedule, kind="plateau", factor=0.3, patience=1, min_delta=0.0),
    "early_stopping": replace(TRAINING.early_stopping, patience=3),
    "best_weights": True,
}


class Killed(BaseException):
    """What stands for a kill."""


class KilledIn(Silent):
    """Ends training in the middle of an epoch."""

    def __init__(self, epoch):
        self.last = epoch

    def chunk(self, epoch, *_):
        if epoch == self.last:
            raise Killed


def rating_trainer(method="full", **training):
    model = ratings.build(RATINGS, (method, method))
    return Trainer(model, RATINGS, replace(TRAINING, **{**ADAM, **training}), seed=3)


def click_trainer(**training):
    """Its model has a linear part of its own, batch normalization and dropout."""
    model = clicks.build(CLICKS, given=[*clicks.WHOLE, "model.dropout=0.3"])
    return Trainer(model, CLICKS, replace(TRAINING, **{**ADAM, **training}), seed=3, task=clicks.CLICK)


def check_equal(make, folder, killed_in=3):
    """Compares a whole training with one that is killed, and goes on in a trainer of its own."""
    whole = make()
    expected = whole.fit(Silent())
    with pytest.raises(Killed):
        make().fit(KilledIn(killed_in), Checkpoint(folder, True))
    later = make()
    found = later.fit(Silent(), Checkpoint(folder, True))
    assert (found.epochs, found.best) == (expected.epochs, expected.best)
    assert [chunk[1:] for chunk in found.chunks] == [chunk[1:] for chunk in expected.chunks]
    assert 0 < found.earlier_s < found.train_s + found.eval_s and expected.earlier_s == 0
    for one, other in zip(later.model.variables, whole.model.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=one.path)
    np.testing.assert_array_equal(later.predictions, whole.predictions)
    assert len(list(folder.glob("*.safetensors"))) == 1


@pytest.mark.parametrize("method", slow_but(("full",), unlike_in_training()))
def test_every_kind_of_method_goes_on_to_equal_digits(by_rows, tmp_path, method):  # noqa: F811
    check_equal(lambda: rating_trainer(method), tmp_path / "state")


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [
        {"table_updates": "dense"},
        {"optimizer": "rmsprop", "optimizer_settings": {"momentum": 0.5}},
        {"optimizer": "lazy_adam"},
        {"optimizer": "rowwise_adagrad"},
        {"optimizer": "adam", "optimizer_settings": {"use_ema": True, "ema_momentum": 0.8}},
        {"optimizer": "adam", "optimizer_settings": {"gradient_accumulation_steps": 3}},
        {"schedule": replace(TRAINING.schedule, kind="cosine", warmup_steps=5)},
        PUBLISHED,
        {"jit": True},
        {"shuffle": "blocks"},
    ],
    ids=lambda training: ",".join(map(str, training)),
)
def test_every_kind_of_training_goes_on(by_rows, tmp_path, training):  # noqa: F811
    check_equal(lambda: rating_trainer(**training), tmp_path / "state")


@pytest.mark.slow
@pytest.mark.parametrize(
    "training", [{}, {**PUBLISHED, "clipnorm": 5.0, "embedding_l2": 0.01}], ids=["plain", "published"]
)
def test_normalization_and_dropout_go_on(by_rows, tmp_path, training):  # noqa: F811
    check_equal(lambda: click_trainer(**training), tmp_path / "state", killed_in=2)


def test_a_training_that_was_over_does_not_go_on(tmp_path):
    def make():
        return rating_trainer(**PUBLISHED, epochs=12)

    checkpoint, first = Checkpoint(tmp_path / "state", True), make()
    expected = first.fit(Silent(), checkpoint)
    again = make()
    found = again.fit(KilledIn(len(expected.epochs) + 1), checkpoint)
    assert (found.epochs, found.best) == (expected.epochs, expected.best) and len(found.epochs) < 12
    np.testing.assert_array_equal(again.predictions, first.predictions)
    for one, other in zip(again.model.variables, first.model.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    with pytest.raises(Killed):
        rating_trainer().fit(KilledIn(3), Checkpoint(folder, True))
    return folder


@pytest.fixture
def kept(killed, tmp_path):
    return Path(shutil.copytree(killed, tmp_path / "state"))


def cut(folder):
    (path,) = folder.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def head(**changed):
    def change(folder):
        path = folder / "state.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    return change


@pytest.mark.parametrize(
    "damage",
    [cut, head(format_version=2), head(history=None), lambda folder: (folder / "state.json").write_text("{")],
    ids=["array", "version", "history", "json"],
)
def test_a_damaged_state_is_said_and_not_used(kept, caplog, damage):
    assert Checkpoint(kept, True).load() is not None
    damage(kept)
    assert Checkpoint(kept, True).load() is None
    assert "training starts anew" in caplog.text


def test_a_state_without_its_arrays_is_none(kept):
    for path in kept.glob("*.safetensors"):
        path.unlink()
    assert Checkpoint(kept, True).load() is None


def test_a_full_disk_costs_nothing_but_the_state(kept, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    before = sorted(kept.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    trainer = rating_trainer()
    trainer.fit(Silent(), Checkpoint(kept, True))
    assert "is not kept (needs " in caplog.text and "10.0 bytes are free" in caplog.text
    assert sorted(kept.iterdir()) == before


def test_states_are_kept_of_long_trainings_unless_settings_say_otherwise(tmp_path):
    def history(seconds):
        return History(epochs=[{}, {}], train_s=seconds - 1.0, eval_s=1.0)

    long, short = history(LONG_SECONDS / 4), history(LONG_SECONDS / 6)
    for wanted, found in ((None, [True, False]), (True, [True, True]), (False, [False, False])):
        checkpoint = Checkpoint(tmp_path, wanted)
        assert [checkpoint.is_due(one, epochs=10) for one in (long, short)] == found
