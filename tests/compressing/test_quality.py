"""What compression has changed: numbers worked out by hand, and searches compared with plain sorting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.compressing import quality


def measured(before, after, sample=1000):
    before, after = np.asarray(before, np.float32), np.asarray(after, np.float32)
    return quality.measure(before, lambda rows: after[rows], sample)


def test_numbers_by_hand():
    # errors: 1, 0, 3; cosines: 4/5, left out, -1, 0 (a row that became zero)
    found = measured([[1, 0], [0, 0], [2, 0], [0, 3]], [[4, 3], [0, 0], [-2, 0], [0, 0]])
    assert found.rmse == pytest.approx(math.sqrt((9 + 9 + 16 + 9) / 8))
    assert found.relative_error == pytest.approx(math.sqrt(43 / 14))
    assert found.cosine_mean == pytest.approx((0.8 - 1 + 0) / 3)
    # between the smallest two of three, -1 and 0: at a hundredth of two steps
    assert found.cosine_p1 == pytest.approx(-0.98)
    assert (found.zero_rows, found.queries, found.neighbours) == (1, 3, 3)


def test_a_copy_loses_nothing():
    table = np.random.default_rng(0).normal(size=(300, 7))
    found = measured(table, table)
    assert (found.rmse, found.relative_error, found.recall_inner_product, found.recall_cosine) == (0, 0, 1, 1)
    assert found.cosine_mean == pytest.approx(1, abs=1e-7) and found.queries == 300


def test_equal_rows_are_neighbours_of_a_copy_all_the_same():
    table = np.repeat(np.random.default_rng(0).normal(size=(5, 4)), 40, axis=0)
    found = measured(table, table.copy())
    assert found.recall_inner_product == found.recall_cosine == 1


@pytest.mark.parametrize("scores", [1, 500, 1 << 22])
def test_recall_is_that_of_plain_sorting(scores, monkeypatch):
    monkeypatch.setattr(quality, "SCORES", scores)  # from ten rows a block to all
    rng = np.random.default_rng(1)
    before = (rng.normal(size=(211, 6)) * rng.uniform(0.1, 9, size=(211, 1))).astype(np.float32)
    after = before + rng.normal(size=before.shape).astype(np.float32)
    found = measured(before, after, 50)
    queries = np.sort(np.random.default_rng(quality.SAMPLE_SEED).choice(211, 50, replace=False))
    for recall, lengths in ((found.recall_inner_product, False), (found.recall_cosine, True)):
        tops = []
        for table in (before.astype(np.float64), after.astype(np.float64)):
            others = table / np.linalg.norm(table, axis=1, keepdims=True) if lengths else table
            found_scores = table[queries] @ others.T
            found_scores[np.arange(50), queries] = -np.inf
            tops.append(np.argsort(-found_scores, axis=1)[:, :10])
        wanted = np.mean([len({*a} & {*b}) / 10 for a, b in zip(*tops, strict=True)])
        assert 0.1 < wanted < 0.9
        assert recall == pytest.approx(wanted, abs=1e-9)


def test_of_equally_near_rows_the_first_are_taken():
    table = np.array([[1.0], [2], [2], [2], [1], [2]], np.float32)
    by_product, by_cosine = quality.nearest(6, lambda rows: table[rows], np.array([1, 5], np.int32), 2)
    assert by_product.tolist() == [[2, 3], [1, 2]]
    assert by_cosine.tolist() == [[0, 2], [0, 1]]


def test_a_row_is_no_neighbour_of_itself_however_far_the_others_are():
    table = np.array([[1.0, 0], [-1, 0], [-3, 1], [-2, 0]], np.float32)
    for found in quality.nearest(4, lambda rows: table[rows], np.array([0], np.int32), 3):
        assert found.tolist() == [[1, 2, 3]]


def test_tables_without_neighbours_or_without_numbers():
    one = measured([[1.0, 2]], [[1.0, 2]])
    assert (one.queries, one.neighbours, one.recall_cosine, one.cosine_mean) == (0, 0, None, 1)
    zero = measured(np.zeros((4, 2)), np.zeros((4, 2)))
    assert (zero.rmse, zero.relative_error, zero.cosine_mean, zero.cosine_p1) == (0, None, None, None)
    assert (zero.zero_rows, zero.queries, zero.recall_inner_product) == (4, 0, None)
    none = measured(np.eye(20), np.eye(20), 0)
    assert (none.queries, none.recall_cosine, none.recall_inner_product) == (0, None, None)


@pytest.mark.parametrize("size", [1e-38, 1e-20, 1e25, 3e38])
def test_numbers_of_every_size(size):
    table = (np.random.default_rng(2).uniform(-1, 1, size=(60, 5)) * size).astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        found = measured(table, -table)
        same = measured(table, table)
    assert found.relative_error == pytest.approx(2) and found.cosine_mean == pytest.approx(-1)
    assert same.recall_inner_product == same.recall_cosine == 1
    assert found.recall_inner_product == found.recall_cosine == 1  # (-a)(-b) = ab
