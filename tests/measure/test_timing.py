import time

import pytest

from bench.measure.timing import Stopwatch, lookup_us, step_statistics


def test_phases_add_up_also_through_an_error():
    clock = Stopwatch()
    with clock("data"):
        time.sleep(0.01)
    with pytest.raises(KeyError), clock("data"):
        time.sleep(0.01)
        raise KeyError
    clock.add("train", 2.5)
    seconds = clock.seconds()
    assert list(seconds) == ["data_s", "train_s", "total_s"]
    assert 0.02 <= seconds["data_s"] <= seconds["total_s"]
    assert seconds["train_s"] == 2.5


def test_the_total_counts_from_an_earlier_start():
    assert Stopwatch(time.perf_counter() - 100).seconds()["total_s"] >= 100


def test_step_statistics_by_hand():
    # 1, 2, 3 and 10 ms a step; the empty chunk does not count
    chunks = [(0.1, 100, 12_800), (0.2, 100, 12_800), (0.3, 100, 12_800), (0.5, 50, 6_400), (0.0, 0, 0)]
    got = step_statistics(chunks)
    assert got["step_time_ms"] == pytest.approx(2.5)
    assert got["step_time_ms_p95"] == pytest.approx(3 + 0.85 * 7)
    assert got["examples_per_second"] == pytest.approx(44_800 / 1.1)


def test_no_chunks_no_numbers():
    assert set(step_statistics([]).values()) == {None}


def test_lookup_is_the_median_after_warm_up():
    naps = [0.05, 0.05, 0.002, 0.002, 0.03]  # two to warm up, one slow one of three
    left = iter(naps)
    taken = lookup_us(lambda: time.sleep(next(left)), repeats=3, warm_up=2)
    assert 2_000 <= taken < 20_000
    assert next(left, None) is None


def test_no_call_is_timed_after_the_seconds_that_are_allowed():
    calls = []
    lookup_us(lambda: (time.sleep(0.03), calls.append(None)), repeats=1000, warm_up=1, seconds=0.1)
    assert 2 <= len(calls) <= 6


def test_one_call_is_always_timed():
    assert lookup_us(lambda: time.sleep(0.01), warm_up=0, seconds=0.0) >= 10_000
