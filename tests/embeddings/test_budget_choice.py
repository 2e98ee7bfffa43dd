import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.embeddings import names, read
from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.budget import choose
from bench.errors import RequestError

USER, ITEM = Vocabulary("user", 6040), Vocabulary("item", 3706)
FIELDS = {"user": USER, "item": ITEM}
FULL = 9746 * 64 * 4


def methods(budget, user, item, dim=64, fields=FIELDS):
    return choose({"user": read(user), "item": read(item)}, fields, dim, budget)


def nbytes(chosen):
    return sum(method.nbytes for method in chosen.values())


def test_without_a_budget_sizes_are_as_set():
    chosen = methods(None, {"method": "qr", "num_buckets": 120}, {"method": "md"})
    assert [m.name() for m in chosen.values()] == ["qr", "md"]
    assert nbytes(chosen) == (15_360 + 102_608 + 3706) * 4


def test_one_share_for_all_fields():
    chosen = methods(0.1, {"method": "qr"}, {"method": "qr"})
    assert FULL * 0.0995 < nbytes(chosen) <= FULL * 0.1
    assert chosen["user"].num_buckets == pytest.approx(6040 / 20, abs=1)
    assert chosen["item"].num_buckets == pytest.approx(3706 / 20, abs=1)


def test_a_budget_touches_no_method_of_one_size_alone():
    assert nbytes(methods(0.1, {"method": "full"}, {"method": "full"})) == FULL


def test_a_full_field_counts_beside_others():
    chosen = methods(0.7, {"method": "full"}, {"method": "qr"})
    assert chosen["user"].nbytes == 6040 * 256
    assert FULL * 0.699 < nbytes(chosen) <= FULL * 0.7
    with pytest.raises(OverBudget, match=r"user 1546240, item 31232\); .*budget=0.6323$"):
        methods(0.5, {"method": "full"}, {"method": "qr"})


def test_a_field_that_cannot_shrink_stays_full_and_others_make_up_for_it():
    fields = {"user": USER, "item": Vocabulary("item", 3)}  # two tables of two rows are more than three rows
    chosen = methods(0.2, {"method": "qr"}, {"method": "qr"}, fields=fields)
    assert [m.name() for m in chosen.values()] == ["qr", "full"]
    assert nbytes(chosen) <= 0.2 * 6043 * 256


def test_a_field_below_its_smallest_takes_its_smallest():
    fields = {"user": USER, "item": Vocabulary("item", 100)}  # 20 rows of 100 at least
    chosen = methods(0.1, {"method": "qr"}, {"method": "qr"}, fields=fields)
    assert chosen["item"].num_buckets == 10
    assert nbytes(chosen) <= 0.1 * 6140 * 256


def test_given_sizes_stay_or_are_refused():
    chosen = methods(0.2, {"method": "qr", "num_buckets": 120}, {"method": "qr"})
    assert chosen["user"].num_buckets == 120
    assert 0.199 * FULL < nbytes(chosen) <= 0.2 * FULL
    with pytest.raises(OverBudget, match=r"budget=0.01: .*budget=0.04905$"):
        methods(0.01, {"method": "qr", "num_buckets": 120}, {"method": "qr", "num_buckets": 120 - 1})
    assert methods(0.04905, {"method": "qr", "num_buckets": 120}, {"method": "qr", "num_buckets": 119})


@pytest.mark.parametrize("wrong", [0, -0.1, 1.5, float("nan"), float("inf")])
def test_budgets_that_cannot_be(wrong):
    with pytest.raises(RequestError, match="budget="):
        methods(wrong, {"method": "qr"}, {"method": "qr"})


def test_a_budget_is_the_decimal_that_was_typed():
    assert int(0.58 * 400) == 231  # in floating point
    chosen = choose({"x": read({"method": "qr"})}, {"x": Vocabulary("x", 100)}, 1, 0.58)
    assert chosen["x"].nbytes == 232


@given(
    picked=st.lists(st.tuples(st.sampled_from(names()), st.integers(1, 4000)), min_size=1, max_size=4),
    dim=st.sampled_from([2, 8, 32]),
    budget=st.floats(0.001, 1),
)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_all_fields_together_stay_within(picked, dim, budget):
    requests = {f"f{i}": read({"method": name}) for i, (name, _) in enumerate(picked)}
    fields = {
        f"f{i}": Vocabulary(f"f{i}", size, np.ones(size, np.int64)) for i, (_, size) in enumerate(picked)
    }
    full = {name: field.size * dim * 4 for name, field in fields.items()}
    try:
        chosen = choose(requests, fields, dim, budget)
    except OverBudget as error:
        budget = float(str(error).rsplit("budget=", 1)[1])
        chosen = choose(requests, fields, dim, budget)
    assert all(chosen[name].nbytes <= full[name] for name in fields)
    if not all(method.ignores_budget for method, _ in requests.values()):
        assert nbytes(chosen) <= budget * sum(full.values()) + 1e-6
