import keras
import numpy as np
import pytest
import tensorflow as tf

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.methods.mgqe import MGQE, MGQESettings
from bench.errors import RequestError


def mgqe(size=6040, dim=64, counts=None, **settings):
    return MGQE(Vocabulary("user", size, counts), dim, MGQESettings(**settings))


def small(seed=0):
    """Ids 7, 3 and 11 are hot; 8 keys a part, 3 for cold ids; width 5 in parts of 3 and 2."""
    counts = np.full(12, 5)
    counts[[7, 3, 11]] = 50, 30, 9
    method = mgqe(12, 5, counts, num_parts=2, num_codes=8, num_cold_codes=3, hot_fraction=0.25)
    rng = np.random.default_rng(seed)
    trained = {a.name: rng.normal(size=a.shape).astype(np.float32) for a in method.arrays() if a.trainable}
    return method, {**trained, **method.build_maps()}


def by_loops(arrays):
    codes, vectors = [], []
    for i, query in enumerate(arrays["query"]):
        keys = arrays["keys"] if i in (3, 7, 11) else arrays["keys"][:, :3]
        padded = np.append(query, 0).reshape(2, 3)
        codes.append(
            [np.argmin([np.sum((q - k) ** 2) for k in ks]) for q, ks in zip(padded, keys, strict=True)]
        )
        vectors.append(np.concatenate([arrays["keys"][j, c] for j, c in enumerate(codes[-1])])[:5])
    return np.array(codes), np.array(vectors)


def test_hot_ids_choose_among_all_keys_and_others_among_the_first():
    method, arrays = small()
    codes, vectors = by_loops(arrays)
    assert codes[[3, 7, 11]].max() > 3  # else the test says nothing
    np.testing.assert_array_equal(arrays["hot"], [3, 7, 11])
    np.testing.assert_array_equal(method(np.arange(12), arrays), vectors)
    tensors = {name: tf.constant(value) for name, value in arrays.items()}
    for training in (True, False):
        np.testing.assert_array_equal(method(np.arange(12), tensors, keras.ops, training), vectors)


def test_served_codes_by_hand():
    """3 cold codes take 2 bits, so that two parts take 4 bits of a byte; 8 codes have 1 bit above."""
    method, arrays = small(1)
    codes, vectors = by_loops(arrays)
    served = method.serve(arrays, np.random.default_rng(0))
    np.testing.assert_array_equal(served["codes"][:, 0], (codes[:, 0] & 3) + ((codes[:, 1] & 3) << 2))
    hot = codes[[3, 7, 11]]
    np.testing.assert_array_equal(served["high"][:, 0], (hot[:, 0] >> 2) + ((hot[:, 1] >> 2) << 1))
    np.testing.assert_array_equal(served["hot"], [3, 7, 11])
    np.testing.assert_array_equal(method.served()(np.arange(12), served), vectors)
    assert method.nbytes == 12 + 3 + 3 * 4 + 2 * 8 * 3 * 4


def test_without_counts_the_first_ids_are_hot_and_one_at_least():
    np.testing.assert_array_equal(mgqe(25, 4).build_maps()["hot"], [0, 1, 2])  # 2.5 rounded up
    np.testing.assert_array_equal(mgqe(3, 4).build_maps()["hot"], [0])


def test_where_all_codes_have_as_many_bits_there_is_no_list():
    method = mgqe(12, 4, num_parts=2, num_codes=8, num_cold_codes=8)
    assert method.nbytes == 12 + 8 * 4 * 4
    assert [a.name for a in method.served().arrays()] == ["codes", "codebooks"]


def test_penalty_is_the_mean_squared_distance_of_queries_to_their_keys():
    method, arrays = small(2)
    _, vectors = by_loops(arrays)
    found = method.lookups(np.arange(12), arrays, np)
    penalty = method.penalty({"query": arrays["query"]}, found, arrays, np)
    np.testing.assert_allclose(
        penalty, np.mean([np.sum((q - v) ** 2) for q, v in zip(arrays["query"], vectors, strict=True)])
    )


def test_bytes_by_hand():
    """4 codes of 6 bits for 6040 ids, 2 bits more and an id for 604, and 256 entries x 64 numbers."""
    assert mgqe().settings == MGQESettings(4, 256, 64)
    assert mgqe().serving_bytes() == {
        Kind.CODES: 6040 * 3 + 604 * 1,
        Kind.TABLES: 256 * 64 * 4,
        Kind.MAPS: 604 * 4,
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_parts": 65}, "num_parts=65: give 1 to embedding_dim=64"),
        ({"num_codes": 257}, "num_codes=257: give 1 to 256"),
        ({"num_codes": 8, "num_cold_codes": 9}, "num_cold_codes=9: more than num_codes=8; give 1 to 8"),
    ],
)
def test_wrong_sizes_are_refused(settings, words):
    with pytest.raises(RequestError, match=words):
        mgqe(**settings)
    with pytest.raises(RequestError, match=words):
        MGQE.fit(Vocabulary("user", 6040), 64, MGQESettings(**settings), 10**9)


def test_fit_takes_the_most_parts():
    field = Vocabulary("user", 6040)

    def fit(budget, **settings):
        found = MGQE.fit(field, 64, MGQESettings(**settings), budget)
        return found.num_parts, found.num_codes, found.num_cold_codes

    of_16 = 6040 * 12 + 604 * (4 + 4) + 256 * 64 * 4
    assert fit(of_16) == (16, 256, 64)
    assert fit(of_16 - 1) == (13, 256, 64)
    assert fit(10**9, num_codes=32) == (64, 32, 8)
    with pytest.raises(OverBudget) as caught:
        fit(1000, num_codes=4, num_cold_codes=2)
    assert caught.value.smallest_bytes == 6040 + 604 * 5 + 4 * 64 * 4
