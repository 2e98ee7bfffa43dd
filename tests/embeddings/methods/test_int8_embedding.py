import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings import read
from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.int8 import Int8, Int8Settings
from bench.errors import RequestError


def method(size=6040, dim=64, **settings):
    return Int8(Vocabulary("user", size), dim, Int8Settings(**settings))


def rounded(rows, noise, **settings):
    made = method(len(rows), len(rows[0]), **settings)
    return made.after_update("table", np.array(rows, np.float32), np.float32(noise), np)


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.0, [1, 0.5, -0.75]), (0.35, [1, 0.75, -0.75]), (0.99, [1, 0.75, -0.5])]
)
def test_rounding_by_hand(noise, expected):
    # in steps of 0.25: 4, 2.8 and -2.4
    np.testing.assert_array_equal(rounded([[1, 0.7, -0.6]], noise, scale=0.25), [expected])


def test_the_ends_of_the_range():
    expected = [[-32, 31.75, -32, 31.75]]
    np.testing.assert_array_equal(rounded([[-32, 31.75, -1e9, 1e9]], 0.5, scale=0.25), expected)
    table = np.array([[-32, 31.75, -1e9, 1e9]], np.float32)
    np.testing.assert_array_equal(method(1, 4, scale=0.25)([0], {"table": table}), expected)


def test_the_expectation_is_what_was_rounded():
    values = np.random.default_rng(0).uniform(-1, 1, 20).astype(np.float32)
    noise = np.random.default_rng(1).random((20_000, 20), np.float32)
    out = rounded(np.tile(values, (20_000, 1)), noise, scale=0.01)
    # a mean of 20,000 draws of a standard deviation of at most 0.005
    np.testing.assert_allclose(out.mean(axis=0, dtype=np.float64), values, atol=5 * 0.005 / 20_000**0.5)
    codes = out / np.float32(0.01)
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-4)


def test_vectors_are_the_nearest_of_the_grid_and_serve_the_same():
    made = method(1, 4, scale=0.25)
    table = np.array([[0.3, -0.4, 0.375, 0.1]], np.float32)  # 0.375 lies in the middle: to the even 2
    np.testing.assert_array_equal(made([0], {"table": table}), [[0.25, -0.5, 0.5, 0]])
    arrays = made.serve({"table": table}, np.random.default_rng(0))
    assert arrays["codes"].dtype == np.int8
    np.testing.assert_array_equal(arrays["codes"], [[1, -2, 2, 0]])
    np.testing.assert_array_equal(made.served()([0], arrays), [[0.25, -0.5, 0.5, 0]])


def test_the_gradient_passes_the_rounding():
    row = tf.constant([[0.3, -0.4, 100.0]])
    with tf.GradientTape() as tape:
        tape.watch(row)
        out = method(1, 3, scale=0.25).combine({"table": row}, {}, {}, keras.ops, True)
        total = tf.reduce_sum(out * [[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(out, [[0.25, -0.5, 31.75]])
    np.testing.assert_array_equal(tape.gradient(total, row), [[1, 2, 3]])


def test_a_quarter_of_the_bytes_and_no_other_size():
    field = Vocabulary("user", 6040)
    assert method().serving_bytes() == {Kind.CODES: 6040 * 64}
    assert Int8.fit(field, 64, Int8Settings(), 6040 * 64) == Int8Settings()
    with pytest.raises(OverBudget, match="field user: int8 takes 386560 bytes") as caught:
        Int8.fit(field, 64, Int8Settings(), 6040 * 64 - 1)
    assert caught.value.smallest_bytes == 6040 * 64


def test_a_scale_that_is_none_is_refused():
    with pytest.raises(RequestError, match=r"scale=0\.0: give a number, above 0"):
        read({"method": "int8", "scale": 0.0})
    with pytest.raises(RequestError, match=r"scale=-1\.0: give a number, above 0"):
        method(scale=-1.0)
