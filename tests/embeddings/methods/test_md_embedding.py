import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.md import MD, MDSettings
from bench.errors import RequestError


def md(size=3706, dim=64, counts=None, **settings):
    return MD(Vocabulary("item", size, counts), dim, MDSettings(**settings))


def sizes(method):
    """Cuts and widths as chosen."""
    return list(method.settings.block_splits), list(method.settings.block_dims)


COUNTS = np.array([5, 9, 0, 5, 7, 1])  # by popularity: 1, 4, 0, 3, 5, 2


def test_arrays_of_the_recipe():
    method = md()
    assert sizes(method) == ([400, 1700], [64, 32, 16])
    assert [(a.name, a.shape) for a in (*method.tables(), *method.weights())] == [
        ("block_0", (401, 64)),
        ("block_1", (1301, 32)),
        ("block_2", (2007, 16)),
        ("kernel_1", (32, 64)),
        ("bias_1", (64,)),
        ("kernel_2", (16, 64)),
        ("bias_2", (64,)),
    ]
    assert method.serving_bytes() == {
        "tables": (401 * 64 + 1301 * 32 + 2007 * 16) * 4,
        "networks": (32 * 64 + 64 + 16 * 64 + 64) * 4,
        "maps": 3706 * 4,
    }
    assert method.nbytes == (102_608 + 3706) * 4


def test_blocks_by_popularity_with_ties_by_id():
    method = md(6, 4, COUNTS, block_splits=[1, 4])
    maps = method.build_maps()
    np.testing.assert_array_equal(maps["rank"], [2, 0, 5, 3, 1, 4])
    rows = method.lookups(np.arange(6), maps, np)
    np.testing.assert_array_equal(rows["block_0"], [0, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(rows["block_1"], [2, 0, 0, 3, 1, 0])
    np.testing.assert_array_equal(rows["block_2"], [0, 0, 2, 0, 0, 1])


def test_without_frequencies_ids_are_the_ranks():
    np.testing.assert_array_equal(md(5).build_maps()["rank"], range(5))


@pytest.mark.parametrize("bias", [True, False])
def test_vectors_by_hand(bias):
    method = md(6, 4, COUNTS, block_splits=[1, 4], projection_bias=bias)
    rng = np.random.default_rng(0)
    arrays = {a.name: rng.normal(size=a.shape) for a in (*method.tables(), *method.weights())}
    assert ("bias_1" in arrays) is bias
    expected = []
    for place in (2, 0, 5, 3, 1, 4):
        block, row = (0, place + 1) if place < 1 else (1, place - 1 + 1) if place < 4 else (2, place - 4 + 1)
        vector = arrays[f"block_{block}"][row]
        if block:
            vector = vector @ arrays[f"kernel_{block}"] + (arrays[f"bias_{block}"] if bias else 0)
        expected.append(vector)
    np.testing.assert_allclose(method(np.arange(6), {**arrays, **method.build_maps()}), expected, rtol=1e-6)


def test_initial_values_are_those_of_keras_layers():
    layer = CompressedEmbedding(md(seed_dim := 400, 64))
    layer.build(())
    assert seed_dim == layer.method.vocabulary.size
    for table in layer.table_variables.values():
        assert 0.045 < np.abs(table).max() <= 0.05
    limit = np.float32(np.sqrt(6 / (16 + 64)))  # Glorot and Bengio, 2010
    assert 0.9 * limit < np.abs(layer.weight_variables["kernel_2"]).max() <= limit
    assert not np.asarray(layer.weight_variables["bias_2"]).any()


@pytest.mark.parametrize(
    ("size", "splits", "dims"),
    [
        (1, [], [64]),
        (2, [1], [64, 16]),
        (3, [1], [64, 16]),
        (5, [1, 2], [64, 32, 16]),
        (9, [1, 4], [64, 32, 16]),
    ],
)
def test_small_vocabularies_lose_blocks(size, splits, dims):
    assert sizes(md(size)) == (splits, dims)


def test_cuts_beyond_the_vocabulary_are_at_its_end():
    assert sizes(md(300, block_splits=[400, 1700])) == ([], [64])
    assert sizes(md(1000, block_splits=[400, 1700], block_dims=[8, 4, 2])) == ([400], [8, 4])


def test_counts_and_shares_mix():
    assert sizes(md(1000, block_splits=[0.1, 500]))[0] == [100, 500]
    assert sizes(md(1000, block_splits=[0.0005, 0.0995]))[0] == [
        1,
        100,
    ]  # 0.5 and 99.5: a half up, at least 1
    with pytest.raises(RequestError, match=r"\[0.5, 10\].*1000 ids of item.*\[500, 10\]"):
        md(1000, block_splits=[0.5, 10])


@pytest.mark.parametrize("wrong", [[0.5, 0.4], [3, 3], [0, 0.5], [-1], [1.5], [float("nan")], [float("inf")]])
def test_cuts_that_cannot_be(wrong):
    with pytest.raises(RequestError, match="block_splits="):
        md(block_splits=wrong)


def test_widths_that_cannot_be():
    with pytest.raises(RequestError, match=r"block_dims=\[64, 32\]: 2 cut points make 3"):
        md(block_dims=[64, 32])
    with pytest.raises(RequestError, match="65 is not from 1 to embedding_dim=64"):
        md(block_dims=[65, 32, 16])
    with pytest.raises(RequestError, match=r"alpha=0.3.*block_dims"):
        md(block_dims=[64, 32, 16], alpha=0.3)


def test_halves_stop_at_one():
    assert sizes(md(100, dim=3))[1] == [3, 1, 1]


@pytest.mark.parametrize(("rounded", "dims"), [(False, [64, 45, 26]), (True, [64, 32, 32])])
def test_power_rule_by_hand(rounded, dims):
    # rows 10, 30, 60; shares of the rows read 0.5, 0.3, 0.2, so p = 20, 100, 300 and p / min p = 1, 5, 15.
    counts = np.concatenate([np.full(10, 30), np.full(30, 6), np.full(60, 2)])
    np.random.default_rng(0).shuffle(counts)
    method = md(100, counts=counts, block_splits=[10, 40], alpha=0.3333, power_of_two=rounded)
    expected = [64 * (p / 20) ** -0.3333 for p in (20, 100, 300)]  # 64, 37.4, 25.9
    if not rounded:
        dims = [round(x) for x in expected]
    assert method.dims == dims


def test_power_rule_at_its_ends():
    counts = np.array([4, 3, 0, 0])
    assert md(4, counts=counts, block_splits=[1, 2], alpha=0).dims == [64, 64, 64]
    assert md(4, counts=counts, block_splits=[1, 2], alpha=0.5).dims == [64, 64, 1]  # the last is never read
    for unknown in (None, np.zeros(4, np.int64)):
        with pytest.raises(RequestError, match=r"alpha=0.5: .* not known"):
            md(4, counts=unknown, alpha=0.5)
    with pytest.raises(RequestError, match="alpha=-1"):
        md(4, counts=counts, alpha=-1)


def test_fit_keeps_the_proportions():
    field = Vocabulary("item", 3706)
    fitted = MD.fit(field, 64, MDSettings(), 3706 * 64 * 4 // 10)
    widest = fitted.block_dims[0]
    assert fitted.block_dims == [widest, widest // 2, widest // 4]
    wider = [widest + 1, (widest + 1) // 2, (widest + 1) // 4]
    assert MD(field, 64, fitted).nbytes <= 3706 * 64 * 4 // 10 < md(block_dims=wider).nbytes
    assert MD.fit(field, 64, MDSettings(), 10**9).block_dims == [64, 32, 16]


def test_fit_by_the_power_rule():
    field = Vocabulary("item", 3706, np.random.default_rng(0).zipf(1.2, 3706).clip(0, 3000))
    fitted = MD.fit(field, 64, MDSettings(alpha=0.3, power_of_two=False), 3706 * 64)
    assert fitted.alpha is None and fitted.block_dims == sorted(fitted.block_dims, reverse=True)
    assert 0.8 * 3706 * 64 < MD(field, 64, fitted).nbytes <= 3706 * 64


def test_fit_keeps_given_widths_or_refuses_them():
    field = Vocabulary("item", 3706)
    given = MDSettings(block_dims=[64, 32, 16])
    assert MD.fit(field, 64, given, (102_608 + 3706) * 4).block_dims == [64, 32, 16]
    with pytest.raises(OverBudget) as caught:
        MD.fit(field, 64, given, (102_608 + 3706) * 4 - 1)
    assert caught.value.smallest_bytes == (102_608 + 3706) * 4


def test_fit_knows_that_full_width_needs_no_projection():
    # One id: 2 rows of width 64, or of width 1 with a kernel and a bias of 64 each.
    with pytest.raises(OverBudget) as caught:
        MD.fit(Vocabulary("item", 1), 64, MDSettings(), 0)
    assert caught.value.smallest_bytes == (2 * 64 + 1) * 4
