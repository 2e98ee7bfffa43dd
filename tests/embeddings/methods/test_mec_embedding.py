import numpy as np
import pytest

from bench.embeddings.base import MAX_IDS, Kind, Progress, Vocabulary
from bench.embeddings.families.clusters import kmeans
from bench.embeddings.methods.mec import MEC, MECSettings
from bench.embeddings.methods.pq import PQ, PQSettings
from bench.errors import RequestError

END_OF_FIRST = Progress(10, 30, epoch=1, epochs=3, epoch_ended=True)


def mec(size=60, dim=5, counts=None, **settings):
    return MEC(Vocabulary("user", size, counts), dim, MECSettings(**settings))


def untrained(method, seed=0):
    (table,) = method.tables()
    entries = np.random.default_rng(seed).normal(size=table.shape).astype(np.float32)
    return {"entries": entries, **method.build_maps()}


def test_it_begins_as_a_full_table():
    """Row 2 id + j is part j: 3 numbers, and 2 of the 3 of the last part."""
    method = mec(num_parts=2, num_codes=4)
    arrays = untrained(method)
    table = arrays["entries"].reshape(60, 6)[:, :5]
    np.testing.assert_array_equal(method(np.arange(60), arrays), table)
    assert method.tables()[0].shape == (120, 3)


def test_the_switch_is_pq_of_the_table():
    """Without known frequencies all ids weigh the same."""
    method, pq = mec(num_parts=2, num_codes=4), PQ(Vocabulary("user", 60), 5, PQSettings(2, 4))
    arrays = untrained(method)
    expected = pq.serve({"table": method(np.arange(60), arrays)}, np.random.default_rng(3))
    change = method.change(END_OF_FIRST, arrays, np.random.default_rng(3))
    assert change.reset_moments
    vectors = method(np.arange(60), change.arrays)
    np.testing.assert_array_equal(vectors, pq.served()(np.arange(60), expected))
    for name, value in method.serve(change.arrays, np.random.default_rng(4)).items():
        np.testing.assert_array_equal(value, expected[name])
    # A run that ends before the switch, as by early stopping, serves the same.
    for name, value in method.serve(arrays, np.random.default_rng(3)).items():
        np.testing.assert_array_equal(value, expected[name])


def test_after_the_switch_codes_stay_and_entries_serve():
    method = mec(num_parts=2, num_codes=4)
    arrays = dict(method.change(END_OF_FIRST, untrained(method), np.random.default_rng(0)).arrays)
    assert not arrays["entries"][8:].any()
    arrays["entries"] = arrays["entries"] + 1
    later = method.change(Progress(20, 30, 2, 3, True), arrays, np.random.default_rng(1))
    assert not later.arrays and not later.reset_moments
    served = method.serve(arrays, np.random.default_rng(1))
    np.testing.assert_array_equal(method.served()(np.arange(60), served), method(np.arange(60), arrays))


def test_as_many_codes_as_ids_stay_a_full_table():
    method = mec(9, 4, num_parts=2, num_codes=9)
    arrays = untrained(method)
    assert not method.change(END_OF_FIRST, arrays, np.random.default_rng(0)).arrays
    served = method.serve(arrays, np.random.default_rng(0))
    np.testing.assert_array_equal(method.served()(np.arange(9), served), arrays["entries"].reshape(9, 4))


def test_frequent_ids_weigh_more():
    """Two clusters, {0, 1} and {100}: 1 is read 16 times, 0 once, and weighs 4 times as much."""
    points = np.array([[0.0], [1.0], [100.0]], np.float32)
    method = mec(3, 1, np.array([1, 16, 0]), num_parts=1, num_codes=2)
    change = method.change(END_OF_FIRST, {**method.build_maps(), "entries": points}, np.random.default_rng(0))
    np.testing.assert_allclose(method(np.arange(3), change.arrays), [[0.8], [0.8], [100]], rtol=1e-6)


def test_weights_of_a_sample_are_those_of_its_points():
    points = np.repeat(np.array([[0.0], [1.0], [50.0]], np.float32), 100, axis=0)
    points += np.linspace(0, 1e-3, 300, dtype=np.float32)[:, None]
    weights = np.repeat([1.0, 3.0, 1.0], 100)
    centroids, _ = kmeans(points, 2, np.random.default_rng(0), points_a_cluster=140, weights=weights)
    assert sorted(centroids[:, 0]) == pytest.approx([0.75, 50], abs=0.02)


@pytest.mark.parametrize(
    ("epochs", "share", "first"),
    [(2, 0.3, 1), (3, 0.3, 1), (3, 0.4, 2), (10, 0.3, 3), (5, 0, 1), (5, 1, 5), (30, 0.1, 3)],
)
def test_the_epoch_of_the_switch(epochs, share, first):
    method = mec(switch_share=share)
    due = [e for e in range(1, epochs + 1) if method.is_due(Progress(e * 10, epochs * 10, e, epochs, True))]
    assert due == list(range(first, epochs + 1))
    assert not method.is_due(Progress(15, 20, 1, 2, False))


@pytest.mark.parametrize(("share", "first"), [(0.5, 20), (0.3, 20), (0.0, 10), (1.0, 40)])
def test_one_pass_switches_after_a_quarter_or_more(share, first):
    asked = [Progress(step, 40, step // 40, 1, step == 40, previous=step - 1) for step in range(1, 41)]
    assert next(p.step for p in asked if mec(switch_share=share).is_due(p)) == first


def test_sizes():
    method = mec(6040, 64, num_parts=8, num_codes=64)
    assert method.serving_bytes() == {Kind.CODES: 6040 * 6, Kind.TABLES: 64 * 64 * 4}
    with pytest.raises(RequestError, match=f"num_parts=2: the {MAX_IDS} ids of field user .* give at most 1"):
        mec(MAX_IDS, 2, num_parts=2)
