import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench.data.interactions import Part
from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.errors import RequestError
from bench.training import batches
from bench.training.batches import Batches, Reader, check_ids, first_occurrence


def part(rows, users=7, items=5):
    rng = np.random.default_rng(0)
    ids = {"user": rng.integers(0, users, rows, np.int32), "item": rng.integers(0, items, rows, np.int32)}
    return Part(ids, np.arange(rows, dtype=np.float32))


def by_hand(rows):
    return [[list(row).index(value) for value in row] for row in rows.tolist()]


@given(
    arrays.arrays(
        np.int64,
        st.tuples(st.integers(1, 5), st.integers(1, 33)),
        elements=st.one_of(st.integers(0, 9), st.integers(0, 2**31 - 2)),
    )
)
def test_first_occurrence_is_what_index_finds(rows):
    found = first_occurrence(rows)
    assert found.dtype == np.int32
    assert found.tolist() == by_hand(rows)


def test_first_occurrence_keeps_batches_apart():
    rows = np.array([[3, 3, 3], [3, 2, 2], [2, 2, 3]])
    assert first_occurrence(rows).tolist() == [[0, 0, 0], [0, 1, 1], [0, 0, 2]]


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (12, 3), (1, 4), (257, 16), (5, 100)])
def test_an_epoch_has_every_row_once(rows, size, monkeypatch):
    monkeypatch.setattr(batches, "CHUNK_EXAMPLES", 4 * size)
    made = Batches(part(rows), [], size, seed=3)
    size = min(size, rows)  # a batch is no larger than the data
    seen, sizes = [], []
    for chunk in made.epoch(1):
        assert chunk.arrays["labels"].shape == (made.chunk_steps, size)
        for step in range(chunk.steps):
            count = int(chunk.arrays["counts"][step])
            sizes.append(count)
            seen.extend(chunk.arrays["labels"][step, :count].tolist())
        assert not chunk.arrays["counts"][chunk.steps :].any()
    assert sorted(seen) == list(range(rows))
    assert sizes == [size] * (rows // size) + ([rows % size] if rows % size else [])


def test_ids_stay_with_their_labels():
    data = part(50)
    for chunk in Batches(data, [], 8, seed=0).epoch(1):
        rows = chunk.arrays["labels"].astype(int)
        for field, ids in chunk.arrays["ids"].items():
            np.testing.assert_array_equal(ids, data.ids[field][rows])


def test_padding_repeats_a_row_of_the_batch_it_fills():
    (chunk,) = Batches(part(10), [], 4, seed=0).epoch(1)
    last = chunk.arrays["labels"][2]
    assert chunk.arrays["counts"].tolist() == [4, 4, 2]
    assert set(last[2:].tolist()) <= set(last[:2].tolist())


def order(made, epoch):
    return [x for chunk in made.epoch(epoch) for x in chunk.arrays["labels"].ravel().tolist()]


def test_order_depends_on_seed_and_epoch_alone():
    assert order(Batches(part(64), [], 8, 0), 1) == order(Batches(part(64), [], 8, 0), 1)
    assert order(Batches(part(64), [], 8, 0), 1) != order(Batches(part(64), [], 8, 0), 2)
    assert order(Batches(part(64), [], 8, 0), 1) != order(Batches(part(64), [], 8, 1), 1)


def test_lookups_are_the_methods_own():
    method = find("qr")(Vocabulary("user", 7), 4)
    reader = Reader("k", method, {}, frozenset({"remainder"}))
    (chunk,) = Batches(part(20), [reader], 4, seed=0).epoch(1)
    ids, buckets = chunk.arrays["ids"]["user"], method.settings.num_buckets
    np.testing.assert_array_equal(chunk.arrays["indices"]["k"]["quotient"], ids // buckets)
    np.testing.assert_array_equal(chunk.arrays["indices"]["k"]["remainder"], ids % buckets)
    assert list(chunk.arrays["first"]["k"]) == ["remainder"]
    assert chunk.arrays["first"]["k"]["remainder"].tolist() == by_hand(ids % buckets)


def test_an_example_has_no_steps_and_the_shapes_of_all_chunks():
    made = Batches(part(20), [], 4, seed=0)
    example, (chunk,) = made.example(), made.epoch(1)
    assert example.steps == 0
    assert example.arrays["labels"].shape == chunk.arrays["labels"].shape


@pytest.mark.parametrize(("value", "told"), [(5, "id 5"), (-1, "id -1")])
def test_an_id_outside_its_vocabulary_is_refused(value, told):
    data = part(4)
    data.ids["item"][2] = value
    with pytest.raises(RequestError, match=rf"training rows: field item has {told}.*\(0 to 4\)"):
        check_ids(data, {"user": 7, "item": 5}, "training")
