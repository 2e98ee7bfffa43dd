import numpy as np
import pytest

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.full import Full
from bench.embeddings.methods.ptq_int8 import PTQInt8, PTQInt8Settings
from bench.errors import RequestError


def method(size=6040, dim=64, **settings):
    return PTQInt8(Vocabulary("user", size), dim, PTQInt8Settings(**settings))


def serve(table, **settings):
    made = method(*table.shape, **settings)
    return made.served(), made.serve({"table": table}, np.random.default_rng(0))


def reference(row):
    """The formula, number by number."""
    low, high = float(min(row)), float(max(row))
    step = float(np.float32((high - low) / 255))
    return [round((float(x) - low) / step) * step + low for x in row]


def test_a_row_by_hand():
    form, arrays = serve(np.array([[-1.0, 0.0, 0.0625, 1.55]], np.float32))
    np.testing.assert_array_equal(arrays["codes"], [[0, 100, 106, 255]])
    np.testing.assert_allclose(arrays["ranges"], [[0.01, -1]], rtol=1e-6)
    np.testing.assert_allclose(form([0], arrays), [[-1, 0, 0.06, 1.55]], atol=1e-6)


def test_rows_against_the_formula():
    table = np.random.default_rng(1).normal(size=(30, 5)).astype(np.float32)
    form, arrays = serve(table)
    np.testing.assert_allclose(form(np.arange(30), arrays), [reference(row) for row in table], atol=1e-6)


@pytest.mark.parametrize("range_dtype", ["float32", "float16"])
@pytest.mark.parametrize("clipping", ["none", "greedy"])
def test_errors_are_at_most_half_a_step_where_nothing_is_clipped(range_dtype, clipping):
    table = np.random.default_rng(2).normal(size=(50, 16)).astype(np.float32)
    form, arrays = serve(table, range_dtype=range_dtype, clipping=clipping)
    assert arrays["ranges"].dtype == np.dtype(range_dtype)
    steps = arrays["ranges"][:, :1].astype(np.float32)
    error = np.abs(form(np.arange(50), arrays) - table)
    inside = (arrays["codes"] > 0) & (arrays["codes"] < 255)
    assert np.all(error[inside] <= (0.5 * steps + 1e-5).repeat(16, axis=1)[inside])


@pytest.mark.parametrize("clipping", ["none", "greedy"])
def test_rows_of_equal_numbers_and_of_large_ones(clipping):
    table = np.array([[0.3, 0.3], [0, 0], [-1e38, 1e38]], np.float32)
    form, arrays = serve(table, clipping=clipping)
    np.testing.assert_array_equal(arrays["ranges"][:2], np.array([[0, 0.3], [0, 0]], np.float32))
    vectors = form(np.arange(3), arrays)
    np.testing.assert_array_equal(vectors[:2], table[:2])
    assert np.isfinite(vectors).all()


def test_bytes_by_hand():
    assert method().serving_bytes() == {Kind.CODES: 6040 * 64, Kind.OTHER: 6040 * 8}
    assert method(range_dtype="float16").nbytes == 6040 * (64 + 4)


def test_a_budget_below_is_refused_with_what_it_takes():
    field = Vocabulary("user", 6040)
    settings = PTQInt8Settings()
    assert PTQInt8.fit(field, 64, settings, 6040 * 72) == settings
    with pytest.raises(OverBudget, match="field user: ptq_int8 takes 434880 bytes") as caught:
        PTQInt8.fit(field, 64, settings, 6040 * 72 - 1)
    assert caught.value.smallest_bytes == 6040 * 72


def test_wrong_words_are_refused():
    with pytest.raises(RequestError, match="range_dtype=int8: give float32 or float16"):
        method(range_dtype="int8")
    with pytest.raises(RequestError, match="clipping=best: give none or greedy"):
        method(clipping="best")


def test_what_is_trained_is_full():
    parent = method(9, 4).parent()
    assert isinstance(parent, Full) and parent.tables() == method(9, 4).tables()


def test_blocks_of_rows_change_nothing(monkeypatch):
    table = np.random.default_rng(3).normal(size=(11, 3)).astype(np.float32)
    _, whole = serve(table)
    monkeypatch.setattr("bench.embeddings.served.quantized.BLOCK_NUMBERS", 6)
    _, parts = serve(table)
    assert all(np.array_equal(parts[name], value) for name, value in whole.items())
