import numpy as np
import pytest

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.full import Full
from bench.embeddings.methods.prune import Prune, PruneSettings
from bench.errors import RequestError, RunFailed


def prune(size=6040, dim=64, **settings):
    return Prune(Vocabulary("user", size), dim, PruneSettings(**settings))


def served(method, table):
    form = method.served()
    return form(np.arange(len(table)), method.serve({"table": table}, np.random.default_rng(0)))


def test_the_largest_are_kept_and_equal_ones_by_position():
    table = np.array([[1, -2], [2, 0.5], [-2, 3]], np.float32)
    np.testing.assert_array_equal(served(prune(3, 2, nnz=3), table), [[0, -2], [2, 0], [0, 3]])
    np.testing.assert_array_equal(served(prune(3, 2, density=1.0), table), table)


def test_exactly_nnz_are_kept_of_any_table():
    for table in (np.zeros((20, 5)), np.ones((20, 5)), np.random.default_rng(0).normal(size=(20, 5))):
        method = prune(20, 5, nnz=17)
        arrays = method.serve({"table": table.astype(np.float32)}, np.random.default_rng(0))
        assert arrays["values"].shape == (17, 1)


def test_counts():
    assert prune().nnz == round(0.1 * 6040 * 64) and prune().settings.density is None
    assert prune(density=0.5).nnz == 193_280
    assert prune(nnz=10**9).nnz == 6040 * 64
    assert prune(10, 2, density=1e-9).nnz == 1


def test_bytes_by_hand():
    assert prune(nnz=30_000).serving_bytes() == {Kind.TABLES: 120_000, Kind.OTHER: 4 * 6041 + 30_000}
    assert prune(nnz=100).serving_bytes() == {Kind.TABLES: 400, Kind.OTHER: 400}


def test_fit_by_formula():
    field, full = Vocabulary("user", 6040), 6040 * 64 * 4
    fitted = Prune.fit(field, 64, PruneSettings(), full // 10)
    assert fitted.nnz == (full // 10 - 4 * 6041) // 5
    assert Prune.fit(field, 64, PruneSettings(), 8_000).nnz == 1_000
    with pytest.raises(OverBudget) as caught:
        Prune.fit(field, 64, PruneSettings(nnz=1000), 7_999)
    assert caught.value.smallest_bytes == 8_000
    assert Prune.fit(field, 64, PruneSettings(density=0.01), 10**9).nnz == 3866


def test_the_parent_is_a_full_table():
    parent = prune().parent()
    assert isinstance(parent, Full) and parent.vocabulary.size == 6040


def test_wrong_settings():
    with pytest.raises(RequestError, match=r"density=0\.5: nnz=3 says .*; give one of them"):
        prune(nnz=3, density=0.5)
    with pytest.raises(RequestError, match=r"density=1\.5: give a share above 0 and at most 1"):
        prune(density=1.5)
    with pytest.raises(RequestError, match="nnz=0: give 1 or more"):
        prune(nnz=0)


def test_a_table_that_is_not_finite_is_refused():
    with pytest.raises(RunFailed, match="field user"):
        served(prune(2, 2, nnz=1), np.array([[1, np.nan], [0, 0]], np.float32))
