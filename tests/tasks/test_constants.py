from __future__ import annotations

import math

import numpy as np
import pytest

from bench import tasks


def constants(task: str, training: list[int], evaluation: list[int]) -> dict[str, float]:
    labels = (np.array(rows, np.float32) for rows in (training, evaluation))
    return tasks.find(task).constant(*labels)


def test_the_median_of_the_rows_that_train_is_measured_on_those_that_evaluate() -> None:
    # the median of the evaluation rows is 5, with an error of 4 / 3
    assert constants("rating", [1, 2, 2, 4, 5], [1, 5, 5]) == {"val_constant": pytest.approx((1 + 3 + 3) / 3)}
    assert constants("rating", [1, 2], [1, 2, 4]) == {"val_constant": pytest.approx((0.5 + 0.5 + 2.5) / 3)}


def test_the_share_of_clicks_that_train_is_measured_on_those_that_evaluate() -> None:
    found = constants("click", [1, 0, 0, 0], [1, 1, 0, 0])
    expected = -(math.log(0.25) + math.log(0.75)) / 2
    assert found == {"val_constant": 0.5, "val_constant_logloss": pytest.approx(expected)}
