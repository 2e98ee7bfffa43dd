import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import Rows
from bench.data.base import Split
from bench.data.split import EVALUATION, TRAIN, VALIDATION, share
from bench.data.split import roles as roles_of
from bench.errors import RequestError


def make(kind="random", train_fraction=0.5, last_n=1, seed=0, validation_fraction=0.0):
    return Split(kind, train_fraction, last_n, seed, validation_fraction)


def rows_of(users, times=None):
    ids = {"user": np.array(users, np.int64), "item": np.arange(len(users))}
    labels = np.arange(len(users), dtype=np.float32)
    return Rows("here", ids, labels, None if times is None else np.array(times, np.int64))


@pytest.mark.parametrize(
    "fraction, count, expected",
    [
        (0.85, 1_000_209, 850_178),
        (0.5, 3, 2),
        (0.5, 5, 3),
        (0.7, 10**18 + 1, 7 * 10**17 + 1),
        (0.1, 0, 0),
        (0.0, 9, 0),
        (1e-9, 10**9, 1),
        (0.145, 100, 15),  # the double beside 0.145 is smaller and would give 14
    ],
)
def test_shares_are_exact(fraction, count, expected):
    assert share(fraction, count) == expected
    if count < 2**63:
        assert share(fraction, np.array([count, 0, count])).tolist() == [expected, 0, expected]


def test_random_counts_and_seeds():
    rows = rows_of([0] * 1001)
    roles = roles_of(make(train_fraction=0.85, validation_fraction=0.1), rows)
    assert np.bincount(roles).tolist() == [766, 85, 150]  # 850.85 train, of 851 85.1 validate
    again, other = (
        roles_of(make(train_fraction=0.85, validation_fraction=0.1, seed=s), rows) for s in (0, 1)
    )
    assert (roles == again).all()
    assert (roles != other).any()


def test_random_evaluation_rows_do_not_depend_on_the_validation_fraction():
    rows = rows_of([0] * 500)
    without, some = roles_of(make(), rows), roles_of(make(validation_fraction=0.3), rows)
    assert ((without == EVALUATION) == (some == EVALUATION)).all()


def test_random_bytes_are_pinned():
    """A split must be the same in every version, or results of one seed could not be compared."""
    roles = roles_of(make(train_fraction=0.5, validation_fraction=0.25), rows_of([0] * 16))
    assert "".join(map(str, roles)) == "2000220212202021"


def test_random_draws_every_place_alike():
    rows = rows_of([0] * 20)
    times = sum(
        (roles_of(make(train_fraction=0.75, seed=s), rows) == EVALUATION).astype(int) for s in range(400)
    )
    assert times.sum() == 400 * 5
    assert abs(times - 100).max() < 40  # sd is 8.7


def test_last_takes_the_latest_of_each_user():
    #               0  1  2  3  4  5  6  7  8
    rows = rows_of([5, 3, 5, 5, 3, 9, 3, 5, 3], times=[4, 1, 2, 4, 1, 7, 1, 3, 1])
    # user 5: rows 2, 7, 0, 3 by time, 0 before 3 by row; user 3: all at once, so by row; user 9 has one row
    assert roles_of(make("last"), rows).tolist() == [0, 0, 0, 2, 0, 0, 0, 0, 2]
    assert roles_of(make("last", last_n=2), rows).tolist() == [2, 0, 0, 2, 0, 0, 2, 0, 2]
    # 4 rows are no more than 4, so that everybody would train only
    with pytest.raises(RequestError, match=r"last_n=4: of 9 rows none would evaluate"):
        roles_of(make("last", last_n=4), rows)


def test_last_validates_on_the_latest_training_rows_of_each_user():
    rows = rows_of([1] * 6 + [2] * 3 + [3], times=[1, 2, 3, 4, 5, 6, 3, 2, 1, 1])
    # of 5 training rows 2 (2.0), of 2 one (0.8), of 1 none (0.4)
    roles = roles_of(make("last", validation_fraction=0.4), rows)
    assert roles.tolist() == [0, 0, 0, 1, 1, 2, 2, 1, 0, 0]
    # nobody is left without a training row
    roles = roles_of(make("last", validation_fraction=0.99), rows)
    assert roles.tolist() == [0, 1, 1, 1, 1, 2, 2, 1, 0, 0]


def test_time_cuts_at_a_share_of_the_rows():
    rows = rows_of([0] * 8, times=[5, 1, 9, 1, 7, 5, 3, 5])
    # by time and row: 1 3 6 0 5 7 4 2
    assert roles_of(make("time", train_fraction=0.5), rows).tolist() == [0, 0, 2, 0, 2, 2, 0, 2]
    assert roles_of(make("time", train_fraction=0.75), rows).tolist() == [0, 0, 2, 0, 2, 0, 0, 0]
    roles = roles_of(make("time", train_fraction=0.75, validation_fraction=0.34), rows)
    assert roles.tolist() == [0, 0, 2, 0, 2, 1, 0, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=2, max_size=30),
    st.sampled_from(["random", "last", "time"]),
    st.floats(0.05, 0.95),
    st.sampled_from([0.0, 0.3]),
    st.integers(1, 3),
)
def test_parts_are_what_they_should_be(pairs, kind, fraction, validation, last_n):
    users, times = map(np.array, zip(*pairs, strict=True))
    rows = rows_of(users, times)
    try:
        roles = roles_of(make(kind, fraction, last_n, 0, validation), rows)
    except RequestError as error:
        assert "would" in str(error) or (kind != "random" and len(set(times)) == 1)
        return
    train, evaluation = (roles != EVALUATION), (roles == EVALUATION)
    if kind == "time":
        assert times[train].max() <= times[evaluation].min()
    if kind != "last":
        assert train.sum() == share(fraction, len(rows))
        assert (roles == VALIDATION).sum() == share(validation, int(train.sum()))
    else:
        for user in set(users):
            own = users == user
            assert (own & evaluation).sum() == (last_n if own.sum() > last_n else 0)
            assert (own & (roles == TRAIN)).any()
            if (own & evaluation).any():
                assert times[own & train].max() <= times[own & evaluation].min()
    assert (roles == VALIDATION).any() == bool(validation)


@pytest.mark.parametrize("kind", ["last", "time"])
def test_without_times_there_is_no_later(kind):
    with pytest.raises(RequestError, match=rf"dataset.split.kind={kind}: the rows have no timestamps"):
        roles_of(make(kind), rows_of([0, 1, 1]))
    with pytest.raises(RequestError, match=r"all 3 timestamps are 7"):
        roles_of(make(kind), rows_of([0, 1, 1], [7, 7, 7]))


def test_last_needs_users():
    rows = Rows("here", {"ad": np.arange(3)}, np.zeros(3, np.float32), np.arange(3))
    with pytest.raises(RequestError, match="needs the field of users, and there are ad"):
        roles_of(make("last"), rows)


@pytest.mark.parametrize(
    "split, says",
    [
        (make(train_fraction=0.01), r"train_fraction=0.01: of 9 rows none would train"),
        (make(train_fraction=0.99), r"train_fraction=0.99: of 9 rows none would evaluate"),
        (make(validation_fraction=0.01), r"validation_fraction=0.01: of 9 rows none would validate"),
        (make(validation_fraction=0.99), r"train_fraction=0.5: of 9 rows none would train"),
        (make("time", train_fraction=0.01), r"train_fraction=0.01: of 9 rows none would train"),
        (make("last", validation_fraction=0.01), r"validation_fraction=0.01: of 9 rows none would validate"),
    ],
)
def test_an_empty_part_is_refused(split, says):
    with pytest.raises(RequestError, match=says):
        roles_of(split, rows_of([1] * 9, range(9)))


@pytest.mark.parametrize(
    "name, value, works",
    [
        ("train_fraction", 1.5, "above 0 and below 1"),
        ("train_fraction", 0, "above 0 and below 1"),
        ("train_fraction", "most", "a number"),
        ("train_fraction", float("nan"), "a number"),
        ("validation_fraction", 1.0, "at least 0 and below 1"),
        ("validation_fraction", -0.1, "at least 0 and below 1"),
        ("last_n", 0, "at least 1"),
        ("last_n", 1.5, "whole number"),
        ("seed", -1, "at least 0"),
        ("kind", "leave_one_out", "random, last, time, folds or seven_parts"),
        ("kind", None, "random, last, time, folds or seven_parts"),
    ],
)
def test_wrong_settings_are_named(dataset, tmp_path, name, value, works):
    import bench.data

    with pytest.raises(RequestError) as caught:
        bench.data.load(dataset("synthetic", {f"split.{name}": value}), tmp_path)
    assert f"dataset.split.{name}=" in str(caught.value)
    assert works in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"labels": np.array([1, 2, 3])},
            r"labels are int64 of shape \(3,\); float32 of one dimension and 3 rows",
        ),
        ({"labels": np.array([1, np.nan, 3], np.float32)}, "labels hold numbers that are not finite"),
        ({"ids": {"u": np.zeros(3)}}, r"ids of u are float64 of shape \(3,\); integers of one dimension"),
        ({"ids": {"u": np.zeros(2, np.int64)}}, r"ids of u are int64 of shape \(2,\); .* 3 rows are needed"),
        ({"timestamps": np.zeros(3)}, "timestamps are float64 .*; int64 of one dimension"),
        ({"dense": np.zeros((3, 2))}, "dense are float64 .*; float32 of two dimensions"),
        ({"dense": np.zeros(3, np.float32)}, r"dense are float32 of shape \(3,\); float32 of two dimensions"),
    ],
)
def test_rows_that_are_not_as_described_are_refused(changes: dict[str, object], says: str) -> None:
    good = {"ids": {"u": np.arange(3)}, "labels": np.ones(3, np.float32)}
    Rows("here", **good)
    with pytest.raises(RequestError, match=f"^here: {says}"):
        Rows("here", **{**good, **changes})
