import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings import read
from bench.embeddings.base import Kind, OverBudget, Progress, Vocabulary
from bench.embeddings.methods.dqrm import DQRM, DQRMSettings
from bench.errors import RequestError

TABLE = np.array([[0.7, -0.1], [0.04, 0.2]], np.float32)


def dqrm(size=2, dim=2, **settings):
    return DQRM(Vocabulary("user", size), dim, DQRMSettings(**settings))


def at(step, previous, steps=100):
    return Progress(step, steps, epoch=0, epochs=1, epoch_ended=step == steps, previous=previous)


def test_the_step_of_a_table_by_hand():
    method = dqrm(bits=4, granularity="table")
    arrays = {"table": TABLE, **method.change(at(1, 0), {"table": TABLE}, None).arrays}
    assert arrays["step"] == pytest.approx(0.1)
    np.testing.assert_allclose(method([0, 1], arrays), [[0.7, -0.1], [0, 0.2]], atol=1e-7)
    served = method.serve(arrays, np.random.default_rng(0))
    codes = np.array([[7, -1], [0, 2]]) + 8
    np.testing.assert_array_equal(served["codes"][:, 0], codes[:, 0] + 16 * codes[:, 1])
    np.testing.assert_array_equal(method.served()([0, 1], served), method([0, 1], arrays))


def test_the_step_of_a_row_by_hand():
    method = dqrm(bits=4)
    expected = np.array([[0.7, -0.1], [0.2 / 7, 0.2]])  # steps 0.1 and 0.2 / 7, codes 7, -1 and 1, 7
    np.testing.assert_allclose(method([0, 1], {"table": TABLE}), expected, rtol=2**-11)
    served = method.serve({"table": TABLE}, np.random.default_rng(0))
    np.testing.assert_array_equal(served["scales"], np.array([[0.1], [0.2 / 7]], np.float16))
    np.testing.assert_array_equal(method.served()([0, 1], served), method([0, 1], {"table": TABLE}))


def test_before_the_first_renewal_the_step_is_that_of_the_initial_bound():
    arrays = {"table": np.array([[0.05, 0.012]], np.float32), "step": np.zeros(1, np.float32)}
    found = dqrm(1, 2, bits=3, granularity="table")([0], arrays)
    np.testing.assert_allclose(found, [[0.05, 0.05 / 3]], rtol=1e-6)


def test_eight_bits_are_within_half_a_step_of_full():
    table = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    error = np.abs(dqrm(50, 16)(np.arange(50), {"table": table}) - table)
    # the largest number of a row may lie beyond the last multiple by the rounding of the step
    assert np.all(error <= np.abs(table).max(axis=1, keepdims=True) / 127 * (0.5 + 127 * 2**-11))


def test_the_error_of_normal_numbers_is_that_of_evenly_spaced_ones():
    table = np.random.default_rng(1).normal(size=(2000, 64)).astype(np.float32)
    largest = np.abs(table).max()
    expected = {"row": np.mean((np.abs(table).max(axis=1) / 7) ** 2) / 12, "table": (largest / 7) ** 2 / 12}
    for granularity, error in expected.items():
        method = dqrm(2000, 64, bits=4, granularity=granularity)
        found = method(np.arange(2000), {"table": table, "step": np.array([largest / 7], np.float32)})
        assert np.square(found - table).mean() == pytest.approx(error, rel=0.05)
    assert expected["row"] < 0.4 * expected["table"]


def test_the_gradient_is_that_of_the_row_also_where_it_clips():
    row = tf.constant([[0.3, -0.04, 100.0]])
    for granularity in ("row", "table"):
        method = dqrm(1, 3, bits=4, granularity=granularity)
        with tf.GradientTape() as tape:
            tape.watch(row)
            out = method.combine({"table": row}, {}, {"step": tf.constant([0.1])}, keras.ops, True)
            total = tf.reduce_sum(out * [[1.0, 2.0, 3.0]])
        np.testing.assert_array_equal(tape.gradient(total, row), [[1, 2, 3]])
    np.testing.assert_allclose(out, [[0.3, 0, 0.7]], atol=1e-5)


def test_rows_of_zeros_are_zeros():
    np.testing.assert_array_equal(
        dqrm(bits=2)([0, 1], {"table": np.zeros((2, 2), np.float32)}), np.zeros((2, 2))
    )


def test_the_step_of_a_table_is_renewed_at_the_first_chunk_and_every_twentieth():
    by_table = dqrm(granularity="table")
    due = [
        step for step in range(4, 101, 4) if by_table.is_due(at(step, step - 4))
    ]  # multiples of 5 lie between
    assert due == [4, 8, 12, 16, 20, 28, 32, 36, 40, 48, 52, 56, 60, 68, 72, 76, 80, 88, 92, 96, 100]
    assert not any(dqrm().is_due(at(step, step - 1)) for step in range(1, 101))


def test_bytes_by_hand_and_the_most_bits_within():
    assert dqrm(100, 64, bits=4).serving_bytes() == {Kind.CODES: 3200, Kind.OTHER: 200}
    assert dqrm(100, 5, bits=3, granularity="table").serving_bytes() == {Kind.CODES: 200, Kind.OTHER: 4}
    field, full = Vocabulary("user", 100), 100 * 64 * 4
    for share, bits in ((0.2, 6), (0.1, 2), (1, 8)):
        assert DQRM.fit(field, 64, DQRMSettings(), int(share * full)).bits == bits
    with pytest.raises(OverBudget) as caught:
        DQRM.fit(field, 64, DQRMSettings(), 100)
    assert caught.value.smallest_bytes == 100 * 18


def test_wrong_settings():
    with pytest.raises(RequestError, match="bits=9"):
        dqrm(bits=9)
    with pytest.raises(RequestError, match="granularity=column: give row or table"):
        read({"method": "dqrm", "granularity": "column"})
