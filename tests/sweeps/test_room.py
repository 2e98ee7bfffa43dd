import pytest

from bench.errors import RequestError
from bench.sweeps import room

GB = 1 << 30


def test_as_many_as_asked_for_where_they_fit():
    assert room.workers(3, [GB] * 10, cores=2, free=4 * GB) == 3
    assert room.workers(8, [GB] * 2, cores=2, free=4 * GB) == 2
    assert room.workers(-1, [GB] * 10, cores=4, free=4 * GB) == 4


def test_one_a_core_gives_way_to_memory(caplog):
    assert room.workers(-1, [GB] * 10, cores=8, free=3 * GB + 1) == 3
    assert "3 runs at once, not 8: 1.00 GiB each at most, 3.00 GiB free" in caplog.text


def test_the_largest_count():
    assert room.workers(2, [GB, 5 * GB, 2 * GB], cores=2, free=7 * GB) == 2
    with pytest.raises(RequestError, match=r"n_jobs=2: .* 7.00 GiB .* 6.00 GiB are free; give .*n_jobs=1"):
        room.workers(2, [GB, 5 * GB, 2 * GB], cores=2, free=6 * GB)


def test_refused_with_the_sum():
    with pytest.raises(
        RequestError,
        match=r"n_jobs=4: 4 x 2.00 GiB = 8.00 GiB .* 5.00 GiB are free; give hydra.launcher.n_jobs=2",
    ):
        room.workers(4, [2 * GB] * 4, cores=2, free=5 * GB)
    with pytest.raises(RequestError, match="smaller tables"):
        room.workers(-1, [2 * GB] * 4, cores=2, free=GB)


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_numbers_that_mean_nothing(n_jobs):
    with pytest.raises(RequestError, match=f"n_jobs={n_jobs}: give 1 or more, or -1"):
        room.workers(n_jobs, [GB], cores=2, free=GB)
