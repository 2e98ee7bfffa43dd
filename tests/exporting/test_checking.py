"""The comparison of an export with what it has to give, without the process that computes the differences."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.errors import RunFailed
from bench.exporting import checking
from bench.serving.compare import largest


def compared(apart: float, monkeypatch: pytest.MonkeyPatch) -> float:
    method = find("full")(Vocabulary("user", 3), 2)
    wanted = checking.of_field(0, 3, lambda rows: np.full((len(rows), 2), -4.0), None)
    monkeypatch.setattr(checking, "_ask", lambda *arguments: {"differences": {"fields.user": apart}})
    return checking.compare(Path(), wanted, {"user": method}, "Keras")[""]["fields.user"]


@pytest.mark.parametrize("apart", [4.001e-6, math.inf, math.nan])
def test_what_is_not_within_its_tolerance_is_refused(apart: float, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        RunFailed, match=rf"^fields.user: the export differs from Keras by {apart:.3g}, more than 4e-06"
    ):
        compared(apart, monkeypatch)


def test_tolerances_grow_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compared(3.999e-6, monkeypatch) == 3.999e-6  # the largest number is 4


def test_nan_is_as_far_as_can_be_from_a_number() -> None:
    number, nan = np.float32([1, 2]), np.float32([1, np.nan])
    assert largest(number, np.float32([1, 4])) == 2 and largest(nan, nan) == 0
    assert largest(number, nan) == largest(nan, number) == largest(number, number[:1]) == math.inf
    assert largest(np.float32([np.inf]), np.float32([np.inf])) == 0
