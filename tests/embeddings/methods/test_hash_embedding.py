import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.hashing import PRIME
from bench.embeddings.methods.hash import Hash, HashSettings
from bench.errors import RequestError

HASH_BYTES = 4 * 8  # one polynomial of degree 3, its coefficients int64


def hashed(size=6040, dim=64, **settings):
    return Hash(Vocabulary("user", size), dim, HashSettings(**settings))


def test_rows_by_the_polynomial():
    method = hashed(1000, 2, num_rows=50)
    maps = method.build_maps()
    c = [int(value) for value in maps["hash"][0]]
    expected = [
        (c[0] + c[1] * i + c[2] * i**2 + c[3] * i**3) % PRIME * 50 // 2**31 for i in map(int, range(1000))
    ]
    np.testing.assert_array_equal(method.lookups(np.arange(1000), maps, np)["table"], expected)
    assert len(set(expected)) == 50


def test_the_row_is_the_vector():
    method = hashed(6, 2, num_rows=3)
    arrays = {"table": np.array([[1, 2], [3, 4], [5, 6]], np.float32), **method.build_maps()}
    rows = method.lookups(np.arange(6), arrays, np)["table"]
    np.testing.assert_array_equal(method(np.arange(6), arrays), arrays["table"][rows])


def test_seeds_and_fields_share_other_rows():
    ids = np.arange(6040)
    rows = []
    for field, seed in (("user", 0), ("user", 1), ("item", 0)):
        method = Hash(Vocabulary(field, 6040), 8, HashSettings(hash_seed=seed))
        rows.append(method.lookups(ids, method.build_maps(), np)["table"])
    assert all(np.mean(rows[0] == other) < 0.01 for other in rows[1:])


@pytest.mark.parametrize(("size", "rows"), [(6040, 604), (10, 1), (9, 1), (1, 1)])
def test_default_rows(size, rows):
    assert hashed(size).settings.num_rows == rows


def test_rows_beyond_the_vocabulary_are_not_made():
    assert hashed(50, num_rows=120).settings.num_rows == 50


def test_no_row_is_refused():
    with pytest.raises(RequestError, match="num_rows=0: give 1 or more"):
        hashed(num_rows=0)


def test_bytes_by_hand():
    assert hashed(num_rows=100).nbytes == 100 * 64 * 4 + HASH_BYTES


def test_fit_takes_the_last_row_that_fits():
    field, settings, row = Vocabulary("user", 6040), HashSettings(), 64 * 4
    assert Hash.fit(field, 64, settings, 300 * row + HASH_BYTES).num_rows == 300
    assert Hash.fit(field, 64, settings, 301 * row + HASH_BYTES - 1).num_rows == 300
    assert Hash.fit(field, 64, settings, 10**9).num_rows == 6040
    with pytest.raises(OverBudget) as caught:
        Hash.fit(field, 64, settings, row + HASH_BYTES - 1)
    assert caught.value.smallest_bytes == row + HASH_BYTES


def test_fit_keeps_given_rows_or_refuses_them():
    field = Vocabulary("user", 6040)
    assert Hash.fit(field, 64, HashSettings(num_rows=7), 10**9).num_rows == 7
    with pytest.raises(OverBudget):
        Hash.fit(field, 64, HashSettings(num_rows=7), 7 * 256)
