"""Times from a few steps, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from bench.data import Interactions, Part
from bench.sweeps import measuring
from bench.sweeps.estimate import OVERHEAD_SECONDS
from bench.sweeps.measuring import MeasuredTimes, Rehearsal

SEEN = Rehearsal(fixed=5.0, a_row=0.001, an_epoch=0.5, evaluating_a_row=0.0001, evaluations=1)


def test_what_grows_with_epochs_and_rows():
    assert SEEN.seconds(3, 10_000, 1_000) == pytest.approx(
        5.0 + 3 * 10.0 + 3 * 0.5 + (3 + 1) * 0.1 + OVERHEAD_SECONDS
    )
    # a run that compresses what its parent has trained
    assert SEEN.seconds(0, 10_000, 1_000) == pytest.approx(5.0 + 0.1 + OVERHEAD_SECONDS)


def part(rows):
    return Part({"user": np.arange(rows, dtype=np.int32)}, np.zeros(rows, np.float32))


def planned(strategy, epochs=3, digest="d"):
    values = {"strategy": strategy, "training": {"epochs": epochs}}
    settings = SimpleNamespace(
        strategy=strategy,
        values=values,
        training=SimpleNamespace(epochs=epochs),
        methods={},
    )
    data = Interactions(
        "x", {}, part(10_000), part(400), part(600), (1.0, 5.0), item_field=None, digest=digest
    )
    return SimpleNamespace(settings=settings, data=data, methods={})


def test_each_strategy_is_measured_once(monkeypatch):
    asked = []
    monkeypatch.setattr(measuring, "rehearse", lambda run: asked.append(run.settings.strategy) or SEEN)
    times = MeasuredTimes([])
    seconds = [times.expected(planned(*one), 1) for one in (("full",), ("full", 6), ("tt",), ("full",))]
    assert asked == times.measured == ["full", "tt"]
    assert seconds[0] == seconds[2] == seconds[3] == pytest.approx(SEEN.seconds(3, 10_000, 1_000))
    assert seconds[1] == pytest.approx(SEEN.seconds(6, 10_000, 1_000))


def test_few_rows_are_the_first_ones():
    few = measuring._few(planned("full").data, 500)
    assert [len(p) for p in (few.train, few.validation, few.evaluation)] == [500, 400, 500]
    assert few.train.ids["user"].tolist() == list(range(500))
