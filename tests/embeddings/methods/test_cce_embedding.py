import numpy as np
import pytest

from bench.embeddings.base import Kind, OverBudget, Progress, Vocabulary
from bench.embeddings.hashing import coefficients
from bench.embeddings.methods.cce import CCE, CCESettings, bucket_means
from bench.errors import RequestError

PRIME = 2**31 - 1


def cce(size=6040, dim=64, **settings):
    return CCE(Vocabulary("user", size), dim, CCESettings(**settings))


def arrays_of(method, seed=0):
    rows = np.random.default_rng(seed).normal(size=method.tables()[0].shape).astype(np.float32)
    return {"rows": rows, **method.build_maps()}


def bucket(x, c, rows):
    """The hash in whole numbers without bounds."""
    return sum(int(a) * x**k for k, a in enumerate(c)) % PRIME * rows >> 31


def by_loops(method, arrays):
    """Width 5 in chunks of 3 and 2."""
    chunks, rows, width = method.shape
    tables = arrays["rows"].reshape(2, chunks, rows, width)
    out = []
    for x in range(method.vocabulary.size):
        parts = [
            tables[0, i, arrays["pointers"][x, i]] + tables[1, i, bucket(x, arrays["hashes"][i], rows)]
            for i in range(chunks)
        ]
        out.append(np.concatenate(parts)[: method.embedding_dim])
    return np.array(out)


def test_vectors_by_the_formula():
    method = cce(20, 5, num_rows=6, num_chunks=2)
    arrays = arrays_of(method)
    np.testing.assert_array_equal(method(np.arange(20), arrays), by_loops(method, arrays))


def test_pointers_begin_as_hashes_of_their_own():
    method = cce(20, 4, num_rows=7, num_chunks=2, hash_seed=3)
    drawn = coefficients(4, 3, "user")
    maps = method.build_maps()
    np.testing.assert_array_equal(maps["hashes"], drawn[:2])
    assert maps["pointers"].tolist() == [[bucket(x, c, 7) for c in drawn[2:]] for x in range(20)]
    assert not np.array_equal(maps["pointers"], cce(20, 4, num_rows=7, num_chunks=2).build_maps()["pointers"])


def changed(method, arrays, seed=1):
    progress = Progress(10, 30, epoch=1, epochs=3, epoch_ended=True)
    return method.change(progress, arrays, np.random.default_rng(seed))


def test_clusters_that_fit_all_chunks_keep_every_vector():
    """As many rows as distinct chunks: centroids are the chunks, nothing is left for the buckets."""
    method = cce(12, 6, num_rows=4, num_chunks=2)
    arrays = arrays_of(method)
    arrays["rows"][8:] = 0  # 4 distinct chunks at most: those of T0
    change = changed(method, arrays)
    assert change.reset_moments
    np.testing.assert_array_equal(method(np.arange(12), change.arrays), method(np.arange(12), arrays))
    assert not change.arrays["rows"][8:].any()
    assert not np.array_equal(change.arrays["hashes"], arrays["hashes"])


def test_a_clustering_by_loops():
    """Pointers name the nearest centroid; T1 is the mean of what is missed in a bucket of the new hash."""
    method = cce(60, 4, num_rows=5, num_chunks=2)
    arrays = arrays_of(method)
    before, new = by_loops(method, arrays), changed(method, arrays).arrays
    tables = new["rows"].reshape(2, 2, 5, 2)
    for i in range(2):
        sums, counts = np.zeros((5, 2)), np.zeros(5)
        for x in range(60):
            chunk = before[x, 2 * i : 2 * i + 2]
            distances = [np.sum((chunk - c) ** 2) for c in tables[0, i]]
            assert new["pointers"][x, i] == np.argmin(distances)
            place = bucket(x, new["hashes"][i], 5)
            sums[place] += chunk - tables[0, i, new["pointers"][x, i]]
            counts[place] += 1
        np.testing.assert_allclose(tables[1, i], sums / counts[:, None], atol=1e-5)


def test_an_empty_bucket_has_mean_zero():
    means = bucket_means(np.array([[2.0], [4.0], [5.0]], np.float32), np.array([2, 2, 0]), 4)
    np.testing.assert_array_equal(means, [[5], [0], [3], [0]])


@pytest.mark.parametrize(
    ("epochs", "end", "due"),
    [
        (1, 0.75, []),
        (2, 0.75, [1]),
        (3, 0.75, [1, 2]),
        (4, 0.75, [1, 2]),
        (8, 0.75, [1, 2, 3, 4, 5]),
        (3, 1.0, [1, 2]),
        (3, 0.0, []),
        (4, 0.5, [1]),
    ],
)
def test_epochs_after_which_ids_are_clustered(epochs, end, due):
    method = cce(clustering_end=end)
    asked = [Progress(e * 10, epochs * 10, e, epochs, True) for e in range(1, epochs + 1)]
    assert [p.epoch for p in asked if method.is_due(p)] == due
    assert not method.is_due(Progress(15, 30, 1, 3, False))


def test_bytes_by_hand():
    """302 rows of 64 numbers, twice; 4 pointers of 2 bytes for 6040 ids; 4 hashes of 4 coefficients of 8 bytes."""
    assert cce().settings.num_rows == 302 and cce().settings.num_chunks == 4
    assert cce().serving_bytes() == {Kind.TABLES: 2 * 302 * 64 * 4, Kind.MAPS: 6040 * 4 * 2 + 4 * 4 * 8}
    assert cce(num_rows=256).nbytes == 2 * 256 * 64 * 4 + 6040 * 4 + 128
    assert cce(70_000, num_rows=65_537).serving_bytes()[Kind.MAPS] == 70_000 * 4 * 4 + 128
    assert cce(1000).settings.num_rows == 50 and cce(100).settings.num_rows == 10
    assert cce(50, num_rows=99).settings.num_rows == 50
    assert cce(dim=10, num_chunks=6).settings.num_chunks == 5  # of 2: a sixth would be empty


def test_wrong_settings_are_refused():
    with pytest.raises(RequestError, match="num_chunks=65: give 1 to embedding_dim=64"):
        cce(num_chunks=65)
    with pytest.raises(RequestError, match="num_chunks=65: give 1 to embedding_dim=64"):
        CCE.fit(Vocabulary("user", 6040), 64, CCESettings(num_chunks=65), 10**9)


def test_fit_takes_fewer_chunks_where_pointers_would_take_more_than_tables():
    field = Vocabulary("user", 6040)

    def fit(budget, **settings):
        found = CCE.fit(field, 64, CCESettings(**settings), budget)
        return found.num_chunks, found.num_rows

    row, pointers = 2 * 64 * 4, 6040
    assert fit(4 * pointers + 128 + 200 * row) == (4, 200)
    assert fit(4 * pointers + 128 + 200 * row - 1) == (4, 199)
    # 48 rows take 24,576 bytes, 4 pointers and hashes an id 24,288.
    assert fit(4 * pointers + 128 + 48 * row) == (4, 48)
    assert fit(4 * pointers + 128 + 48 * row - 1)[0] == 2
    assert fit(2 * pointers + 64 + 24 * row) == (2, 24)
    assert fit(2 * pointers + 64 + 24 * row - 1)[0] == 1
    assert fit(pointers + 32 + row) == (1, 1)
    assert fit(10**9) == (4, 6040)
    assert fit(4 * pointers + 128 + 3 * row, num_chunks=4) == (4, 3)
    with pytest.raises(OverBudget) as caught:
        fit(pointers + 32 + row - 1)
    assert caught.value.smallest_bytes == pointers + 32 + row
