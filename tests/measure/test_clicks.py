"""Metrics of clicks, against scikit-learn and against pairs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from bench.measure import clicks
from bench.measure.metrics import popularity_deciles

RNG = np.random.default_rng(7)


def rows(n: int, ties: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    logits = RNG.normal(size=n).astype(np.float32) * 3
    if ties is not None:
        logits = np.round(logits * ties).astype(np.float32) / np.float32(ties)
    labels = (RNG.random(n) < 1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
    return labels, logits


def pairs(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """The share of pairs in the right order, ties half, each pair looked at."""
    clicked, others = predictions[labels == 1], predictions[labels == 0]
    if not len(clicked) or not len(others):
        return None
    wins = (clicked[:, None] > others).sum() + 0.5 * (clicked[:, None] == others).sum()
    return float(wins / (len(clicked) * len(others)))


@pytest.mark.parametrize("ties", [None, 1, 4])
@pytest.mark.parametrize("n", [5, 200, 3000])
def test_auc_is_that_of_scikit_learn_and_of_all_pairs(n, ties):
    labels, logits = rows(n, ties)
    labels[:2] = 0, 1
    found = clicks.auc(labels, logits)
    assert found == pytest.approx(roc_auc_score(labels, logits), abs=1e-9)
    assert found == pytest.approx(pairs(labels, logits), abs=1e-12)
    assert clicks.auc(labels, clicks.probabilities(logits)) == found


def test_auc_by_hand():
    labels = np.array([0, 0, 1, 1], np.float32)
    assert clicks.auc(labels, np.array([0.1, 0.4, 0.35, 0.8])) == 0.75
    assert clicks.auc(labels, np.full(4, 0.3)) == 0.5
    assert clicks.auc(labels, np.array([0.5, 0.2, 0.5, 0.9])) == 0.875
    assert np.isnan(clicks.auc(np.ones(3, np.float32), np.arange(3.0)))


def test_auc_counts_more_pairs_than_32_bits_hold():
    n = 400_000
    labels = np.tile(np.array([1, 0], np.float32), n // 2)
    assert clicks.auc(labels, np.zeros(n, np.float32)) == 0.5
    assert clicks.auc(labels, labels) == 1.0 and clicks.auc(labels, -labels) == 0.0


def test_log_loss_is_that_of_scikit_learn_and_needs_no_clipping():
    labels, logits = rows(1000)
    found = clicks.logloss(labels, logits)
    assert found == pytest.approx(log_loss(labels.astype(int), clicks.probabilities(logits)), abs=1e-9)
    far = np.array([200.0, -200.0], np.float32)
    assert clicks.logloss(np.array([0, 1], np.float32), far) == pytest.approx(200)
    assert clicks.logloss(np.array([1, 0], np.float32), far) < 1e-80
    assert clicks.probabilities(np.array([800.0, -800.0, 0.0], np.float32)).tolist() == [1, 0, 0.5]


def test_log_loss_of_the_share_of_clicks():
    labels = np.array([1, 0, 0, 0], np.float32)
    expected = log_loss(labels, np.full(4, 0.4))
    assert clicks.logloss_of_constant(0.4, labels) == pytest.approx(expected, abs=1e-12)
    assert clicks.logloss_of_constant(0.0, np.zeros(3, np.float32)) == 0
    assert clicks.logloss_of_constant(0.0, labels) == np.inf


def test_gauc_is_the_mean_of_the_users_weighted_by_their_rows():
    labels, logits = rows(900, 2)
    users = RNG.integers(0, 300, 900).astype(np.int32)
    total = weight = 0.0
    for user in range(300):
        own = users == user
        if 0 < labels[own].sum() < own.sum():
            total += roc_auc_score(labels[own], logits[own]) * own.sum()
            weight += own.sum()
    assert weight < 900  # some users are left out
    assert clicks.gauc(labels, logits, users) == pytest.approx(total / weight, abs=1e-9)
    assert clicks.gauc(np.ones(4, np.float32), np.arange(4.0), np.array([0, 0, 1, 1])) is None


def test_auc_by_popularity_of_the_item():
    labels, logits = rows(800, 4)
    ids = np.minimum(RNG.geometric(0.08, 800) - 1, 39).astype(np.int32)
    counts = np.bincount(ids, minlength=40)
    labels[popularity_deciles(counts)[ids] == 3] = 1
    found = clicks.auc_by_decile(labels, logits, ids, counts)
    group = popularity_deciles(counts)[ids]
    assert found == [
        None
        if (one := pairs(labels[group == d], logits[group == d])) is None
        else pytest.approx(one, abs=1e-9)
        for d in range(10)
    ]
    assert found[3] is None and found[0] is not None


def test_calibration_error_by_hand():
    p = np.array([0.1, 0.2, 0.6, 0.9])
    labels = np.array([0, 1, 1, 1], np.float32)
    assert clicks.ece(labels, p, bins=2) == pytest.approx((abs(0.15 - 0.5) + abs(0.75 - 1)) / 2, abs=1e-12)
    assert clicks.ece(labels, np.full(4, 0.75), bins=3) == pytest.approx(0, abs=1e-12)


def test_calibration_error_by_a_plain_loop():
    labels, logits = rows(1007)
    p = clicks.probabilities(logits)
    order = np.argsort(p)
    total = 0.0
    for b in range(15):
        own = [order[i] for i in range(1007) if i * 15 // 1007 == b]
        total += len(own) * abs(p[own].mean() - labels[own].mean(dtype=float))
    assert clicks.ece(labels, p) == pytest.approx(total / 1007, abs=1e-9)


def test_the_order_of_equal_predictions_does_not_matter():
    labels, logits = rows(500, 1)
    p, again = clicks.probabilities(logits), RNG.permutation(500)
    for measure in (clicks.auc, clicks.ece):
        assert measure(labels, p) == pytest.approx(measure(labels[again], p[again]), abs=1e-12)


@pytest.mark.parametrize("measure", [clicks.auc, clicks.logloss, clicks.ece])
@pytest.mark.parametrize(("labels", "says"), [
    (np.array([0, 1, 2], np.float32), "labels other than 0 and 1"),
    (np.zeros(0, np.float32), "no rows"),
    (np.zeros((3, 1), np.float32), r"must be \(rows,\)"),
])  # fmt: skip
def test_what_cannot_be_measured(measure, labels, says):
    with pytest.raises(ValueError, match=says):
        measure(labels, np.zeros(labels.shape, np.float32))
