"""What methods share."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.embeddings.base import Progress, places

integers = st.lists(st.integers(-50, 50), max_size=40)


@given(ascending=integers.map(sorted).filter(bool), values=integers)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_places_in_a_sorted_list(ascending, values):
    expected = [sum(entry < value for entry in ascending) for value in values]
    entries, wanted = np.array(ascending, np.int32), np.array(values, np.int32)
    for found in (places(entries, wanted, np), places(tf.constant(entries), tf.constant(wanted), keras.ops)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_places_under_xla():
    entries, values = (
        np.arange(0, 2000, 2, dtype=np.int32),
        np.arange(-3, 2003, dtype=np.int32).reshape(2, -1),
    )
    compiled = tf.function(lambda a, b: places(a, b, keras.ops), jit_compile=True)
    np.testing.assert_array_equal(
        compiled(tf.constant(entries), tf.constant(values)), places(entries, values, np)
    )


def test_what_of_the_run_has_gone_by_since_it_was_asked():
    asked, previous = [], 0
    for step in (3, 5, 7, 20, 21, 30):
        asked.append(Progress(step, 30, 0, 1, step == 30, previous).passed(6))
        previous = step
    assert asked == [
        False,
        True,
        False,
        True,
        False,
        True,
    ]  # multiples of 5 steps lie in (3, 5], (7, 20], (21, 30]
