import numpy as np
import pytest

from bench.measure.metrics import errors, mae_by_decile, popularity_deciles


def test_errors_by_hand():
    got = errors(np.array([1.0, 2.0, 5.0]), np.array([2.0, 2.0, 3.0]))
    assert got == {"mae": 1.0, "mse": pytest.approx(5 / 3), "rmse": pytest.approx((5 / 3) ** 0.5)}


def test_errors_are_taken_in_float64():
    # in float32, 1 + 2^-24 is 1, and ten million squares of 0.1 do not add up
    labels = np.zeros(1_000_000, np.float32)
    predictions = np.full(1_000_000, 0.1, np.float32)
    exact = float(np.float32(0.1))
    got = errors(labels, predictions)
    assert got["mae"] == pytest.approx(exact, rel=1e-14)
    assert got["mse"] == pytest.approx(exact**2, rel=1e-14)
    half = errors(np.array([2048.0], np.float16), np.array([1.0], np.float16))
    assert half["mae"] == 2047.0


def test_a_nan_prediction_shows():
    assert all(np.isnan(value) for value in errors(np.zeros(2), np.array([0.0, np.nan])).values())


@pytest.mark.parametrize(("labels", "predictions"), [((0,), (0,)), ((2,), (3,)), ((2,), (2, 1))])
def test_errors_refuse_shapes_that_do_not_fit(labels, predictions):
    with pytest.raises(ValueError, match=r"rows"):
        errors(np.zeros(labels), np.zeros(predictions))


def test_deciles_are_of_ids_and_ties_go_by_id():
    counts = np.zeros(20, np.int64)
    counts[[7, 3]] = [50, 90]
    assert list(popularity_deciles(counts)) == [
        1, 1, 2, 0, 2, 3, 3, 0, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [10, 11, 19, 101, 3706])
def test_decile_sizes_differ_by_one_at_most(size):
    sizes = np.bincount(popularity_deciles(np.arange(size)), minlength=10)
    assert sizes.sum() == size and sizes.max() - sizes.min() <= 1


def test_the_first_decile_is_the_most_popular():
    counts = np.random.default_rng(0).integers(0, 1000, 500)
    deciles = popularity_deciles(counts)
    for tenth in range(9):
        assert counts[deciles == tenth].min() >= counts[deciles == tenth + 1].max()


def test_unsigned_counts_sort_as_numbers():
    assert list(popularity_deciles(np.array([1, 3, 2], np.uint8))) == [6, 0, 3]


def test_mae_by_decile_by_hand():
    counts = np.arange(20, 0, -1)  # ids in order of popularity: two a tenth
    ids = np.array([0, 1, 1, 4, 19])
    labels = np.array([1.0, 1.0, 1.0, 3.0, 5.0], np.float32)
    predictions = np.array([2.0, 3.0, 1.0, 2.5, 1.0], np.float32)
    assert mae_by_decile(labels, predictions, ids, counts) == [1.0, None, 0.5, *[None] * 6, 4.0]


def test_a_vocabulary_smaller_than_ten():
    got = mae_by_decile(np.zeros(3), np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2]), np.array([5, 9, 5]))
    assert got == [2.0, None, None, 1.0, None, None, 3.0, None, None, None]


def test_mae_by_decile_refuses_ids_of_other_rows():
    with pytest.raises(ValueError, match=r"ids \(3,\)"):
        mae_by_decile(np.zeros(2), np.zeros(2), np.zeros(3, int), np.ones(4))
