import numpy as np
import pytest

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.families.ksvd import dictionary, encode
from bench.embeddings.methods.sparse_coding import SparseCoding, SparseCodingSettings
from bench.errors import RequestError


def coding(size=6040, dim=64, **settings):
    return SparseCoding(Vocabulary("user", size), dim, SparseCodingSettings(**settings))


def vectors(method, table, seed=0):
    arrays = method.serve({"table": table}, np.random.default_rng(seed))
    return method.served()(np.arange(len(table)), arrays)


def test_a_row_of_two_orthogonal_atoms():
    atoms = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype(np.float32)
    pointers, factors = encode(2 * atoms[3:4] - atoms[5:6], atoms, 2)
    assert pointers.tolist() == [[3, 5]]
    np.testing.assert_allclose(factors, [[2, -1]], atol=1e-6)


def test_pursuit_by_loops():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 6)).astype(np.float32)
    atoms = rng.normal(size=(15, 6))
    atoms = (atoms / np.linalg.norm(atoms, axis=1, keepdims=True)).astype(np.float32)
    pointers, factors = encode(rows, atoms, 3)
    for row, found, values in zip(rows, pointers, factors, strict=True):
        chosen, left = [], row
        for _ in range(3):
            scores = np.abs(atoms @ left)
            scores[chosen] = -1
            chosen.append(int(np.argmax(scores)))
            fitted = np.linalg.lstsq(atoms[chosen].T, row, rcond=None)[0]
            left = row - fitted @ atoms[chosen]
        assert found.tolist() == chosen
        np.testing.assert_allclose(values, fitted, rtol=1e-3, atol=1e-4)


def test_equal_atoms_and_rows_of_zeros():
    atoms = np.repeat(np.eye(2, dtype=np.float32), 2, axis=0)
    rows = np.array([[1, 0], [0, 0]], np.float32)
    pointers, factors = encode(rows, atoms, 3)
    assert all(len({*row}) == 3 for row in pointers)
    np.testing.assert_allclose(np.einsum("nk,nkd->nd", factors, atoms[pointers]), rows, atol=1e-5)
    zeros = np.zeros((30, 4), np.float32)
    np.testing.assert_array_equal(vectors(coding(30, 4, num_atoms=5), zeros), zeros)


def test_as_many_atoms_as_ids_keep_every_vector():
    table = np.random.default_rng(2).normal(size=(30, 6)).astype(np.float32)
    for terms in (1, 3):
        np.testing.assert_array_equal(vectors(coding(30, 6, num_atoms=30, num_terms=terms), table), table)


def test_a_dictionary_that_made_the_rows_is_found():
    """Rows of one atom each, of 5: what is lost is the rounding to half a 127th, and of the scale."""
    rng = np.random.default_rng(3)
    atoms = rng.normal(size=(5, 8))
    table = (rng.normal(size=(200, 1)) * atoms[rng.integers(0, 5, 200)]).astype(np.float32)
    np.testing.assert_allclose(vectors(coding(200, 8, num_atoms=5, num_terms=1), table), table, rtol=2e-3)


def test_passes_fit_better_than_the_drawn_rows():
    rng = np.random.default_rng(4)
    rows = (rng.normal(size=(400, 3)) @ rng.normal(size=(3, 10)) + 0.1 * rng.normal(size=(400, 10))).astype(
        np.float32
    )

    def error(atoms):
        np.testing.assert_allclose(np.square(atoms).sum(1), 1, rtol=1e-5)
        pointers, factors = encode(rows, atoms, 2)
        return np.square(rows - np.einsum("nk,nkd->nd", factors, atoms[pointers])).sum()

    drawn = rows[rng.choice(400, 20, replace=False)]
    drawn = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    assert error(dictionary(rows, 20, 2, rng)) < 0.6 * error(drawn)


def test_factors_in_eight_bits():
    """127ths of the largest factor, which is rounded to float16."""
    form = coding(2, 2, num_atoms=2, num_terms=2).served()
    arrays = form.packed(
        np.array([[0, 1], [1, 0]]), np.array([[1, -0.5], [0.1, 0.05]]), np.eye(2, dtype=np.float32)
    )
    assert arrays["coefficients"].tolist() == [[127, -64], [127, 64]]
    scale = float(np.float16(0.1))
    expected = [[1, -64 / 127], [scale * 64 / 127, scale]]
    np.testing.assert_allclose(form(np.arange(2), arrays), expected, rtol=1e-6)


def test_the_size_of_numbers_does_not_matter():
    table = np.random.default_rng(5).normal(size=(60, 6)).astype(np.float32)
    one = vectors(coding(60, 6, num_atoms=12, num_terms=2), table)
    for scale in (2.0**40, 2.0**-40):
        np.testing.assert_allclose(
            vectors(coding(60, 6, num_atoms=12, num_terms=2), table * np.float32(scale)) / scale,
            one,
            rtol=1e-4,
        )


def test_bytes_by_hand():
    """4 pointers and coefficients of a byte and a scale of two an id; 225 atoms of 64 numbers."""
    method = coding(3706, num_atoms=225, num_terms=4)
    assert method.serving_bytes() == {Kind.CODES: 3706 * 10, Kind.TABLES: 225 * 256}
    assert coding(3706, num_atoms=300, num_terms=1).nbytes == 3706 * 5 + 300 * 256
    assert coding(10**6, num_atoms=70_000, num_terms=2).nbytes == 10**6 * 12 + 70_000 * 256


def test_default_sizes():
    assert coding(6040).settings == SparseCodingSettings(302, 4)
    assert coding(10).settings == SparseCodingSettings(10, 4)
    assert coding(3, 2).settings == SparseCodingSettings(3, 2)
    with pytest.raises(RequestError, match="num_terms=65: give 1 to embedding_dim=64"):
        coding(num_terms=65)
    with pytest.raises(RequestError, match="num_atoms=0: give 1 or more"):
        coding(num_atoms=0)


def test_fit_takes_fewer_terms_where_they_would_take_more_than_the_dictionary():
    def fit(budget, size=3706, **settings):
        found = SparseCoding.fit(Vocabulary("item", size), 64, SparseCodingSettings(**settings), budget)
        return found.num_terms, found.num_atoms

    assert fit(94_873) == (4, 225)  # a tenth: 10 bytes an id, and 225 atoms
    assert fit(37_060 + 145 * 256) == (4, 145)  # 145 atoms take 37,120 bytes
    assert fit(37_060 + 145 * 256 - 1)[0] == 2
    assert fit(3706 * 4 + 256) == (1, 1)
    assert fit(94_873, num_terms=2) == (2, 256)  # a byte points to no more
    assert fit(94_873, num_atoms=100) == (8, 100)
    with pytest.raises(OverBudget) as caught:
        fit(3706 * 4 + 255)
    assert caught.value.smallest_bytes == 3706 * 4 + 256
    # The dictionary has at most 4,096 atoms: then terms grow.
    assert fit(10**6 * 20 + 4096 * 256, 10**6) == (6, 4096)
