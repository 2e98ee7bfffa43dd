import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.methods.float16 import Float16, Float16Settings
from bench.embeddings.methods.full import Full


def served(table):
    method = Float16(Vocabulary("user", len(table)), table.shape[1])
    return method.served(), method.serve({"table": table}, np.random.default_rng(0))


def test_numbers_by_hand():
    # 11 significant bits: 2049 lies halfway between 2048 and 2050, and goes to the even one
    form, arrays = served(np.array([[1.0, -0.5], [2049.0, 1 + 2**-10]], np.float32))
    assert arrays["halves"].dtype == np.float16
    np.testing.assert_array_equal(form([0, 1], arrays), [[1, -0.5], [2048, 1 + 2**-10]])


def test_errors_are_below_one_in_2048():
    table = np.random.default_rng(1).uniform(6.2e-5, 5, (100, 7)).astype(np.float32)
    form, arrays = served(table)
    vectors = form(np.arange(100), arrays)
    assert vectors.dtype == np.float32
    assert np.max(np.abs(vectors / table - 1)) <= 2**-11


def test_numbers_beyond_the_range_become_the_largest():
    form, arrays = served(np.array([[1e6, -1e6]], np.float32))
    np.testing.assert_array_equal(form([0], arrays), [[65504, -65504]])


def test_half_the_bytes_and_no_other_size():
    field = Vocabulary("user", 6040)
    assert Float16(field, 64).nbytes == 6040 * 64 * 2
    assert Float16.fit(field, 64, Float16Settings(), 6040 * 64 * 2) == Float16Settings()
    with pytest.raises(OverBudget, match="field user: float16 takes 773120 bytes") as caught:
        Float16.fit(field, 64, Float16Settings(), 6040 * 64 * 2 - 1)
    assert caught.value.smallest_bytes == 6040 * 64 * 2


def test_what_is_trained_is_full():
    parent = Float16(Vocabulary("user", 9), 4).parent()
    assert isinstance(parent, Full) and parent.tables() == Full(Vocabulary("user", 9), 4).tables()
