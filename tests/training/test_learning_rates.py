"""The learning rate of each step, by hand and as Keras's own schedules have it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from keras.optimizers import schedules

from bench.config.schema import Schedule
from bench.training.optimizers import learning_rates


def rates(steps: int, **given: Any) -> list[float]:
    own = {**dict.fromkeys([field.name for field in fields(Schedule)]), "warmup_steps": 0, **given}
    return learning_rates(0.1, Schedule(**own), steps).tolist()


def test_rates_by_hand() -> None:
    assert rates(3) == pytest.approx([0.1, 0.1, 0.1])
    # the first step has a part of the rate, the last step of the warm-up all of it, and so has the first after it
    assert rates(6, kind="linear", warmup_steps=2) == pytest.approx([0.05, 0.1, 0.1, 0.075, 0.05, 0.025])
    assert rates(5, kind="cosine", decay_steps=2, end_factor=0.5) == pytest.approx(
        [0.1, 0.075, 0.05, 0.05, 0.05]
    )
    assert rates(4, kind="exponential", decay_steps=2, decay_rate=0.25) == pytest.approx(
        [0.1, 0.05, 0.025, 0.0125]
    )
    assert rates(3, kind="inverse_time", decay_steps=1, decay_rate=1.0) == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert rates(2, kind="plateau", factor=0.5, patience=1) == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(
    ("own", "given"),
    [
        (schedules.CosineDecay(0.1, 20, alpha=0.1), {"kind": "cosine", "end_factor": 0.1}),
        (schedules.ExponentialDecay(0.1, 20, 0.7), {"kind": "exponential", "decay_rate": 0.7}),
        (schedules.InverseTimeDecay(0.1, 20, 0.7), {"kind": "inverse_time", "decay_rate": 0.7}),
        (schedules.PolynomialDecay(0.1, 20, 0.02), {"kind": "linear", "end_factor": 0.2}),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_schedules_are_those_of_keras(own: Any, given: dict[str, Any]) -> None:
    np.testing.assert_allclose(
        rates(30, decay_steps=20, **given), [float(own(step)) for step in range(30)], rtol=1e-5
    )
