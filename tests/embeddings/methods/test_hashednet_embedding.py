import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.families.rows import BLOCK
from bench.embeddings.hashing import PRIME
from bench.embeddings.methods.hashednet import HashedNet, HashedNetSettings
from bench.errors import RequestError


def hashednet(size=6040, dim=64, **settings):
    return HashedNet(Vocabulary("user", size), dim, HashedNetSettings(**settings))


def polynomial(x, coefficients):
    return sum(int(c) * x**power for power, c in enumerate(coefficients)) % PRIME


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("length", [1, 10, 160])
def test_vectors_by_the_formula(length, signs):
    method = hashednet(40, 5, num_weights=length, signs=signs)
    maps = method.build_maps()
    flat = np.random.default_rng(0).normal(size=length).astype(np.float32)
    found = method(np.arange(40), {"array": flat[:, None], **maps})
    of_id, slope, offset = maps["hash"]
    for i in range(40):
        for j in range(5):
            value = (polynomial(j, offset) + polynomial(j, slope) * polynomial(i, of_id)) % PRIME
            sign = 2 * (value & 1) - 1 if signs else 1
            assert found[i, j] == sign * flat[value * length // 2**31]


def test_many_repeated_ids_have_the_places_of_each():
    method = hashednet(3 * BLOCK, 3, num_weights=100, signs=True)
    maps = method.build_maps()
    ids = np.random.default_rng(1).integers(0, 3 * BLOCK, (4, 2000))
    found = method.lookups(ids, maps, np)
    for key, value in found.items():
        assert value.shape == (4, 2000, 3) and value.dtype == np.int32
        for row, column in ((0, 0), (1, 7), (3, 1999)):
            one = method.lookups(ids[row, column], maps, np)[key]
            np.testing.assert_array_equal(value[row, column], one)


def test_places_are_even_and_independent_between_ids_and_numbers():
    method = hashednet(6040, 64, num_weights=64, signs=True)
    found = method.lookups(np.arange(6040), method.build_maps(), np)
    places, sign = found["array"], found["sign"]
    counts = np.bincount(places.ravel(), minlength=64)
    assert np.abs(counts / 6040 - 1).max() < 0.1
    assert abs(sign.mean()) < 0.01
    for other in (places[:, 1:], np.roll(places, 1, axis=0)[:, 1:]):
        assert np.mean(places[:, :-1] == other) == pytest.approx(1 / 64, abs=0.003)


def test_sizes_by_hand():
    assert hashednet().num_weights == 38_656
    assert hashednet(num_weights=1000).nbytes == 4000 + 3 * 32
    assert hashednet(10, 4, num_weights=1000).num_weights == 40
    assert hashednet(2**31 - 1, 64, num_weights=2**40).num_weights == 2**31 - 1


def test_fit_takes_the_last_number_that_fits():
    field, settings = Vocabulary("user", 6040), HashedNetSettings()
    assert HashedNet.fit(field, 64, settings, 4000 + 96).num_weights == 1000
    assert HashedNet.fit(field, 64, settings, 4000 + 95).num_weights == 999
    assert HashedNet.fit(field, 64, HashedNetSettings(num_weights=7), 10**9).num_weights == 7
    with pytest.raises(OverBudget) as caught:
        HashedNet.fit(field, 64, settings, 99)
    assert caught.value.smallest_bytes == 100


def test_no_numbers_are_refused():
    with pytest.raises(RequestError, match="num_weights=0: give 1 or more"):
        hashednet(num_weights=0)
