"""Ids of every type, found or known to be unknown."""

from __future__ import annotations

import numpy as np
import pytest

from bench.serving.keys import Integers, plain
from bench.serving.manifest import Ids

LARGE = 1 << 53
"""The largest whole number up to which each has a float of its own."""


@pytest.fixture
def keys() -> Integers:
    held = np.array([-1, 0, 5, LARGE, LARGE + 2], np.int64)
    return Integers(Ids("integers", len(held)), {"keys": held}, len(held), "field")


def test_unsigned_integers_beyond_64_bits_with_a_sign_are_no_negative_ids(keys: Integers) -> None:
    given = np.array([5, 2**64 - 1, 2**63, LARGE], np.uint64)
    assert keys.find(given).tolist() == [2, -1, -1, 3]


def test_floats_that_stand_for_several_integers_are_no_ids(keys: Integers) -> None:
    given = [5.0, -1.0, float(LARGE), float(LARGE + 2), 0.5, np.nan, np.inf]
    wanted = [2, 0, 3, -1, -1, -1, -1]
    assert keys.find(np.array(given)).tolist() == wanted
    assert keys.find([*given, "5", None]).tolist() == [*wanted, 2, -1]  # one by one
    assert plain(float(LARGE)) == LARGE and plain(-float(LARGE + 2)) is None
