"""Small integers in bytes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.embeddings.served import bits
from bench.embeddings.served.bits import pack, packed_width, unpack


def test_by_hand():
    # 6 bits each: 000001, 100000, 111111 from the lowest bit on
    np.testing.assert_array_equal(pack(np.array([[1, 32, 63]]), 6), [[0b00000001, 0b11111000, 0b11]])


@given(rows=st.integers(0, 5), count=st.integers(1, 20), bits=st.integers(1, 8), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_unpack_undoes_pack(rows, count, bits, seed):
    values = np.random.default_rng(seed).integers(0, 1 << bits, (rows, count))
    stored = pack(values, bits)
    assert stored.dtype == np.uint8 and stored.shape == (rows, packed_width(count, bits))
    found = unpack(stored, count, bits, np)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, values)


def test_many_rows_are_packed_in_blocks(monkeypatch):
    values = np.random.default_rng(0).integers(0, 32, (50, 7))
    at_once = pack(values, 5)
    monkeypatch.setattr(bits, "BLOCK", 30)  # four rows, and the last two
    np.testing.assert_array_equal(pack(values, 5), at_once)


def test_unpack_under_xla():
    values = np.random.default_rng(0).integers(0, 32, (2, 3, 7))
    stored = pack(values.reshape(6, 7), 5).reshape(2, 3, -1)
    compiled = tf.function(lambda rows: unpack(rows, 7, 5, keras.ops), jit_compile=True)
    np.testing.assert_array_equal(compiled(tf.constant(stored)), values)


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="values from 0 to 16 in 4 bits"):
        pack(np.array([[0, 16]]), 4)
