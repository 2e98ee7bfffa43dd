import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.hashing import PRIME
from bench.embeddings.methods.hash_embedding import HashEmbedding, HashEmbeddingSettings
from bench.errors import RequestError


def hash_embedding(size=6040, dim=64, **settings):
    return HashEmbedding(Vocabulary("user", size), dim, HashEmbeddingSettings(**settings))


def place(i, coefficients, rows):
    return sum(int(c) * i**power for power, c in enumerate(coefficients)) % PRIME * rows // 2**31


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("weight_rows", [9, 40])
def test_vectors_by_the_formula(k, weight_rows):
    method = hash_embedding(40, 5, num_rows=7, num_weight_rows=weight_rows, num_hashes=k)
    maps, rng = method.build_maps(), np.random.default_rng(0)
    table = rng.normal(size=(7, 5)).astype(np.float32)
    importance = rng.normal(size=(weight_rows, k)).astype(np.float32)
    found = method(np.arange(40), {"table": table, "importance": importance, **maps})
    for i in range(40):
        own = importance[i if weight_rows == 40 else place(i, maps["hash"][k], weight_rows)]
        expected = sum(own[j] * table[place(i, maps["hash"][j], 7)] for j in range(k))
        np.testing.assert_allclose(found[i], expected, rtol=1e-5, atol=1e-6)


def test_importances_by_the_rule():
    assert [t.shape for t in hash_embedding().tables()] == [(604, 64), (6040, 2)]
    assert hash_embedding(num_rows=100).num_weight_rows == 3200  # half of the numbers each
    assert hash_embedding(num_rows=100, num_hashes=3).num_weight_rows == 2133
    assert hash_embedding(num_weight_rows=10**6).num_weight_rows == 6040
    assert hash_embedding(3, 1, num_rows=1).num_weight_rows == 1


def test_vectors_begin_as_spread_as_those_of_a_full_table():
    table, importance = hash_embedding(num_hashes=4).tables()
    assert table.initializer["config"]["maxval"] == pytest.approx(0.05 / 2)
    assert importance.initializer == "ones"


def test_bytes_by_hand():
    assert hash_embedding(num_rows=604).nbytes == (604 * 64 + 6040 * 2) * 4 + 3 * 32


def test_fit_takes_the_last_row_that_fits():
    field, settings = Vocabulary("user", 6040), HashEmbeddingSettings()
    own = 6040 * 8 + 96
    fitted = HashEmbedding.fit(field, 64, settings, 300 * 256 + own)
    assert (fitted.num_rows, fitted.num_weight_rows) == (300, 6040)
    assert HashEmbedding.fit(field, 64, settings, 300 * 256 + own - 1).num_rows == 299
    fitted = HashEmbedding.fit(field, 64, settings, 100 * 512 + 96)
    assert (fitted.num_rows, fitted.num_weight_rows) == (100, 3200)
    with pytest.raises(OverBudget) as caught:
        HashEmbedding.fit(field, 64, settings, 512 + 95)
    assert caught.value.smallest_bytes == 512 + 96


def test_fit_keeps_what_is_given():
    field = Vocabulary("user", 6040)
    rows = HashEmbedding.fit(field, 64, HashEmbeddingSettings(num_weight_rows=10), 10 * 8 + 96 + 5 * 256)
    assert (rows.num_rows, rows.num_weight_rows) == (5, 10)
    importances = HashEmbedding.fit(field, 64, HashEmbeddingSettings(num_rows=5), 5 * 256 + 96 + 1000 * 8)
    assert (importances.num_rows, importances.num_weight_rows) == (5, 1000)
    both = HashEmbeddingSettings(num_rows=5, num_weight_rows=10)
    assert HashEmbedding.fit(field, 64, both, 10**6).num_rows == 5
    with pytest.raises(OverBudget):
        HashEmbedding.fit(field, 64, both, 100)


@pytest.mark.parametrize("setting", ["num_rows", "num_weight_rows", "num_hashes"])
def test_sizes_of_nothing_are_refused(setting):
    with pytest.raises(RequestError, match=f"{setting}=0: give 1 or more"):
        hash_embedding(**{setting: 0})
