import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Kind, Vocabulary
from bench.embeddings.methods.trained_float8 import TrainedFloat8, TrainedFloat8Settings


def method(size=1, dim=4, **settings):
    return TrainedFloat8(Vocabulary("user", size), dim, TrainedFloat8Settings(**settings))


def test_vectors_are_the_nearest_of_the_grid_and_serve_the_same():
    table = np.array([[0.7, -0.03, 1e9, 2.0**-15]], np.float32)  # of 2^-5: 22.4, -0.96, much, 2^-10
    for kind, largest in (("fp8", 7.5), ("nfp8", 14)):
        made = method(kind=kind)
        expected = [[22 / 32, -0.9375 / 32, largest, 0]]
        np.testing.assert_array_equal(made([0], {"table": table}), expected)
        arrays = made.serve({"table": table}, np.random.default_rng(0))
        np.testing.assert_array_equal(made.served()([0], arrays), expected)


@pytest.mark.parametrize(("noise", "expected"), [(0.5, [0.6875, -0.75]), (0.9, [0.75, -0.6875])])
def test_rounding_by_hand(noise, expected):
    rows = np.array([[0.7125, -0.7375]], np.float32)  # 11.4 and -11.8 times 2^-4, the distance of neighbours
    found = method(1, 2).after_update("table", rows, np.full((1, 2), noise, np.float32), np)
    np.testing.assert_array_equal(found, [expected])


def test_the_gradient_passes_the_rounding():
    row = tf.constant([[0.7, -0.03, 100.0]])
    with tf.GradientTape() as tape:
        tape.watch(row)
        out = method(1, 3).combine({"table": row}, {}, {}, keras.ops, True)
        total = tf.reduce_sum(out * [[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(out, [[0.6875, -0.9375 / 32, 14]])
    np.testing.assert_array_equal(tape.gradient(total, row), [[1, 2, 3]])


def test_bytes_by_hand():
    assert method(6040, 64).serving_bytes() == {Kind.CODES: 6040 * 64, Kind.OTHER: 1024}
