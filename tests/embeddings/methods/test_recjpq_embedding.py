import numpy as np
import pytest

from bench.embeddings.base import Kind, Pairs, Vocabulary
from bench.embeddings.methods.recjpq import RecJPQ, RecJPQSettings, quantiles, singular_vectors


def recjpq(size=6040, dim=64, pairs=None, **settings):
    return RecJPQ(Vocabulary("user", size, pairs=pairs), dim, RecJPQSettings(**settings))


def blocks(first=20, second=10):
    """Ids of each block occur with each of the 6 others of their block, twice, and with no others."""
    ids = np.repeat(np.arange(first + second), 12)
    others = np.tile(np.repeat(np.arange(6), 2), first + second) + 6 * (ids >= first)
    return [Pairs(ids.astype(np.int32), others.astype(np.int32), 12)]


def test_vectors_are_the_entries_that_the_codes_name():
    """Width 5 in 2 parts, 3 and 2 numbers; entry c of part j is row 2 c + j."""
    method = recjpq(7, 5, num_parts=2, num_codes=3)
    (table,) = method.tables()
    assert table.shape == (6, 3)
    entries = np.arange(18, dtype=np.float32).reshape(6, 3)
    codes = np.array([[0, 0], [0, 1], [2, 1], [1, 2], [2, 2], [1, 0], [0, 2]], np.uint8)
    arrays = {"entries": entries, "codes": codes}
    expected = [[*entries[2 * c], *entries[2 * d + 1, :2]] for c, d in codes]
    np.testing.assert_array_equal(method(np.arange(7), arrays), expected)
    served = method.serve(arrays, np.random.default_rng(0))
    np.testing.assert_array_equal(method.served()(np.arange(7), served), expected)


def test_codes_separate_ids_that_never_occur_with_the_same_others():
    """The larger block has the larger singular value: the first vector is constant on it, and zero on the other."""
    method = recjpq(30, 4, blocks, num_parts=2, num_codes=3)
    first = method.build_maps()["codes"][:, 0]
    assert np.bincount(first).tolist() == [10, 10, 10]
    (own,) = {*range(3)} - {*first[:20]}
    assert (first[20:] == own).all()


def test_singular_vectors_are_those_of_the_matrix_of_zeros_and_ones():
    pairs = blocks()[0]
    matrix = np.zeros((30, 12))
    matrix[pairs.ids, pairs.others] = 1
    u, s, _ = np.linalg.svd(matrix)
    assert s[:2] == pytest.approx([np.sqrt(120), np.sqrt(60)])
    found = singular_vectors(pairs, 30, 2, np.random.default_rng(0))
    np.testing.assert_allclose(np.abs(found), np.abs(u[:, :2]), atol=1e-5)
    assert singular_vectors(pairs, 30, 40, np.random.default_rng(0)).shape == (30, 12)


def test_the_field_with_the_most_ids_decides():
    small = Pairs(np.arange(30), np.arange(30) % 2, 2)
    one, two = (recjpq(30, 4, lambda rows=rows: rows) for rows in (blocks(), [small, *blocks()]))
    np.testing.assert_array_equal(one.build_maps()["codes"], two.build_maps()["codes"])
    assert (one.build_maps()["codes"] != recjpq(30, 4, lambda: [small]).build_maps()["codes"]).any()


def test_as_many_codes_as_ids_give_each_id_an_entry():
    for pairs in (None, blocks):
        codes = recjpq(30, 4, pairs, num_parts=1, num_codes=30).build_maps()["codes"]
        assert sorted(codes[:, 0]) == list(range(30))


def test_ids_without_rows_get_random_codes():
    """30 of 130 ids occur. The others are spread over all codes, as without data."""
    codes = recjpq(130, 4, blocks, num_parts=2, num_codes=4).build_maps()["codes"]
    for group in (codes[30:], recjpq(130, 4, num_parts=2, num_codes=4).build_maps()["codes"]):
        assert all((np.bincount(column, minlength=4) >= len(group) // 4).all() for column in group.T)
        assert not np.array_equal(group[:, 0], group[:, 1])
    drawn = recjpq(130, 4, blocks, num_parts=2, num_codes=4, code_source="random").build_maps()["codes"]
    np.testing.assert_array_equal(
        drawn, recjpq(130, 4, num_parts=2, num_codes=4, code_source="svd").build_maps()["codes"]
    )
    other = recjpq(130, 4, num_parts=2, num_codes=4, code_seed=1).build_maps()["codes"]
    assert (drawn != other).any()


def test_ranges_by_rank():
    numbers = np.array([[0.3, 5], [-1, 5], [7, 5], [0.1, 5], [0.2, 5]], np.float32)
    found = quantiles(numbers, 3, np.random.default_rng(0))
    assert found[:, 0].tolist() == [1, 0, 2, 0, 1]  # ranks 3, 0, 4, 1, 2: floor(3 rank / 5)
    assert sorted(found[:, 1]) == [0, 0, 1, 1, 2] and found[:, 1].tolist() != [0, 0, 1, 1, 2]


def test_bytes_by_hand():
    """3,706 ids of 8 codes of a byte, and 256 entries of 64 numbers: a tenth of full."""
    method = recjpq(3706, num_parts=8, num_codes=256)
    assert method.serving_bytes() == {Kind.CODES: 3706 * 8, Kind.TABLES: 256 * 64 * 4}
    assert method.nbytes == 95_184
