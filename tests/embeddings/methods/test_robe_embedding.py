import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.hashing import PRIME
from bench.embeddings.methods.robe import ROBE, ROBESettings
from bench.errors import RequestError


def robe(size=6040, dim=64, **settings):
    return ROBE(Vocabulary("user", size), dim, ROBESettings(**settings))


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize(
    ("dim", "block"), [(8, 1), (8, 2), (7, 3), (10, 5), (8, 4), (8, 7), (8, 8), (64, 32)]
)
@pytest.mark.parametrize("length", [1, 5, 44])
def test_vectors_by_the_formula(dim, block, length, signs):
    method = robe(50, dim, num_weights=length, block_size=block, signs=signs)
    maps = method.build_maps()
    flat = np.random.default_rng(0).normal(size=length).astype(np.float32)
    found = method(np.arange(50), {"array": flat[:, None], **maps})
    for i in range(50):
        for c, first in enumerate(range(0, dim, block)):
            value = sum(int(a) * i**power for power, a in enumerate(maps["hash"][c])) % PRIME
            sign = 2 * (value & 1) - 1 if signs else 1
            expected = [sign * flat[(value * length // 2**31 + j) % length] for j in range(block)]
            np.testing.assert_array_equal(found[i, first : first + block], expected[: dim - first])


def test_blocks_begin_anywhere_and_wrap():
    method = robe(6040, 8, num_weights=40, block_size=8)
    places = method.lookups(np.arange(6040), method.build_maps(), np)["array"]
    assert sorted(set(places[:, 0].tolist())) == list(range(40))
    np.testing.assert_array_equal(places, (places[:, :1] + np.arange(8)) % 40)


def test_places_in_the_longest_array_are_int32():
    method = robe(2**31 - 1, 64, num_weights=2**40, block_size=64)
    maps = {"hash": np.array([[2**31 - 2, 0, 0, 0]])}  # every id at the end
    places = method.lookups(np.array([7]), maps, np)["array"]
    begin = (2**31 - 2) * (2**31 - 1) // 2**31
    np.testing.assert_array_equal(places[0], (begin + np.arange(64)) % (2**31 - 1))


def test_sizes_by_hand():
    assert [t.shape for t in robe().tables()] == [(38_656, 1)]
    assert robe(num_weights=3200).nbytes == 3200 * 4 + 8 * 32
    assert robe(dim=50, num_weights=1599, block_size=16).nbytes == 1599 * 4 + 4 * 32
    assert robe(dim=3).settings.block_size == 3
    assert robe(10, 5, num_weights=10**6).num_weights == 50


def test_fit_takes_the_last_number_that_fits():
    field, settings = Vocabulary("user", 6040), ROBESettings(block_size=16)
    assert ROBE.fit(field, 64, settings, 4800 + 128).num_weights == 1200
    assert ROBE.fit(field, 64, settings, 4800 + 127).num_weights == 1199
    assert ROBE.fit(field, 64, ROBESettings(num_weights=7), 10**9).num_weights == 7
    with pytest.raises(OverBudget) as caught:
        ROBE.fit(field, 64, settings, 131)
    assert caught.value.smallest_bytes == 132


@pytest.mark.parametrize("setting", ["num_weights", "block_size"])
def test_sizes_of_nothing_are_refused(setting):
    with pytest.raises(RequestError, match=f"{setting}=0: give 1 or more"):
        robe(**{setting: 0})
