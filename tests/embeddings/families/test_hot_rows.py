"""Hot rows in front of other methods."""

from dataclasses import replace

import numpy as np
import pytest

from bench.embeddings import find
from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.budget import choose
from bench.embeddings.layer import CompressedEmbedding
from bench.errors import RequestError
from bench.serving.readers import reader

METHODS = ("hash", "bloom", "robe", "tt", "dhe")
COUNTS = np.random.default_rng(2).zipf(1.3, 60).clip(0, 10**6)
FIELD = Vocabulary("item", 60, COUNTS)
every = pytest.mark.parametrize("name", METHODS)


def layer(name, num_hot, **settings):
    method = find(name)(FIELD, 8, find(name).Settings(num_hot=num_hot, **settings))
    out = CompressedEmbedding(method, seed=1)
    out.build(())
    return out


def hottest(count):
    return np.sort(np.argsort(-COUNTS, kind="stable")[:count])


@every
def test_hot_ids_have_rows_and_the_others_the_vectors_of_the_method(name):
    plain, hot = layer(name, 0), layer(name, 7)
    own = hot.arrays()
    for key, value in plain.arrays().items():
        np.testing.assert_array_equal(own[key], value)
    assert own.keys() - plain.arrays().keys() == {"hot", "hot_rows"}
    np.testing.assert_array_equal(own["hot"], hottest(7))
    ids = np.arange(60).reshape(2, 30)
    expected = plain(ids).numpy().reshape(60, 8)
    expected[hottest(7)] = own["hot_rows"]
    for found in (hot(ids), hot.method(ids, own)):
        np.testing.assert_allclose(np.reshape(found, (60, 8)), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(reader(hot.method, own)(ids.reshape(-1)), expected, rtol=1e-5, atol=1e-7)
    assert hot.method.nbytes == plain.method.nbytes + 7 * (4 * 8 + 4)
    assert hot.method.serving_bytes()[Kind.MAPS] == plain.method.serving_bytes().get(Kind.MAPS, 0) + 28


@every
def test_without_hot_ids_nothing_is_added(name):
    method, settings = find(name), find(name).Settings()
    assert (settings.num_hot, settings.hot_share) == (0, 0)
    made = layer(name, 0).method
    assert not {"hot", "hot_rows"} & {array.name for array in made.arrays()}
    assert not {"is_hot", "hot_rows"} & made.lookups(np.arange(3), made.build_maps(), np).keys()
    for budget in (3000, 5000):
        fitted = method.fit(FIELD, 64, settings, budget)
        assert fitted == method.fit_cold(FIELD, 64, settings, budget) and fitted.num_hot == 0


@every
def test_all_ids_hot_is_full(name):
    made = layer(name, 99)
    assert made.method.settings.num_hot == 60
    np.testing.assert_array_equal(made(np.arange(60)), made.arrays()["hot_rows"])


@every
def test_budgets(name):
    """Found bytes are within the budget, grow with it, and are those of the arrays."""
    rng = np.random.default_rng(5)
    for size, dim in zip(rng.integers(500, 5000, 8).tolist(), [4, 8, 16, 64] * 2, strict=True):
        field, before = Vocabulary("item", size), 0
        settings = find(name).Settings(hot_share=float(rng.choice([0.1, 0.5, 0.9])))
        shares = np.sort(rng.uniform(0.01, 1, 5))
        for share in shares:
            budget = int(share * size * dim * 4)
            try:
                made = find(name)(field, dim, find(name).fit(field, dim, settings, budget))
            except OverBudget as error:
                budget = error.smallest_bytes
                assert budget > share * size * dim * 4 - 1
                made = find(name)(field, dim, find(name).fit(field, dim, settings, budget))
                assert made.nbytes == budget and made.settings.num_hot == 0
            assert before <= made.nbytes <= budget
            assert made.nbytes == sum(array.nbytes for array in made.arrays())
            assert made.settings.hot_share == 0
            assert 4 * (dim + 1) * made.settings.num_hot <= settings.hot_share * budget
            before = made.nbytes


def test_half_of_a_budget_is_hot():
    field, settings, allowed = Vocabulary("user", 6040), find("hash").Settings(hot_share=0.5), 154_624
    fitted = find("hash").fit(field, 64, settings, allowed)
    assert (fitted.num_hot, fitted.num_rows) == (allowed // 2 // 260, (allowed // 2 - 32) // 256)
    chosen = choose({"user": (find("hash"), settings)}, {"user": field}, 64, 0.1)["user"]
    assert allowed - 260 < chosen.nbytes <= allowed
    given = replace(find("tt").Settings(), num_hot=20)
    fitted = find("tt").fit(FIELD, 64, given, 9000)
    assert fitted.num_hot == 20
    assert fitted.rank == find("tt").fit(FIELD, 64, replace(given, num_hot=0), 9000 - 20 * 260).rank


def test_settings_that_say_nothing_or_too_much_are_refused():
    with pytest.raises(
        RequestError, match=r"hot_share=0.5: a share of a budget; give budget too, or num_hot"
    ):
        layer("hash", 0, hot_share=0.5)
    with pytest.raises(RequestError, match=r"hot_share=0.5: num_hot=3 is given too; give one of them"):
        layer("tt", 3, hot_share=0.5)
    with pytest.raises(RequestError, match=r"num_hot=-1: give 0 or more"):
        layer("dhe", -1)
