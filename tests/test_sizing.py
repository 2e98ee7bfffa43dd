"""The memory of a run is known before anything is built, and judged by what is free."""

from pathlib import Path

import pytest

from bench import sizing
from bench.config import Loader, compose
from bench.errors import RequestError
from bench.experiment import Experiment
from bench.measure import memory
from bench.sweeps.plan import Times, plan

FULL = 4 * 16 * (600 + 500)
"""Bytes of the full tables below."""


def experiment(data_dir: Path, folder: Path, *overrides: str) -> Experiment:
    given = ("dataset.num_users=600", "dataset.num_items=500", "dataset.num_ratings=3000", "embedding_dim=16")
    return Experiment(compose([*given, f"data_dir={data_dir}", *overrides], Loader()), folder)


@pytest.mark.parametrize(
    ("given", "copies"),
    [
        ((), 4),  # weights, a working copy or gradients, two moments
        (("training.optimizer=sgd",), 2),
        (("training.optimizer=adagrad",), 3),
        (("training.optimizer=rowwise_adagrad",), 2),
        (("strategy=qr", "budget=0.25"), 1),
    ],
)
def test_tables_are_counted_with_what_training_keeps_beside_them(given, copies, data_dir, tmp_path):
    run = experiment(data_dir, tmp_path, *given)
    assert sizing.table_bytes(run.settings, run.methods) == pytest.approx(copies * FULL, rel=0.05)


@pytest.mark.parametrize(
    ("given", "copies"),
    [
        ((), 3),
        (("training.optimizer=rowwise_adagrad",), 1),
        (("training.optimizer=nadam",), 4),  # has no form for rows
        (("training.table_updates=dense",), 4),
        (("training.best_weights=true", "dataset.split.validation_fraction=0.1"), 4),
        (("strategy=deeplight",), 4),
    ],
)
def test_of_large_tables_there_is_no_working_copy(given, copies, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(sizing, "HELD_ONCE", 1000)
    run = experiment(data_dir, tmp_path, *given)
    assert sizing.table_bytes(run.settings, run.methods) == pytest.approx(copies * FULL, rel=0.05)


def test_the_best_weights_are_kept_beside_the_others(data_dir, tmp_path):
    kept = ("dataset.split.validation_fraction=0.1", "training.best_weights=true")
    peaks = []
    for given in (kept[:1], kept):
        run = experiment(data_dir, tmp_path, *given)
        peaks.append(sizing.peak_bytes(run.settings, run.methods, run.data))
    assert peaks[1] - peaks[0] == FULL
    assert peaks[0] == memory.expected_peak_bytes(FULL, 3000)


@pytest.mark.parametrize(
    ("given", "free", "says"),
    [
        ((), 3 * FULL, "embedding_dim=8 would fit"),  # no budget makes full tables smaller
        (("strategy=hash", "budget=0.5"), 2 * FULL - 1000, "budget=0.25 or embedding_dim=8 would fit"),
        (("strategy=hash", "budget=0.5"), FULL, "budget=0.25 or embedding_dim=8 would fit"),
        (("model=fm", "model.linear=own"), FULL, "free; embedding_dim=2 would fit"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(given, free, says, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: free)
    run = experiment(data_dir, tmp_path, *given)
    with pytest.raises(RequestError) as raised:
        run.build()
    message = str(raised.value)
    assert message.startswith("embedding_dim=16: training these tables takes ") and message.endswith(says)
    assert "\n" not in message and "of memory are free" in message
    planned = plan(run.settings, Times([]))
    assert (planned.status, planned.message) == ("refused", message)
    assert not list(tmp_path.iterdir())


def test_what_fits_at_no_size_is_said(data_dir, tmp_path):
    run = experiment(data_dir, tmp_path, "strategy=qr", "budget=0.5")
    with pytest.raises(RequestError, match=r"nothing smaller was found that fits$"):
        sizing.check_memory(run.settings, run.methods, run.data, 1000)


def test_what_a_refusal_names_does_fit(data_dir, tmp_path):
    run = experiment(data_dir, tmp_path, "strategy=hash", "budget=0.5")
    free = sizing.table_bytes(run.settings, run.methods) // 3
    with pytest.raises(RequestError) as raised:
        sizing.check_memory(run.settings, run.methods, run.data, free)
    for named in str(raised.value).rpartition("; ")[2].removesuffix(" would fit").split(" or "):
        other = experiment(data_dir, tmp_path, "strategy=hash", "budget=0.5", named)
        sizing.check_memory(other.settings, other.methods, other.data, free)
