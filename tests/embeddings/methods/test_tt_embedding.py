from math import prod

import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.tt import TT, TTSettings, factor_rows, factor_width
from bench.errors import RequestError


def tt(size=6040, dim=64, **settings):
    return TT(Vocabulary("user", size), dim, TTSettings(**settings))


def arrays_of(method):
    rng = np.random.default_rng(0)
    return {t.name: rng.normal(size=t.shape).astype(np.float32) for t in method.tables()}


def by_loops(method, arrays):
    """Every vector from the formula, number by number."""
    n, d, r = method.num_rows, method.widths, method.ranks
    cores = [
        arrays[f"core_{k + 1}"].reshape(n[k], r[k], d[k], r[k + 1]).astype(np.float64) for k in range(len(n))
    ]
    out = np.zeros((prod(n), prod(d)))
    for i, digits in enumerate(np.ndindex(*n)):
        for j, parts in enumerate(np.ndindex(*d)):
            product = np.eye(1)
            for core, digit, part in zip(cores, digits, parts, strict=True):
                product = product @ core[digit, :, part]
            out[i, j] = product[0, 0]
    return out[: method.vocabulary.size, : method.embedding_dim]


@pytest.mark.parametrize("num_cores", [2, 3])
@pytest.mark.parametrize(
    ("size", "dim", "rank"), [(1, 1, 1), (23, 8, 3), (23, 7, 2), (5, 3, 100), (8, 10, 1)]
)
def test_vectors_from_the_formula(num_cores, size, dim, rank):
    method = tt(size, dim, rank=rank, num_cores=num_cores)
    arrays = arrays_of(method)
    expected = by_loops(method, arrays)
    np.testing.assert_allclose(method(np.arange(size), arrays), expected, rtol=1e-4, atol=1e-5)


def test_digits_by_hand():
    method = tt(30, 8, rank=2)
    assert method.num_rows == (3, 3, 4)
    rows = method.lookups(np.array([0, 5, 29]), {}, np)
    assert [rows[f"core_{k}"].tolist() for k in (1, 2, 3)] == [[0, 0, 2], [0, 1, 1], [0, 1, 1]]


def test_the_largest_ids_have_exact_digits():
    size = 2**31 - 1
    method = tt(size, 8)
    rows = method.lookups(np.array([size - 1, 2**24 + 1]), {}, np)
    a, b, c = (rows[f"core_{k}"].astype(np.int64) for k in (1, 2, 3))
    _, middle, last = method.num_rows
    assert ((a * middle + b) * last + c).tolist() == [size - 1, 2**24 + 1]


def test_factors_by_hand():
    assert factor_rows(6040, 3) == (19, 18, 18) and factor_rows(3706, 3) == (16, 16, 15)
    assert factor_rows(6040, 2) == (78, 78) and factor_rows(1, 3) == (1, 1, 1)
    assert factor_rows(27, 3) == (3, 3, 3) and factor_rows(28, 3) == (4, 3, 3)
    for size in [*range(1, 300), 10**7, 2**31 - 1]:
        assert all(prod(factor_rows(size, count)) >= size for count in (2, 3))
    widths = {64: (4, 4, 4), 50: (5, 5, 2), 16: (4, 2, 2), 7: (2, 2, 2), 3: (3, 1, 1), 1: (1, 1, 1)}
    assert {width: factor_width(width, 3) for width in widths} == widths
    assert factor_width(64, 2) == (8, 8) and factor_width(7, 2) == (4, 2)
    assert tt(dim=50).widths == (5, 2, 5)


def test_sizes_by_hand():
    method = tt(rank=22)
    assert [(t.name, t.shape) for t in method.tables()] == [
        ("core_1", (18, 4 * 22)),
        ("core_2", (18, 22 * 4 * 22)),
        ("core_3", (19, 22 * 4)),
    ]
    assert method.nbytes == 4 * (18 * 88 + 18 * 1936 + 19 * 88) == 152_416
    assert tt(rank=30, num_cores=2).nbytes == 4 * (78 * 8 * 30 * 2)
    assert tt().settings.rank == 16


def test_ranks_beyond_use_are_not_made():
    method = tt(30, 8, rank=100)  # cores of 3 x 2, 3 x 2 and 4 x 2 numbers: ranks of 6 and 8 make any table
    assert method.ranks == (1, 6, 8, 1) and method.settings.rank == 8


def test_vectors_begin_as_spread_as_a_full_table():
    layer = CompressedEmbedding(tt(3000, rank=20), seed=1)
    assert np.std(layer(np.arange(3000))) == pytest.approx(0.05 / 3**0.5, rel=0.2)


def test_wrong_settings_are_refused():
    with pytest.raises(RequestError, match="rank=0: give 1 or more"):
        tt(rank=0)
    with pytest.raises(RequestError, match="num_cores=4: give 2 or 3"):
        tt(num_cores=4)


def test_fit_takes_the_largest_rank():
    field = Vocabulary("user", 6040)
    assert TT.fit(field, 64, TTSettings(), 152_416).rank == 22
    assert TT.fit(field, 64, TTSettings(), 152_415).rank == 21
    assert TT.fit(field, 64, TTSettings(num_cores=2), 4 * 78 * 8 * 30 * 2).rank == 30
    assert TT.fit(field, 64, TTSettings(rank=5), 10**9).rank == 5
    with pytest.raises(OverBudget, match="field user: tt") as caught:
        TT.fit(field, 64, TTSettings(), 100)
    assert caught.value.smallest_bytes == 4 * 4 * (18 + 18 + 19)
