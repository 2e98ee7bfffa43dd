import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.methods.adapt import Adapt, AdaptSettings
from bench.errors import RequestError

COUNTS = np.array([5, 9, 5, 0, 7, 5, 1], np.int64)  # by frequency: 1, 4, 0, 2, 5, 6, 3


def adapt(size=7, dim=2, counts=COUNTS, **settings):
    return Adapt(Vocabulary("item", size, counts), dim, AdaptSettings(**settings))


def rows_by_loop(method):
    """Each id's row, from the definition."""
    hot = sorted(method.vocabulary.by_frequency()[: method.num_hot].tolist())
    out, cold = [], 0
    for i in range(method.vocabulary.size):
        if i in hot:
            out.append(hot.index(i))
        else:
            out.append(method.num_hot + cold % method.num_cold)
            cold += 1
    return out


def test_rows_by_hand():
    method = adapt(num_hot=3, num_cold=2)
    maps = method.build_maps()
    np.testing.assert_array_equal(maps["hot"], [0, 1, 4])
    assert maps["hot"].dtype == np.int32
    # Cold are 2, 3, 5 and 6; they take rows 3, 4, 3, 4.
    np.testing.assert_array_equal(method.lookups(np.arange(7), maps, np)["table"], [0, 1, 3, 4, 2, 3, 4])
    table = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.testing.assert_array_equal(method([[6], [4]], {"table": table, **maps}), [[[8, 9]], [[4, 5]]])


@pytest.mark.parametrize(("hot", "cold"), [(0, 1), (0, 3), (1, 9), (6, 1), (7, 3), (9, 1), (2, 4)])
def test_rows_from_the_definition(hot, cold):
    method = adapt(num_hot=hot, num_cold=cold)
    rows = method.lookups(np.arange(7), method.build_maps(), np)["table"]
    assert rows.tolist() == rows_by_loop(method)
    assert set(rows) == set(range(method.tables()[0].shape[0]))  # no row is there in vain


def test_a_large_vocabulary_from_the_definition():
    counts = np.random.default_rng(0).zipf(1.3, 500).clip(0, 10**6)
    method = adapt(500, counts=counts, num_hot=90, num_cold=41)
    rows = method.lookups(np.arange(500), method.build_maps(), np)["table"]
    assert rows.tolist() == rows_by_loop(method)


def test_sizes_by_hand():
    method = adapt(6040, 64, None, num_hot=300, num_cold=304)
    assert method.serving_bytes() == {"tables": 604 * 64 * 4, "maps": 300 * 4}
    assert (adapt(num_hot=9).num_hot, adapt(num_hot=9).num_cold) == (7, 0)
    assert adapt(num_hot=9).nbytes == adapt(num_hot=0, num_cold=7).nbytes == 7 * 2 * 4  # no list


def test_default_sizes():
    def sizes(size, **settings):
        made = adapt(size, 64, None, **settings)
        return made.num_hot, made.num_cold

    assert sizes(6040) == (299, 305)  # 604 rows; 300 hot ones and their ids would be more than half
    assert sizes(1) == (0, 1)
    assert sizes(6040, num_hot=1000) == (1000, 504)
    assert sizes(6040, num_cold=100) == (302, 100)
    assert sizes(10, num_cold=20) == (0, 10)


def test_wrong_sizes_are_refused():
    with pytest.raises(RequestError, match=r"num_cold=0: 4 of the 7 ids of item are cold; give 1 or more"):
        adapt(num_hot=3, num_cold=0)
    with pytest.raises(RequestError, match="num_hot=-1: give 0 or more"):
        adapt(num_hot=-1)
    with pytest.raises(RequestError, match="num_cold=-1: give 1 or more"):
        adapt(num_cold=-1)


def fit(budget_bytes, size=100, **settings):
    made = Adapt.fit(Vocabulary("item", size), 2, AdaptSettings(**settings), budget_bytes)
    return made.num_hot, made.num_cold


def test_fit_gives_just_under_half_to_hot_rows():
    # A cold row takes 8 bytes and a hot one 12: of 10 rows 4 are hot, 48 of 96 bytes.
    assert fit(96) == (4, 6)
    assert fit(95) == (3, 6)  # 36 of 84 bytes; the tenth row would be the fourth hot one
    assert fit(799)[0] + fit(799)[1] < 100
    assert fit(800) == fit(10**9) == (100, 0)
    assert fit(8) == (0, 1)
    with pytest.raises(OverBudget, match="field item: adapt") as caught:
        fit(7)
    assert caught.value.smallest_bytes == 8


def test_fit_keeps_a_given_size():
    assert fit(100, num_hot=5) == (5, 5)
    assert fit(100, num_cold=5) == (5, 5)
    assert fit(10**9, num_hot=5) == (5, 95)
    assert fit(10**9, num_cold=5) == (95, 5)
    assert fit(10**9, num_cold=5, num_hot=6) == (6, 5)
    with pytest.raises(OverBudget) as caught:
        fit(67, num_hot=5)
    assert caught.value.smallest_bytes == 68
