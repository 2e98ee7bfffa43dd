"""Dropout: shares and sizes by hand, draws that differ, gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.models.layers import Dropout

ONES = np.ones((4096, 64), np.float32)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_the_share_that_is_dropped_and_what_the_rest_becomes(rate):
    found = Dropout(rate)(ONES, training=True).numpy()
    assert np.unique(found) == pytest.approx([0, 1 / (1 - rate)])
    sd = (rate * (1 - rate)) ** 0.5
    assert abs((found == 0).mean() - rate) < 4 * sd / ONES.size**0.5
    for axis in (0, 1):
        spread = (found == 0).mean(axis).std() * ONES.shape[axis] ** 0.5
        assert spread == pytest.approx(sd, rel=0.4)


def test_draws_of_steps_and_layers_are_independent():
    keras.utils.set_random_seed(3)
    layer, other = Dropout(0.5), Dropout(0.5)
    drawn = [one(ONES, training=True).numpy().ravel() for one in (layer, layer, other)]
    near = np.corrcoef(drawn)[np.triu_indices(3, 1)]
    assert np.abs(near).max() < 4 / ONES.size**0.5
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(Dropout(0.5)(ONES, training=True).numpy().ravel(), drawn[0])


def test_nothing_is_dropped_in_evaluation():
    np.testing.assert_array_equal(Dropout(0.5)(ONES), ONES)
    np.testing.assert_array_equal(Dropout(0.0)(ONES, training=True), ONES)


def test_gradients_go_where_numbers_went():
    layer, x = Dropout(0.5), tf.constant(ONES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(found, x), found)


def test_half_precision_stays():
    assert Dropout(0.5, dtype="mixed_bfloat16")(ONES, training=True).dtype == tf.bfloat16
