"""The bisection of sizes, against the answer that trying all sizes would give."""

from __future__ import annotations

from bisect import bisect_right
from math import ceil, log, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.sweeps.bisection import TOLERANCE, Bisection

LADDERS = st.lists(st.integers(1, 10**9), min_size=1, max_size=60, unique=True).map(sorted)


def searched(ladder: list[int], least: float) -> Bisection:
    """A search among these sizes, of which those from ``least`` on keep the promise."""

    def fits(size: int) -> int:
        assert ladder[0] <= size <= ladder[-1]
        return ladder[bisect_right(ladder, size) - 1]

    search = Bisection(ladder[0], ladder[-1], fits)
    while (size := search.next()) is not None:
        assert size in ladder and size not in search.tried
        search.tell(size, size >= least)
    return search


@given(LADDERS, st.data())
def test_smallest_is_known_up_to_the_tolerance_or_one_step(ladder: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(ladder)))
    least = ladder[place] if place < len(ladder) else ladder[-1] + 1
    found = searched(ladder, least)
    if place == len(ladder):
        assert found.kept is None and found.broken == ladder[-1]
    else:
        assert found.kept is not None and found.kept >= least
        one_step_above = ladder.index(found.kept) == place
        assert one_step_above or found.kept <= least * TOLERANCE
    assert len(found.tried) <= ceil(log2(max(1, log(ladder[-1] / ladder[0]) / log(TOLERANCE)))) + len(ladder)


@pytest.mark.parametrize("decades", [1, 2, 3, 4])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 0.5, 0.9, 1.0, 1.1])
def test_at_most_eight_sizes_over_four_decades(decades: int, share: float) -> None:
    ladder = [round(1000 * 1.01**step) for step in range(ceil(decades * log(10) / log(1.01)))]
    assert len(searched(ladder, 1000 * 10 ** (decades * share)).tried) <= 8


def test_steps_by_hand() -> None:
    found = searched([10, 40, 1000], 40)
    assert (found.tried, found.kept, found.broken) == ([40, 10], 40, 10)
    found = searched([10, 1000], 500)
    assert (found.tried, found.kept, found.broken) == ([1000, 10], 1000, 10)
    found = searched([7], 7)
    assert (found.tried, found.kept, found.broken) == ([7], 7, None)
