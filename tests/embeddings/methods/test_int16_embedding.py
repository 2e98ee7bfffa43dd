import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.methods.int16 import Int16, Int16Settings


def method(size=6040, dim=64, **settings):
    return Int16(Vocabulary("user", size), dim, Int16Settings(**settings))


def test_codes_and_vectors_by_hand():
    made = method(1, 4, scale=0.5)
    table = np.array([[100.2, -0.6, 1e9, -1e9]], np.float32)
    arrays = made.serve({"table": table}, np.random.default_rng(0))
    assert arrays["codes"].dtype == np.int16
    np.testing.assert_array_equal(arrays["codes"], [[200, -1, 32767, -32768]])
    np.testing.assert_array_equal(made.served()([0], arrays), [[100, -0.5, 16383.5, -16384]])


def test_rounding_goes_both_ways():
    rows = np.full((1, 4), 0.00012, np.float32)  # 1.2 steps
    noise = np.array([[0.0, 0.7, 0.9, 0.99]], np.float32)
    out = method(1, 4).after_update("table", rows, noise, np)
    np.testing.assert_allclose(out, [[0.0001, 0.0001, 0.0002, 0.0002]], rtol=1e-6)


def test_half_the_bytes_and_no_other_size():
    field = Vocabulary("user", 6040)
    assert method().nbytes == 6040 * 64 * 2
    with pytest.raises(OverBudget, match="field user: int16 takes 773120 bytes"):
        Int16.fit(field, 64, Int16Settings(), 6040 * 64 * 2 - 1)
