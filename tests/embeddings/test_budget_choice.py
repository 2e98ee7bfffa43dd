import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.embeddings import budget as budgets
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


@pytest.fixture
def said(caplog):
    """What is logged, lines that were logged before included."""
    budgets._warn_once.cache_clear()
    return lambda: caplog.messages


# A size that no field has, what it is refused with, and one that the smaller field alone cannot have.
TOO_LARGE = {
    "adapt": ("num_hot", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "adaembed": ("num_hot", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "cafe": ("num_hot", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "bloom": ("num_rows", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "cce": ("num_rows", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "ce": ("num_rows", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "deeplight": ("nnz", 386561, "user (at most 386560), item (at most 237184)", 300000),
    "hash": ("num_rows", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "hash_embedding": ("num_weight_rows", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "hashednet": ("num_weights", 386561, "user (at most 386560), item (at most 237184)", 300000),
    "pep": ("nnz", 386561, "user (at most 386560), item (at most 237184)", 300000),
    "prune": ("nnz", 386561, "user (at most 386560), item (at most 237184)", 300000),
    "qr": ("num_buckets", 6041, "user (at most 6040), item (at most 3706)", 4000),
    "robe": ("num_weights", 386561, "user (at most 386560), item (at most 237184)", 300000),
    "tt": ("rank", 77, "user (at most 76), item (at most 64)", 70),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_size_that_no_field_can_use_is_refused(name, said):
    setting, too_large, limits, partly = TOO_LARGE[name]
    spec = {"method": name, setting: too_large}
    with pytest.raises(RequestError) as caught:
        methods(None, spec, spec)
    assert str(caught.value) == f"{setting}={too_large}: too large for every field: {limits}"
    assert not said()
    spec[setting] = partly
    for _ in range(2):  # once is enough
        assert [m.name() for m in methods(None, spec, spec).values()] == [name, name]
    item = limits.split(", ")[1]
    assert said() == [f"{setting}={partly}: too large for {item}; the largest is taken there"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"method": "pq", "num_codes": 64}, "num_codes=64: too large for every field: user (at most 30), item"),
        ({"method": "dpq", "num_codes": 64}, "num_codes=64: too large for every field: user (at most 30)"),
        ({"method": "mgqe", "num_codes": 64}, "num_codes=64: too large for every field: user (at most 30)"),
        ({"method": "mgqe", "num_cold_codes": 64}, "num_cold_codes=64: too large for every field: user (at most 30)"),
        ({"method": "lowrank", "rank": 31}, "rank=31: too large for every field: user (at most 30)"),
        ({"method": "svd", "rank": 31}, "rank=31: too large for every field: user (at most 30)"),
        ({"method": "adapt", "num_cold": 31}, "num_cold=31: too large for every field: user (at most 30)"),
        ({"method": "robe", "block_size": 65}, "block_size=65: too large for every field: user (at most 64)"),
        ({"method": "ce", "num_chunks": 48}, "num_chunks=48: too large for every field: user (at most 32)"),
        ({"method": "pq", "num_parts": 48}, "num_parts=48: too large for every field: user (at most 32)"),
    ],
)  # fmt: skip
def test_sizes_of_small_fields(spec, words, said):
    fields = {"user": Vocabulary("user", 30), "item": Vocabulary("item", 20)}
    with pytest.raises(RequestError, match=re.escape(words)):
        methods(None, spec, spec, fields=fields)
    assert not said()


def test_cuts_that_no_field_can_have_are_refused(said):
    spec = {"method": "md", "block_splits": [7000, 999999]}
    with pytest.raises(RequestError) as caught:
        methods(None, spec, spec)
    assert str(caught.value) == (
        "block_splits=[7000, 999999]: 7000 is too large for every field: user (at most 6039), item (at most 3705)"
    )
    spec["block_splits"] = [400, 5000]
    chosen = methods(None, spec, spec)
    assert [m.settings.block_splits for m in chosen.values()] == [[400, 5000], [400]]
    assert said() == [
        "block_splits=[400, 5000]: 5000 is too large for item (at most 3705); the cut is left out there"
    ]
    with pytest.raises(RequestError, match=r"5000\]: 5000 is too large for item \(at most 3705\)$"):
        methods(None, {"method": "qr"}, spec)


def test_shares_that_leave_a_block_without_ids(said):
    for splits, words in (
        ([0.5, 0.99999], r"0.99999 is too large for every field: user \(at most 0.999\)"),
        (
            [0.00001, 0.0001],
            r"0.0001 is too close to the cut before it for every field: user \(at least 0.001\)",
        ),
    ):
        spec = {"method": "md", "block_splits": splits}
        with pytest.raises(RequestError, match=words):
            methods(None, spec, spec)
    assert methods(None, *[{"method": "md", "block_splits": [0.001, 0.999]}] * 2)
    assert not said()


def test_under_a_budget_given_sizes_are_judged_too(said):
    spec = {"method": "hash_embedding", "num_weight_rows": 6041}
    with pytest.raises(RequestError, match="too large for every field"):
        methods(0.5, spec, spec)
    spec["num_weight_rows"] = 4000
    methods(0.5, spec, spec)
    assert said() == ["num_weight_rows=4000: too large for item (at most 3706); the largest is taken there"]


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("budget", [None, 0.95])
def test_defaults_are_never_judged(name, budget, said):
    fields = {"user": Vocabulary("user", 9), "item": Vocabulary("item", 2)}
    if budget is None:
        methods(budget, {"method": name}, {"method": name}, dim=3, fields=fields)
    methods(budget, {"method": name}, {"method": "full"}, fields={**FIELDS, "user": Vocabulary("user", 900)})
    assert not said()


def test_the_recipe_is_taken_without_a_word(said):
    for budget in (None, 0.2):
        methods(budget, {"method": "qr", "num_buckets": 120}, {"method": "md", "block_splits": [400, 1700]})
        methods(budget, {"method": "qr"}, {"method": "md"})
    assert not said()


def test_rare_codes_are_as_many_as_given():
    """Where num_codes is open, it is no smaller than the codes of rare ids."""
    spec = {"method": "mgqe", "num_cold_codes": 200}
    for budget in (None, 0.3, 0.1):
        chosen = methods(budget, spec, spec)
        assert [m.settings.num_cold_codes for m in chosen.values()] == [200, 200]
        assert [m.settings.num_codes for m in chosen.values()] == [256, 256]


def test_bytes_are_a_budget_too():
    chosen = methods("120KB", {"method": "qr"}, {"method": "qr"})
    assert 119_000 < nbytes(chosen) <= 120_000
    assert nbytes(methods("0.12MB", {"method": "qr"}, {"method": "qr"})) == nbytes(chosen)
    assert 119_000 < nbytes(methods("117.1875KiB", {"method": "qr"}, {"method": "qr"})) <= 120_000
    assert nbytes(methods("10GB", {"method": "qr"}, {"method": "qr"})) == nbytes(
        methods(1.0, {"method": "qr"}, {"method": "qr"})
    )


def test_bytes_that_cannot_be_met_name_the_bytes_that_can():
    with pytest.raises(
        OverBudget, match=r"^budget=50KB: 50000 bytes .*; the smallest that can is budget=71168B$"
    ):
        methods("50KB", {"method": "qr"}, {"method": "qr"})
    assert nbytes(methods("71168B", {"method": "qr"}, {"method": "qr"})) == 71_168


@pytest.mark.parametrize("method", ["qr", "md", "hash", "dpq", "tt"])
def test_the_smallest_is_what_nothing_smaller_can_meet(method):
    smallest = nbytes(methods("smallest", {"method": method}, {"method": method}))
    with pytest.raises(OverBudget) as caught:
        methods(f"{smallest - 1}B", {"method": method}, {"method": method})
    assert caught.value.smallest_bytes == smallest
