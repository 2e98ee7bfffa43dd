import numpy as np
import pytest

from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.methods.lowrank import LowRank, LowRankSettings
from bench.errors import RequestError


def lowrank(size=6040, dim=64, **settings):
    return LowRank(Vocabulary("user", size), dim, LowRankSettings(**settings))


def test_vectors_by_hand():
    arrays = {
        "table": np.array([[1, 2], [3, 4], [0, 5]], np.float32),
        "projection": np.array([[1, 0, 2], [10, 1, 0]], np.float32),
    }
    method = lowrank(3, 3, rank=2)
    np.testing.assert_array_equal(method([2, 0], arrays), [[50, 5, 0], [21, 2, 2]])
    assert method([], arrays).shape == (0, 3)


def test_sizes_by_hand():
    method = lowrank(rank=6)
    assert method.serving_bytes() == {"tables": 6040 * 6 * 4, "networks": 6 * 64 * 4}
    assert lowrank().rank == 16 and lowrank(dim=3).rank == 1
    assert lowrank(size=2).rank == 2  # two rows have no rank above 2


def test_vectors_begin_as_spread_as_a_full_table():
    layer = CompressedEmbedding(lowrank(size=3000, rank=16), seed=1)
    assert np.std(layer(np.arange(3000))) == pytest.approx(0.05 / 3**0.5, rel=0.1)


@pytest.mark.parametrize("rank", [0, 65])
def test_a_rank_that_cannot_be_is_refused(rank):
    with pytest.raises(RequestError, match=f"rank={rank}: give 1 to embedding_dim=64"):
        lowrank(rank=rank)


def test_fit_takes_the_largest_rank():
    field, each = Vocabulary("user", 6040), 4 * (6040 + 64)
    assert LowRank.fit(field, 64, LowRankSettings(), 7 * each).rank == 7
    assert LowRank.fit(field, 64, LowRankSettings(), 7 * each - 1).rank == 6
    assert LowRank.fit(field, 64, LowRankSettings(), 1000 * each).rank == 64
    assert LowRank.fit(field, 64, LowRankSettings(rank=3), 10**9).rank == 3
    for settings, smallest in ((LowRankSettings(), each), (LowRankSettings(rank=3), 3 * each)):
        with pytest.raises(OverBudget, match="field user: lowrank") as caught:
            LowRank.fit(field, 64, settings, smallest - 1)
        assert caught.value.smallest_bytes == smallest
