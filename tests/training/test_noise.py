"""The noise of stochastic rounding: uniform, independent by row, column, step, table and seed."""

import numpy as np
import pytest
import tensorflow as tf

from bench.models.noise import noise, noise_key


def draws(rows=1000, width=64, seed=0, table=0, step=0):
    return noise(tf.range(rows), width, noise_key(seed, table, tf.constant(step))).numpy()


def reference(row, column, key):
    """The mixing function, in Python's integers."""

    def mixed(x):
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ x >> 16

    return (mixed((mixed((row * 0x9E3779B9 + key) % 2**32) + column * 0x9E3779B9) % 2**32) >> 8) / 2**24


def test_draws_against_the_formula():
    rows = [0, 7, 2**31 - 2]
    key = int(noise_key(3, 1, tf.constant(12)))
    found = noise(tf.constant(rows), 5, tf.constant(key, tf.uint32))
    np.testing.assert_array_equal(found, [[reference(r, c, key) for c in range(5)] for r in rows])


@pytest.mark.slow
@pytest.mark.parametrize("which", ["one step", "one number over steps", "one row over steps"])
def test_draws_are_uniform(which):
    if which == "one step":
        found = draws(4096, 16).ravel()
    else:
        row = tf.constant([5])
        width = 1 if which == "one number over steps" else 16
        keys = noise_key(1, 0, tf.range(65_536 // width))
        found = tf.concat([noise(row, width, key) for key in keys[:512]], 0).numpy().ravel()
    assert found.min() >= 0 and found.max() < 1
    n = len(found)
    assert abs(found.mean() - 0.5) < 4 / (12 * n) ** 0.5
    counts = np.histogram(found, 64, (0, 1))[0]
    chi = np.square(counts - n / 64).sum() / (n / 64)
    assert 63 - 4.5 * 126**0.5 < chi < 63 + 4.5 * 126**0.5


def test_draws_are_not_correlated():
    first = draws()
    others = {
        "next row": draws(1001)[1:],
        "next column": draws(width=65)[:, 1:],
        "next step": draws(step=1),
        "other table": draws(table=1),
        "other seed": draws(seed=1),
    }
    for name, other in others.items():
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 4.5 / first.size**0.5, name
        assert np.mean(first == other) < 1e-4, name


def test_equal_rows_have_equal_draws_under_xla_too():
    rows = tf.constant([4, 2, 4])
    key = noise_key(0, 0, tf.constant(9))
    compiled = tf.function(lambda r, k: noise(r, 6, k), jit_compile=True)(rows, key)
    np.testing.assert_array_equal(compiled, noise(rows, 6, key))
    np.testing.assert_array_equal(compiled[0], compiled[2])
    assert np.any(compiled[0] != compiled[1])
