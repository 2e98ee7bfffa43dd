import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.hashing import PRIME
from bench.embeddings.robe import ROBE, ROBESettings
from bench.errors import RequestError


def robe(size=6040, dim=64, **settings):
    return ROBE(Vocabulary("user", size), dim, ROBESettings(**settings))


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize(
    ("dim", "block"), [(8, 1), (8, 2), (7, 3), (10, 5), (8, 4), (8, 7), (8, 8), (64, 32)]
)
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_vectors_by_the_formula(dim, block, rows, signs):
    method = robe(50, dim, num_rows=rows, block_size=block, signs=signs)
    maps, length = method.build_maps(), rows * block
    flat = np.random.default_rng(0).normal(size=length).astype(np.float32)
    found = method(np.arange(50), {"array": flat.reshape(rows, block), **maps})
    for i in range(50):
        for j in range(dim):
            value = sum(int(c) * i**power for power, c in enumerate(maps["hash"][j // block])) % PRIME
            sign = 2 * (value & 1) - 1 if signs else 1
            assert found[i, j] == sign * flat[(value * length // 2**31 + j % block) % length]


def test_blocks_begin_anywhere_and_wrap():
    method = robe(6040, 8, num_rows=5, block_size=8)
    rows = method.lookups(np.arange(6040), method.build_maps(), np)
    assert len(set(zip(rows["array"][:, 0].tolist(), rows["offset"][:, 0].tolist(), strict=True))) == 40
    np.testing.assert_array_equal(rows["array"][:, 1], (rows["array"][:, 0] + 1) % 5)


def test_sizes_by_hand():
    assert [t.shape for t in robe().tables()] == [(1208, 32)]  # 6040 * 64 / 10 / 32
    assert robe(num_rows=100).nbytes == 100 * 32 * 4 + 2 * 32
    assert robe(dim=50, num_rows=100, block_size=16).nbytes == 100 * 16 * 4 + 4 * 32
    assert robe(dim=3).settings.block_size == 3
    assert robe(10, 50, num_rows=10**6).num_rows == 16  # 500 numbers in blocks of 32
    assert robe(2**31 - 1, 64, num_rows=10**9).num_rows == (2**31 - 1) // 32


def test_fit_takes_the_last_block_that_fits():
    field, settings = Vocabulary("user", 6040), ROBESettings(block_size=16)
    assert ROBE.fit(field, 64, settings, 300 * 64 + 128).num_rows == 300
    assert ROBE.fit(field, 64, settings, 300 * 64 + 127).num_rows == 299
    assert ROBE.fit(field, 64, ROBESettings(num_rows=7), 10**9).num_rows == 7
    with pytest.raises(OverBudget) as caught:
        ROBE.fit(field, 64, settings, 191)
    assert caught.value.smallest_bytes == 192


@pytest.mark.parametrize("setting", ["num_rows", "block_size"])
def test_sizes_of_nothing_are_refused(setting):
    with pytest.raises(RequestError, match=f"{setting}=0: give 1 or more"):
        robe(**{setting: 0})
