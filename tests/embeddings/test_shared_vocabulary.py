"""Several fields with one method: joined ids, joined counts, and vectors as one field at a time has them."""

import numpy as np
import pytest

from bench.embeddings import find, names
from bench.embeddings.base import Method, Vocabulary
from bench.embeddings.description import Member
from bench.embeddings.layer import CompressedEmbedding

COUNTS = {"user": [1, 9, 0, 4], "item": [8, 2, 7]}


def joined(sizes=None, counts=None):
    sizes = sizes or {name: len(own) for name, own in (counts or COUNTS).items()}
    known = {name: np.array(own, np.int64) for name, own in (counts or {}).items()}
    return Vocabulary.joined([Vocabulary(name, size, known.get(name)) for name, size in sizes.items()])


def test_fields_stand_one_after_the_other():
    both = joined(counts=COUNTS)
    assert (both.name, both.size) == ("user-item", 7)
    assert both.members == (Member("user", 4, 0), Member("item", 3, 4))
    assert both.counts.tolist() == [1, 9, 0, 4, 8, 2, 7]
    assert both.by_frequency().tolist() == [1, 4, 6, 3, 5, 0, 2]
    ids = {"item": np.array([2, 0], np.int32), "user": np.array([3, 1], np.int32)}
    found = both.ids_of(ids, np)
    assert found.tolist() == [[3, 6], [1, 4]] and found.dtype == np.int32
    assert both.alone("item") == Vocabulary("item", 3) and both.alone("item").counts.tolist() == [8, 2, 7]
    assert joined(dict.fromkeys("abcd", 2)).name == "a-...-d"
    assert joined({"user": 3, "item": 2}).counts is None


def test_a_group_of_one_field_is_the_field():
    alone = Vocabulary("user", 4, np.array(COUNTS["user"]))
    assert Vocabulary.joined([alone]) is alone
    ids = np.array([3, 1])
    assert alone.ids_of({"user": ids, "item": ids}, np) is ids


def test_methods_by_popularity_see_the_joined_counts():
    both = joined(counts=COUNTS)
    adapt = find("adapt")
    arrays = adapt(both, 4, adapt.Settings(num_hot=3, num_cold=1)).build_maps()
    assert sorted(arrays["hot"].tolist()) == [1, 4, 6]
    md = find("md")
    rank = md(both, 4, md.Settings(block_splits=[2.0])).build_maps()["rank"]
    assert rank.tolist() == [5, 0, 6, 3, 1, 4, 2]
    mgqe = find("mgqe")
    hot = mgqe(both, 4, mgqe.Settings(hot_fraction=3 / 7))
    found = hot.lookups(np.arange(7), hot.build_maps(), np)["is_hot"]
    assert np.flatnonzero(found).tolist() == [1, 4, 6]


@pytest.mark.parametrize("name", names())
def test_vectors_are_those_of_one_field_at_a_time(name):
    rng = np.random.default_rng(0)
    both = joined(counts={"user": rng.permutation(60), "item": rng.permutation(40)})
    trained = find(name)(both, 8)
    own = {a.name: rng.normal(size=a.shape).astype(a.dtype) for a in (*trained.tables(), *trained.weights())}
    method, arrays = trained.served(), trained.serve({**own, **trained.build_maps()}, rng)
    ids = {"user": rng.integers(0, 60, 30, np.int32), "item": rng.integers(0, 40, 30, np.int32)}
    found = method(both.ids_of(ids, np), arrays)
    assert found.shape == (30, 2, 8)
    np.testing.assert_allclose(found[:, 0], method(ids["user"], arrays), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], method(ids["item"] + 60, arrays), rtol=1e-5, atol=1e-6)


def test_a_hash_for_all_fields_has_one_table_and_one_hash():
    sizes = {f"C{number}": 1000 for number in range(26)}
    hash_ = find("hash")
    budget = 0.01 * 26_000 * 16 * 4
    settings = hash_.fit(joined(sizes), 16, hash_.Settings(), int(budget))
    method = hash_(joined(sizes), 16, settings)
    assert method.nbytes == 4 * 16 * settings.num_rows + 32
    assert budget - 64 < method.nbytes <= budget


@pytest.mark.parametrize("name", [name for name in names() if find(name).penalty is not Method.penalty])
def test_penalties_count_once_for_each_field(name):
    from keras import ops

    rng = np.random.default_rng(0)
    counts = {"user": rng.permutation(60), "item": rng.permutation(40)}
    both = find(name)(joined(counts=counts), 8)
    alone = find(name)(Vocabulary("user", 100, np.concatenate([*counts.values()])), 8)
    arrays = {a.name: rng.normal(size=a.shape).astype(a.dtype) for a in (*alone.tables(), *alone.weights())}
    arrays |= alone.build_maps()
    ids = np.stack([np.arange(20), np.arange(20, 40)], axis=-1)

    def penalty(method, ids):
        indices = method.lookups(ids, arrays, np)
        rows = {table.name: arrays[table.name][indices[table.name]] for table in method.tables()}
        return float(method.penalty(rows, indices, arrays, ops))

    apart = penalty(alone, ids[:, 0]) + penalty(alone, ids[:, 1])
    assert penalty(both, ids) == pytest.approx(apart, rel=1e-5) and apart != 0


def test_a_layer_keeps_its_fields():
    layer = CompressedEmbedding(find("hash")(joined({"user": 60, "item": 40}), 8), seed=1)
    again = CompressedEmbedding.from_config(layer.get_config())
    assert again.method.vocabulary == layer.method.vocabulary
    alone = CompressedEmbedding(find("hash")(Vocabulary("user", 60), 8))
    assert alone.get_config()["vocabulary"] == {"name": "user", "size": 60}
