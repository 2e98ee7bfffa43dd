from dataclasses import replace

import numpy as np
import pytest

from bench.embeddings.base import Progress, Vocabulary
from bench.embeddings.families.scored import highest
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.cafe import CAFE, CAFESettings
from bench.embeddings.methods.full import Full
from bench.embeddings.methods.hash import Hash, HashSettings
from bench.errors import RequestError

ENDED = Progress(1, 2, 0, 1, epoch_ended=False)


def method(size=6, dim=2, **settings):
    return CAFE(Vocabulary("user", size), dim, CAFESettings(**settings))


def arrays_of(made, seed=0):
    rng = np.random.default_rng(seed)
    trained = {a.name: rng.normal(size=a.shape).astype(a.dtype) for a in made.tables()}
    return {**trained, **{a.name: np.zeros(a.shape, a.dtype) for a in made.weights()}, **made.build_maps()}


def changed(made, arrays, progress=ENDED):
    change = made.change(progress, arrays, np.random.default_rng(0))
    return {**arrays, **change.applied(arrays)}, change


def test_vectors_by_hand():
    made = method(num_hot=2, num_cold=3)
    arrays = arrays_of(made)
    arrays["row_of"] = np.array([-1, 1, -1, -1, 0, -1], np.int32)
    coefficients = arrays["hash"][0]
    cold = [sum(int(c) * i**k for k, c in enumerate(coefficients)) % (2**31 - 1) * 3 >> 31 for i in range(6)]
    expected = [arrays["table"][2 + row] for row in cold]
    expected[1], expected[4] = arrays["table"][1], arrays["table"][0]
    np.testing.assert_array_equal(made(np.arange(6), arrays), expected)
    served = made.serve(arrays, np.random.default_rng(0))
    np.testing.assert_array_equal(served["hot"], [1, 4])
    np.testing.assert_array_equal(served["table"][:2], arrays["table"][[1, 0]])
    np.testing.assert_array_equal(made.served()(np.arange(6), served), expected)


def test_the_first_promotion_leaves_all_vectors():
    made = method(num_hot=2, num_cold=3)
    arrays = arrays_of(made)
    arrays["scores"][:, 0] = [1, 5, 0, 2, 9, 3]
    after, change = changed(made, arrays)
    np.testing.assert_array_equal(after["row_of"], [-1, 0, -1, -1, 1, -1])
    np.testing.assert_array_equal(made(np.arange(6), after), made(np.arange(6), arrays))
    np.testing.assert_array_equal(after["table"][2:], arrays["table"][2:])
    np.testing.assert_allclose(after["scores"], arrays["scores"] * np.float32(0.9974))
    assert set(change.rows) == {"table", "row_of"} and set(change.arrays) == {"scores"}


def test_newcomers_take_the_rows_of_those_who_leave():
    made = method(num_hot=2, num_cold=3)
    arrays = arrays_of(made)
    arrays["row_of"] = np.array([-1, 0, -1, -1, 1, -1], np.int32)
    arrays["scores"][:, 0] = [4.3, 4, 0, 2, 9, 3]  # 4.3 is less than 1.1 times 4
    after, _ = changed(made, arrays)
    np.testing.assert_array_equal(after["row_of"], arrays["row_of"])
    np.testing.assert_array_equal(after["scores"][:, 0], arrays["scores"][:, 0] * np.float32(0.9974))
    arrays["scores"][0] = 4.5
    after, change = changed(made, arrays)
    np.testing.assert_array_equal(after["row_of"], [0, -1, -1, -1, 1, -1])
    np.testing.assert_array_equal(change.rows["table"].numbers, [0])
    np.testing.assert_array_equal(made(np.array([0]), after), made(np.array([0]), arrays))
    np.testing.assert_array_equal(after["table"][1:], arrays["table"][1:])


@pytest.mark.parametrize(
    ("scores", "hot", "count", "counts", "expected"),
    [
        ([5, 1, 9, 3], [], 2, None, [0, 2]),
        ([5, 1, 9, 3], [1, 3], 2, None, [0, 2]),
        ([5, 5, 5, 5], [], 3, None, [0, 1, 2]),
        ([0, 0, 7, 0], [], 3, [1, 4, 2, 9], [1, 2, 3]),
        ([0, 0, 7, 0], [], 2, None, [0, 2]),
        ([0, 2, 7, 0], [0, 3], 2, None, [1, 2]),
        ([0, 2, 0, 0], [0, 3], 2, [1, 4, 9, 2], [0, 1]),
    ],
)
def test_the_highest_scores(scores, hot, count, counts, expected):
    vocabulary = Vocabulary("user", 4, None if counts is None else np.array(counts))
    found = highest(np.array(scores, np.float32), np.array(hot, np.int64), count, 1.0, vocabulary)
    np.testing.assert_array_equal(found, expected)


def test_checks_are_spread_over_the_run():
    made = method(num_hot=2, num_cold=3)
    asked = [Progress(step, 2000, 0, 1, False, max(0, step - 20)) for step in range(20, 2001, 20)]
    due = [progress.step for progress in asked if made.is_due(progress)]
    assert due == [step for step in range(60, 1801, 20) if step // 50 > (step - 20) // 50]
    assert len(due) == 36
    counted = CAFE(
        Vocabulary("user", 6, np.array([6, 0, 0, 0, 0, 0])), 2, CAFESettings(num_hot=2, num_cold=3)
    )
    found = [progress.step for progress in asked if counted.is_due(replace(progress, epochs=2))]
    assert found == [500, 1000, 1500]  # 12 reads of 6 ids: four parts
    (once,) = [Progress(step, 2000, 0, 1, False, 40) for step in (1000,)]
    assert made.is_due(once)
    assert not method(num_hot=2, num_cold=3, change_end=0.0).is_due(once)


def layer(made):
    out = CompressedEmbedding(made, seed=3)
    out.build(())
    return out


def same_arrays(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_all_hot_is_full_and_none_hot_is_hash():
    field = Vocabulary("user", 50)
    same_arrays(layer(method(50, 4, num_hot=50)).arrays(), layer(Full(field, 4)).arrays())
    hashed = layer(Hash(field, 4, HashSettings(num_rows=7)))
    cold = layer(method(50, 4, num_hot=0, num_cold=7))
    same_arrays(cold.arrays(), hashed.arrays())
    np.testing.assert_array_equal(cold(np.arange(50)), hashed(np.arange(50)))
    for made in (cold.method, method(50, 4, num_hot=50)):
        assert made.counter() is None and not made.is_due(ENDED)


def test_sizes():
    field, share = Vocabulary("user", 1000), CAFESettings(hot_share=0.7)
    assert method(1000, 16, num_hot=30, num_cold=40).nbytes == 4 * 16 * 70 + 4 * 30 + 32
    made = CAFE(field, 16, CAFE.fit(field, 16, CAFESettings(), 6400))
    assert (made.num_hot, made.num_cold, made.nbytes) == (46, 50, 6360)
    made = CAFE(field, 16, CAFE.fit(field, 16, share, 6400))
    assert 0.68 * made.nbytes < made.num_hot * 68 <= 0.7 * made.nbytes
    assert CAFE.fit(field, 16, CAFESettings(), 64_000).num_hot == 1000
    assert CAFE.fit(field, 16, CAFESettings(num_hot=10), 6400).num_cold == (6400 - 32 - 680) // 64
    assert CAFE.fit(field, 16, CAFESettings(num_cold=10), 6400).num_hot == (6400 - 32 - 640) // 68


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(RequestError, match="num_cold=0: 4 of the 6 ids of user are not hot; give 1 or more"):
        method(num_hot=2, num_cold=0)
