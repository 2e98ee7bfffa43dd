import numpy as np
import pytest

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.full import Full
from bench.embeddings.methods.svd import SVD, SVDSettings
from bench.errors import RequestError

TABLE = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)


def svd(size=6040, dim=64, counts=None, **settings):
    return SVD(Vocabulary("user", size, counts), dim, SVDSettings(**settings))


def vectors(method, table):
    arrays = method.serve({"table": table}, np.random.default_rng(0))
    return method.served()(np.arange(len(table)), arrays)


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_truncated_decomposition(rank):
    u, s, v = np.linalg.svd(TABLE.astype(np.float64), full_matrices=False)
    expected = (u[:, :rank] * s[:rank]) @ v[:rank]
    np.testing.assert_allclose(vectors(svd(30, 6, rank=rank), TABLE), expected, atol=1e-5)


def test_weights_by_frequency():
    counts = np.random.default_rng(1).integers(0, 50, 30)
    root = np.sqrt(1.0 + counts)[:, None]
    u, s, v = np.linalg.svd(TABLE * root, full_matrices=False)
    expected = (u[:, :2] * s[:2]) @ v[:2] / root
    found = vectors(svd(30, 6, counts, rank=2, row_weights="counts"), TABLE)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # where frequencies are not known, all count the same
    same = vectors(svd(30, 6, rank=2, row_weights="counts"), TABLE)
    np.testing.assert_array_equal(same, vectors(svd(30, 6, rank=2), TABLE))


def test_a_table_of_low_rank_is_kept():
    table = np.outer([1, 2, 3], [0.5, -1, 0, 2]).astype(np.float32)
    np.testing.assert_allclose(vectors(svd(3, 4, rank=1), table), table, atol=1e-6)
    np.testing.assert_array_equal(vectors(svd(3, 4, rank=2), 0 * table), 0 * table)


def test_bytes_by_hand():
    assert svd(rank=6).serving_bytes() == {Kind.TABLES: 4 * 6040 * 6, Kind.NETWORKS: 4 * 6 * 64}


@pytest.mark.parametrize(("size", "dim", "rank"), [(6040, 64, 16), (3, 64, 3), (10, 3, 1), (1, 1, 1)])
def test_default_rank(size, dim, rank):
    assert svd(size, dim).rank == rank


def test_fit_takes_the_largest_rank():
    field, each = Vocabulary("user", 6040), 4 * (6040 + 64)
    assert SVD.fit(field, 64, SVDSettings(), 7 * each - 1).rank == 6
    assert SVD.fit(field, 64, SVDSettings(), 7 * each).rank == 7
    assert SVD.fit(field, 64, SVDSettings(), 10**9).rank == 64
    assert SVD.fit(field, 64, SVDSettings(rank=5), 10**9).rank == 5
    with pytest.raises(OverBudget, match="field user") as caught:
        SVD.fit(field, 64, SVDSettings(), each - 1)
    assert caught.value.smallest_bytes == each


@pytest.mark.parametrize("rank", [0, 65])
def test_ranks_that_cannot_be_are_refused(rank):
    with pytest.raises(RequestError, match=f"rank={rank}: give 1 to embedding_dim=64"):
        svd(rank=rank)
    with pytest.raises(RequestError, match="row_weights=all: give none or counts"):
        svd(row_weights="all")


def test_what_is_trained_is_full():
    assert isinstance(svd().parent(), Full)


def test_training_on_begins_with_the_factors_that_would_serve():
    method, after = svd(30, 6, rank=3), svd(30, 6, rank=3, fine_tune=True)
    assert after.nbytes == method.nbytes and after.is_trained() and not method.is_trained()
    start = after.start({"table": TABLE}, np.random.default_rng(0))
    expected = vectors(method, TABLE)
    np.testing.assert_array_equal(after(np.arange(30), start), expected)
    served = after.serve(start, np.random.default_rng(0))
    np.testing.assert_array_equal(after.served()(np.arange(30), served), expected)
