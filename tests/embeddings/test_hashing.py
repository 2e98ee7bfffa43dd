"""The hashes that methods share."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from bench.embeddings.hashing import PRIME, below, coefficients, hashes, signs

IDS = np.arange(10_000_000, dtype=np.int32)


def by_hand(x, row):
    return sum(int(c) * x**power for power, c in enumerate(row)) % PRIME


@pytest.mark.parametrize("degree", [1, 3])
def test_values_are_the_polynomials(degree):
    rows = coefficients(5, seed=3, field="user", degree=degree)
    assert rows.shape == (5, degree + 1) and rows.dtype == np.int64
    ids = np.array([0, 1, 2, 12345, 2**31 - 2])
    expected = [[by_hand(int(x), row) for row in rows] for x in ids]
    np.testing.assert_array_equal(hashes(ids, rows, np), expected)


def test_values_that_need_every_bit():
    rows = np.array([[PRIME - 1] * 4])
    x = PRIME - 1
    assert hashes(np.array([x]), rows, np)[0, 0] == by_hand(x, rows[0])


def test_equal_in_keras_under_xla_and_on_any_processor():
    rows = coefficients(4, seed=0)
    ids = np.random.default_rng(0).integers(0, 2**31 - 1, 1000).astype(np.int32)
    found = hashes(ids, rows, np)

    @tf.function(jit_compile=True)
    def compiled(ids):
        values = hashes(ids, tf.constant(rows), keras.ops)
        return values, below(values, 1000, keras.ops), signs(values, keras.ops)

    for one, other in zip(
        compiled(tf.constant(ids)), (found, below(found, 1000, np), signs(found, np)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == other.dtype
    code = (
        "import numpy as np; from bench.embeddings.hashing import *; "
        "print(hashes(np.arange(100), coefficients(2, 7, 'item'), np).sum())"
    )
    plain = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F AVX512_SKX"}
    answers = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout
        for env in (dict(os.environ), plain)
    }
    assert answers == {"208006911135\n"}


def test_seeds_and_fields_have_hashes_of_their_own():
    first = coefficients(2, seed=0, field="user")
    np.testing.assert_array_equal(first, coefficients(2, seed=0, field="user"))
    for other in (coefficients(2, seed=1, field="user"), coefficients(2, seed=0, field="item")):
        assert not np.any(first == other)


def test_id_zero_has_no_fixed_place():
    places = {
        int(below(hashes(np.array([0]), coefficients(1, seed), np), 1000, np)[0, 0]) for seed in range(50)
    }
    assert len(places) > 40


@pytest.mark.slow
@pytest.mark.parametrize("degree", [1, 3])
def test_buckets_are_uniform(degree):
    size = 1000
    for seed in range(3):
        counts = np.bincount(
            below(hashes(IDS, coefficients(1, seed, degree=degree), np), size, np)[:, 0], minlength=size
        )
        assert counts.shape == (size,)
        p = stats.chisquare(counts).pvalue
        assert p > 1e-4
        if degree == 3:  # of a straight line the buckets are fuller alike than chance would have them
            assert p < 1 - 1e-4


@pytest.mark.slow
def test_hashes_are_independent_of_each_other():
    values = below(hashes(IDS, coefficients(2, seed=1), np), 40, np)
    table = np.bincount(values[:, 0] * 40 + values[:, 1], minlength=1600).reshape(40, 40)
    assert 1e-4 < stats.chi2_contingency(table).pvalue < 1 - 1e-4


@pytest.mark.slow
def test_neighbouring_ids_are_independent():
    values = below(hashes(IDS, coefficients(1, seed=2), np), 40, np)[:, 0]
    pairs = np.bincount(values[:-1:2] * 40 + values[1::2], minlength=1600).reshape(40, 40)
    assert 1e-4 < stats.chi2_contingency(pairs).pvalue < 1 - 1e-4


def test_signs_are_even_and_independent_of_the_bucket():
    values = hashes(IDS[:1_000_000], coefficients(1, seed=4), np)[:, 0]
    drawn = signs(values, np)
    assert set(np.unique(drawn)) == {-1, 1}
    table = [np.bincount(below(values[drawn == sign], 16, np), minlength=16) for sign in (-1, 1)]
    assert 1e-4 < stats.chi2_contingency(table).pvalue < 1 - 1e-4
