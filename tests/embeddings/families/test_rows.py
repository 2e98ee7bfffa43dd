import keras
import numpy as np
import pytest

from bench.embeddings.base import MAX_IDS, Vocabulary
from bench.embeddings.families.rows import (
    BLOCK,
    check_positive,
    joined,
    num_rows,
    num_weights,
    once_each,
    uniform,
)
from bench.errors import RequestError


def test_sizes_are_a_tenth_as_given_or_at_most_as_large_as_a_full_table():
    field = Vocabulary("user", 95)
    assert [num_rows(given, field) for given in (None, 7, 95, 96)] == [9, 7, 95, 95]
    assert [num_weights(given, field, 4) for given in (None, 7, 380, 381)] == [38, 7, 380, 380]
    assert num_rows(None, Vocabulary("user", 1)) == num_weights(None, Vocabulary("user", 1), 1) == 1
    huge = Vocabulary("user", MAX_IDS)
    assert num_rows(MAX_IDS, huge, parts=4) == MAX_IDS // 4
    assert num_weights(MAX_IDS + 1, huge, 64) == MAX_IDS


def test_sizes_of_nothing_are_refused_by_name():
    check_positive(one=1, open_size=None)
    with pytest.raises(RequestError, match="other=0: give 1 or more"):
        check_positive(one=1, other=0)


def test_ids_are_asked_for_once_each():
    asked = []

    def places(ids):
        asked.append(ids)
        return {"array": np.stack([ids, ids * 2], axis=-1)}

    ids = np.random.default_rng(0).integers(0, 2 * BLOCK, (3, 4 * BLOCK))
    found = once_each(ids, places, np)["array"]
    np.testing.assert_array_equal(found, np.stack([ids, ids * 2], axis=-1))
    np.testing.assert_array_equal(np.concatenate(asked), np.unique(ids))
    assert max(map(len, asked)) <= BLOCK
    for shape in ((), (0,), (2, 3)):
        assert once_each(np.zeros(shape, int), places, np)["array"].shape == (*shape, 2)


@pytest.mark.parametrize("xp", [np, keras.ops])
def test_rows_side_by_side(xp):
    rows = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    np.testing.assert_array_equal(joined(rows, 6, xp), rows.reshape(2, 6))
    np.testing.assert_array_equal(joined(rows, 5, xp), rows.reshape(2, 6)[:, :5])


def test_bounds_of_the_first_values():
    assert uniform(2.0)["config"] == {"minval": -0.1, "maxval": 0.1}
