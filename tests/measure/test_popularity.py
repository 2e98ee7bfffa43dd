"""Errors by field and the worst-served ids, against numbers by hand and plain loops."""

import numpy as np
import pytest

from bench.measure.metrics import absolute_errors, mae_by_decile
from bench.measure.popularity import LEAST_ROWS, LISTED, Served, by_field, worst


def plainly(labels, predictions, ids, counts):
    """The same as ``mae_by_decile``, a row at a time."""
    order = sorted(range(len(counts)), key=lambda one: (-counts[one], one))
    tenth = {one: place * 10 // len(counts) for place, one in enumerate(order)}
    errors = [[] for _ in range(10)]
    for label, prediction, one in zip(labels, predictions, ids, strict=True):
        errors[tenth[one]].append(abs(prediction - label))
    return [sum(own) / len(own) if own else None for own in errors]


def test_every_field_by_its_own_popularity():
    rng = np.random.default_rng(0)
    sizes = {"user": 37, "item": 12, "city": 4}
    labels, predictions = rng.normal(size=500), rng.normal(size=500)
    ids = {name: rng.integers(size, size=500, dtype=np.int32) for name, size in sizes.items()}
    counts = {
        name: rng.integers(5, size=size) for name, size in sizes.items()
    }  # many ties, some never trained
    found = by_field(mae_by_decile, labels, predictions, ids, counts)
    assert list(found) == list(sizes)
    for name in sizes:
        assert found[name] == pytest.approx(plainly(labels, predictions, ids[name], counts[name]))


def test_fewer_ids_than_ten_leave_tenths_empty():
    labels, predictions = np.zeros(4), np.array([1.0, 2.0, 3.0, 5.0])
    found = by_field(
        mae_by_decile, labels, predictions, {"a": np.array([0, 1, 1, 0])}, {"a": np.array([1, 9])}
    )
    assert found == {"a": [2.5, None, None, None, None, 3.0, None, None, None, None]}


def rows_of(*errors_of_ids):
    """Errors and ids of rows: each argument has the errors of an id's rows."""
    ids = np.repeat(np.arange(len(errors_of_ids), dtype=np.int32), [len(own) for own in errors_of_ids])
    return np.concatenate([np.asarray(own, float) for own in errors_of_ids]), ids


def test_the_worst_by_hand():
    few = [9.0] * (LEAST_ROWS - 1)
    errors, ids = rows_of([1.0] * 20, few, [0.5, 3.5] * 10, [], [1.0, 1.5] * 15)
    assert worst(errors, ids, np.array([7, 8, 0, 5, 3])) == [
        Served(2, 2.0, 20, 0), Served(4, 1.25, 30, 3), Served(0, 1.0, 20, 7),
    ]  # fmt: skip


def test_the_order_of_rows_does_not_matter():
    errors, ids = rows_of(*[[float(n % 3)] * 20 for n in range(9)])
    mixed = np.random.default_rng(1).permutation(len(ids))
    assert worst(errors[mixed], ids[mixed], np.ones(9, int)) == worst(errors, ids, np.ones(9, int))


def test_ties_go_by_row_number_and_ten_are_kept():
    errors, ids = rows_of(*[[1.0] * 20 for _ in range(14)], [2.0] * 20)
    assert [one.number for one in worst(errors, ids, np.zeros(15, int))] == [14, *range(LISTED - 1)]


def test_nobody_has_enough_rows():
    assert worst(np.ones(3), np.array([0, 1, 2]), np.ones(5, int)) == []


def test_errors_and_ids_of_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"errors \(3,\) and ids \(2,\)"):
        worst(np.ones(3), np.array([0, 1]), np.ones(2, int))


def test_absolute_errors_are_float64():
    found = absolute_errors(np.array([1, 2], np.float32), np.array([1.5, 0.25], np.float32))
    assert found.dtype == np.float64 and list(found) == [0.5, 1.75]
