import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.hashing import PRIME
from bench.embeddings.methods.bloom import Bloom, BloomSettings
from bench.errors import RequestError


def bloom(size=6040, dim=64, **settings):
    return Bloom(Vocabulary("user", size), dim, BloomSettings(**settings))


def place(i, coefficients, rows):
    return sum(int(c) * i**power for power, c in enumerate(coefficients)) % PRIME * rows // 2**31


@pytest.mark.parametrize("k", [1, 2, 3])
def test_vectors_by_the_formula(k):
    method = bloom(40, 5, num_rows=7, num_hashes=k)
    maps = method.build_maps()
    table = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    found = method(np.arange(40), {"table": table, **maps})
    for i in range(40):
        mean = sum(table[place(i, maps["hash"][j], 7)] for j in range(k)) / k
        np.testing.assert_allclose(found[i], mean, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("k", [1, 2, 8])
def test_vectors_begin_as_spread_as_those_of_a_full_table(k):
    bound = bloom(num_hashes=k).tables()[0].initializer["config"]["maxval"]
    rows = np.random.default_rng(0).uniform(-bound, bound, (2000, k))
    assert np.std(rows.mean(axis=1)) == pytest.approx(0.05 / 3**0.5, rel=0.05)


def test_bytes_by_hand():
    assert bloom(num_rows=100, num_hashes=3).nbytes == 100 * 64 * 4 + 3 * 32


def test_fit_takes_the_last_row_that_fits():
    field, rows = Vocabulary("user", 6040), 300 * 256 + 64
    assert Bloom.fit(field, 64, BloomSettings(), rows).num_rows == 300
    assert Bloom.fit(field, 64, BloomSettings(), rows - 1).num_rows == 299
    assert Bloom.fit(field, 64, BloomSettings(num_rows=7), 10**9).num_rows == 7
    assert Bloom.fit(field, 64, BloomSettings(), 10**9).num_rows == 6040
    with pytest.raises(OverBudget) as caught:
        Bloom.fit(field, 64, BloomSettings(), 319)
    assert caught.value.smallest_bytes == 320


@pytest.mark.parametrize("setting", ["num_rows", "num_hashes"])
def test_sizes_of_nothing_are_refused(setting):
    with pytest.raises(RequestError, match=f"{setting}=0: give 1 or more"):
        bloom(**{setting: 0})
