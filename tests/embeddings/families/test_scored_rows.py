from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.embeddings.base import Vocabulary
from bench.embeddings.families.scored import highest


def found(
    scores: list[float], hot: list[int], count: int, advantage: float, counts: list[int] | None = None
) -> list[int]:
    known = None if counts is None else np.array(counts)
    vocabulary = Vocabulary("item", len(scores), known)
    return highest(np.float32(scores), np.array(hot, np.int64), count, advantage, vocabulary).tolist()


@pytest.mark.parametrize(("advantage", "best"), [(1.0, [2, 3]), (1.5, [2, 3]), (1.51, [2, 5]), (4.1, [0, 5])])
def test_another_id_must_be_better_than_a_hot_one_by_a_factor(advantage: float, best: list[int]) -> None:
    # at 1.5 the hot id 5 has 3 as the id 3 has: the smaller id counts
    assert found([1, 0, 4, 3, 0, 2], [0, 5], 2, advantage) == best


def test_without_scores_hot_ids_stay_and_the_most_frequent_become_so() -> None:
    assert found([0, 0, 0, 7, 0, 0], [1, 4], 2, 1.0) == [1, 3]
    assert found([0, 0, 0, 7, 0, 0], [], 3, 1.0, [5, 1, 9, 0, 2, 3]) == [0, 2, 3]
    assert found([0, 0, 0, 7, 0, 0], [], 3, 1.0) == [0, 1, 3]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.integers(1, 12),
    st.sampled_from([1.0, 1.5, 3.0]),
    st.randoms(),
)
def test_the_best_are_those_of_plain_sorting(scores, count, advantage, random) -> None:
    count = min(count, len(scores))
    hot = sorted(random.sample(range(len(scores)), count))
    weighted = {i: score * (advantage if i in hot else 1) for i, score in enumerate(scores)}
    wanted = sorted(sorted(weighted, key=lambda i: (-weighted[i], i))[:count])
    assert found(scores, hot, count, advantage) == wanted
