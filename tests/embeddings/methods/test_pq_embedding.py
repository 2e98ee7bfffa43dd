import numpy as np
import pytest

from bench.embeddings.base import Kind, OverBudget, Vocabulary
from bench.embeddings.families.clusters import kmeans
from bench.embeddings.methods.pq import PQ, PQSettings
from bench.errors import RequestError


def pq(size=6040, dim=64, **settings):
    return PQ(Vocabulary("user", size), dim, PQSettings(**settings))


def served(method, table):
    return method.serve({"table": table}, np.random.default_rng(0))


def test_vectors_are_the_centroids_that_the_codes_name():
    """Width 5 in 2 parts: 3 and 2 numbers. Codes of 2 bits, two an id: 4 bits of a byte."""
    method = pq(30, 5, num_parts=2, num_codes=4)
    rng = np.random.default_rng(1)
    arrays = served(method, rng.normal(size=(30, 5)).astype(np.float32))
    vectors = method.served()(np.arange(30), arrays)
    for i in range(30):
        byte = int(arrays["codes"][i, 0])
        first, second = byte & 3, byte >> 2 & 3
        expected = [*arrays["codebooks"][0, first], *arrays["codebooks"][1, second, :2]]
        np.testing.assert_array_equal(vectors[i], expected)


def test_each_part_has_its_nearest_centroid_and_centroids_are_means():
    method = pq(60, 4, num_parts=2, num_codes=3)
    table = np.random.default_rng(2).normal(size=(60, 4)).astype(np.float32)
    arrays = served(method, table)
    vectors = method.served()(np.arange(60), arrays)
    for part in range(2):
        points, found = table[:, 2 * part : 2 * part + 2], vectors[:, 2 * part : 2 * part + 2]
        centroids = arrays["codebooks"][part]
        for point, chosen in zip(points, found, strict=True):
            distances = [np.sum((point - c) ** 2) for c in centroids]
            np.testing.assert_array_equal(chosen, centroids[np.argmin(distances)])
        for centroid in centroids:
            members = points[(found == centroid).all(1)]
            np.testing.assert_allclose(members.mean(0), centroid, atol=1e-5)


def test_vectors_with_no_more_distinct_parts_than_codes_are_served_exactly():
    method = pq(40, 6, num_parts=3, num_codes=8)
    table = np.random.default_rng(3).normal(size=(8, 6)).astype(np.float32)[np.arange(40) % 8]
    np.testing.assert_array_equal(method.served()(np.arange(40), served(method, table)), table)


def test_equal_generators_give_equal_codes():
    method = pq(500, 8, num_parts=2, num_codes=16)
    table = np.random.default_rng(4).normal(size=(500, 8)).astype(np.float32)
    one, two = served(method, table), served(method, table)
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_k_means_of_a_sample_places_all_points():
    points = np.repeat(np.array([[0.0, 0], [10, 0], [0, 10]], np.float32), 100, axis=0)
    points += np.random.default_rng(5).normal(size=points.shape).astype(np.float32) * 0.1
    centroids, place = kmeans(points, 3, np.random.default_rng(6), points_a_cluster=20)
    assert [len(set(place[i : i + 100])) for i in (0, 100, 200)] == [1, 1, 1] and len(set(place)) == 3
    np.testing.assert_allclose(centroids[place], points, atol=0.8)


def test_bytes_by_hand():
    """6040 ids x 8 codes of 6 bits = 6 bytes, and 64 entries x 64 numbers x 4 bytes."""
    assert pq().settings == PQSettings(8, 64)
    assert pq().serving_bytes() == {Kind.CODES: 6040 * 6, Kind.TABLES: 64 * 64 * 4}
    assert pq(num_parts=4, num_codes=256).nbytes == 6040 * 4 + 256 * 64 * 4
    assert pq(num_parts=5, num_codes=2).nbytes == 6040 * 1 + 2 * 65 * 4  # 5 parts of 13


@pytest.mark.parametrize(("size", "codes"), [(1, 1), (5, 5), (3706, 32), (6040, 64), (10**7, 256)])
def test_usual_codes(size, codes):
    assert pq(size).settings.num_codes == codes


def test_parts_that_a_width_does_not_divide_into():
    assert pq(dim=50, num_parts=8).settings.num_parts == 8  # 7 of 7 and one of 1
    assert pq(dim=10, num_parts=6).settings.num_parts == 5  # of 2: a sixth would be empty
    assert pq(dim=3).settings.num_parts == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_parts": 65}, "num_parts=65: give 1 to embedding_dim=64"),
        ({"num_codes": 257}, "num_codes=257: give 1 to 256"),
    ],
)
def test_wrong_sizes_are_refused(settings, words):
    with pytest.raises(RequestError, match=words):
        pq(**settings)
    with pytest.raises(RequestError, match=words):
        PQ.fit(Vocabulary("user", 6040), 64, PQSettings(**settings), 10**9)


def test_fit_takes_parts_first_then_codes():
    field, books = Vocabulary("user", 6040), 64 * 64 * 4

    def fit(budget, **settings):
        found = PQ.fit(field, 64, PQSettings(**settings), budget)
        return found.num_parts, found.num_codes

    assert fit(6040 * 24 + books) == (32, 64)
    assert fit(6040 * 24 + books - 1) == (22, 64)  # 22 parts of 3: the next that differ
    assert fit(6040 * 48 + books) == (64, 64)
    assert fit(10**9) == (64, 256)
    assert fit(6040 + 32 * 64 * 4) == (1, 32)
    assert fit(10**9, num_codes=16) == (64, 16)
    assert fit(10**9, num_parts=8) == (8, 256)
    with pytest.raises(OverBudget) as caught:
        fit(100)
    assert caught.value.smallest_bytes == 6040 + 2 * 64 * 4


def test_training_on_begins_with_the_codes_and_centroids_that_would_serve():
    """In parts of 3 and 2 numbers."""
    table = np.random.default_rng(5).normal(size=(40, 5)).astype(np.float32)
    method = pq(40, 5, num_parts=2, num_codes=4)
    after = pq(40, 5, num_parts=2, num_codes=4, fine_tune=True)
    assert after.nbytes == method.nbytes
    assert after.is_trained() and not method.is_trained()
    start = after.start({"table": table}, np.random.default_rng(0))
    assert [(a.name, a.shape) for a in after.arrays()] == [("entries", (8, 3)), ("codes", (40, 2))]
    compressed = served(method, table)
    vectors = method.served()(np.arange(40), compressed)
    np.testing.assert_array_equal(after(np.arange(40), start), vectors)
    again = after.serve(start, np.random.default_rng(1))
    assert all(np.array_equal(again[name], value) for name, value in compressed.items())
