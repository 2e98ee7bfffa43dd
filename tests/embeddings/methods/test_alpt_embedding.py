import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.alpt import Alpt, AlptSettings
from bench.errors import RequestError

# two rows of three numbers, and the scale's number
TABLE = np.array([[0.3, -0.4, 100.0, 0.0], [0.3, -0.4, -0.9, np.log(2) / 2]], np.float32)


def alpt(size=6040, dim=64, **settings):
    return Alpt(Vocabulary("user", size), dim, AlptSettings(**settings))


def test_vectors_by_hand():
    # scales 0.25 and, with t = log(2) / 2 and a rate of 2, 0.5; 3 bits reach from -4 to 3
    method = alpt(2, 3, bits=3, scale=0.25)
    expected = [[0.25, -0.5, 0.75], [0.5, -0.5, -1]]
    np.testing.assert_allclose(method([0, 1], {"table": TABLE}), expected, rtol=1e-6)
    arrays = method.serve({"table": TABLE}, np.random.default_rng(0))
    np.testing.assert_allclose(arrays["scales"], [[0.25], [0.5]], rtol=1e-6)
    # 1, -2, 3 and 1, -1, -2, each plus 4, three bits each from the lowest on
    np.testing.assert_array_equal(arrays["codes"], [[0b11010101, 0b1], [0b10011101, 0b0]])
    np.testing.assert_allclose(method.served()([0, 1], arrays), expected, rtol=1e-6)


@pytest.mark.parametrize("bits", range(2, 9))
def test_rounding_against_the_formula(bits):
    method, rng = alpt(20, 5, bits=bits, scale_rate=3.0), np.random.default_rng(bits)
    rows, noise = rng.normal(0, 0.3, (20, 6)).astype(np.float32), rng.random((20, 6), np.float32)
    out = method.after_update("table", rows, noise, np)
    half = 2 ** (bits - 1)
    for i in range(20):
        scale = 0.08 / 2 ** (bits / 2) * np.exp(3.0 * float(rows[i, 5]))
        for j in range(5):
            code = np.floor(float(rows[i, j]) / scale + float(noise[i, j]))
            assert out[i, j] == pytest.approx(min(max(code, -half), half - 1) * scale, rel=1e-4, abs=1e-6)
    np.testing.assert_array_equal(out[:, 5], rows[:, 5])


def test_gradients_against_the_formula():
    method, g = alpt(2, 3, bits=3, scale=0.25), np.array([[1.0, 2, 3], [4, 5, 6]], np.float32)
    rows = tf.constant(TABLE)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        out = method.combine({"table": rows}, {}, {}, keras.ops, True)
        total = tf.reduce_sum(out * g)
    np.testing.assert_allclose(out, [[0.25, -0.5, 0.75], [0.5, -0.5, -1]], rtol=1e-6)
    # by the scale: k - w / s, for what is beyond the range its end; by t: that times s and the rate, 2
    by_scale = [[1 - 1.2, -2 + 1.6, 3], [1 - 0.6, -1 + 0.8, -2 + 1.8]]
    by_t = (np.array(by_scale) * g).sum(axis=1) * [0.25 * 2, 0.5 * 2]
    expected = [[1, 2, 0, by_t[0]], [4, 5, 6, by_t[1]]]
    np.testing.assert_allclose(tape.gradient(total, rows), expected, rtol=1e-5, atol=1e-5)


def test_bytes_by_hand():
    assert alpt().serving_bytes() == {Kind.CODES: 6040 * 64, Kind.OTHER: 6040 * 4}
    assert alpt(dim=5, bits=3).nbytes == 6040 * (2 + 4)


def test_defaults():
    assert alpt().settings == AlptSettings(8, 0.005, 2.0)
    assert alpt(bits=4).settings.scale == 0.02


def test_fit_takes_the_most_bits():
    field = Vocabulary("user", 100)
    assert Alpt.fit(field, 64, AlptSettings(), 10**9).bits == 8
    assert Alpt.fit(field, 64, AlptSettings(), 100 * (24 + 4)).bits == 3
    assert Alpt.fit(field, 64, AlptSettings(), 100 * (24 + 4) - 1).bits == 2
    assert Alpt.fit(field, 64, AlptSettings(bits=4), 10**9).bits == 4
    with pytest.raises(OverBudget, match="field user") as caught:
        Alpt.fit(field, 64, AlptSettings(), 100 * (16 + 4) - 1)
    assert caught.value.smallest_bytes == 100 * (16 + 4)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("bits", 1, "bits=1: give a whole number, at least 2 and at most 8"),
        ("bits", 9, "bits=9: give"),
        ("scale", 0.0, r"scale=0\.0: give a number, above 0"),
        ("scale_rate", -1.0, r"scale_rate=-1\.0: give a number, at least 0"),
    ],
)
def test_wrong_settings_are_refused(setting, value, words):
    with pytest.raises(RequestError, match=words):
        alpt(**{setting: value})
