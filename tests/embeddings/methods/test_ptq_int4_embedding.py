import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.methods.ptq_int4 import PTQInt4, PTQInt4Settings


def method(size=6040, dim=64, **settings):
    return PTQInt4(Vocabulary("user", size), dim, PTQInt4Settings(**settings))


def serve(table, **settings):
    made = method(*table.shape, **settings)
    return made.served(), made.serve({"table": table}, np.random.default_rng(0))


def loss(row, low, high):
    step = (high - low) / 15
    return sum((min(max(round((x - low) / step), 0), 15) * step + low - x) ** 2 for x in row)


def searched(row):
    """The greedy search of the paper, step by step: 200 steps, 16% of the range at most."""
    row = [float(x) for x in row]
    low, high = min(row), max(row)
    width = (high - low) / 200
    best = (loss(row, low, high), low, high)
    for _ in range(32):
        left, right = loss(row, low + width, high), loss(row, low, high - width)
        if left < right:
            low += width
        else:
            high -= width
        best = min(best, (min(left, right), low, high), key=lambda found: found[0])
    return best[1:]


def test_a_row_by_hand():
    form, arrays = serve(np.array([[0.0, 1.5, 0.31, 0.94, 0.7]], np.float32), range_dtype="float32")
    np.testing.assert_array_equal(arrays["codes"], [[0xF0, 0x93, 0x07]])  # two a byte, the lower half first
    np.testing.assert_allclose(form([0], arrays), [[0, 1.5, 0.3, 0.9, 0.7]], atol=1e-6)


def test_the_greedy_search_against_the_paper():
    table = np.random.default_rng(1).normal(size=(12, 9)).astype(np.float32)
    _, arrays = serve(table, clipping="greedy", range_dtype="float32")
    for row, (step, low) in zip(table, arrays["ranges"], strict=True):
        expected_low, expected_high = searched(row)
        np.testing.assert_allclose([low, low + 15 * step], [expected_low, expected_high], atol=1e-5)


def test_the_search_loses_no_accuracy():
    table = np.random.default_rng(2).normal(size=(200, 16)).astype(np.float32)
    error = {}
    for clipping in ("none", "greedy"):
        form, arrays = serve(table, clipping=clipping, range_dtype="float32")
        error[clipping] = np.square(form(np.arange(200), arrays) - table).sum(axis=1)
    assert np.all(error["greedy"] <= error["none"] * (1 + 1e-4))
    assert error["greedy"].mean() < 0.95 * error["none"].mean()


@pytest.mark.parametrize("dim", [1, 2, 3, 64])
def test_bytes_by_hand(dim):
    assert method(100, dim).nbytes == 100 * ((dim + 1) // 2 + 4)
    assert method(100, dim, range_dtype="float32").nbytes == 100 * ((dim + 1) // 2 + 8)


def test_a_budget_below_is_refused_with_what_it_takes():
    field = Vocabulary("user", 6040)
    with pytest.raises(OverBudget, match="field user: ptq_int4 takes 217440 bytes") as caught:
        PTQInt4.fit(field, 64, PTQInt4Settings(), 6040 * 36 - 1)
    assert caught.value.smallest_bytes == 6040 * 36
