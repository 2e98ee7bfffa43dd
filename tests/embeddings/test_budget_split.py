"""``budget_split``: how one budget is divided over fields, against the formulas by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.embeddings import read
from bench.embeddings.base import OverBudget, Vocabulary
from bench.embeddings.budget import SPLITS, STEPS, choose
from bench.errors import RequestError

SIZES = {"a": 100, "b": 1000, "c": 20_000}
FULL = [100, 1000, 20_000]


def methods(budget, split, method="hash", sizes=SIZES, dim=16):
    fields = {name: Vocabulary(name, size) for name, size in sizes.items()}
    return choose({name: read({"method": method}) for name in fields}, fields, dim, budget, split)


def nbytes(chosen):
    return sum(method.nbytes for method in chosen.values())


def test_equal_is_one_share_for_all():
    assert SPLITS["equal"](FULL, STEPS // 4) == [25, 250, 5000]


def test_size_bounds_all_by_one_number_of_bytes():
    assert SPLITS["size"](FULL, STEPS // 8) == [100, 1000, 2500]
    assert SPLITS["size"](FULL, STEPS // 32) == [100, 625, 625]
    assert SPLITS["size"](FULL, STEPS) == FULL and SPLITS["size"](FULL, 0) == [0, 0, 0]


def test_alpha_is_the_power_rule():
    # alpha = 1/2: (100 / n) ** 0.5 of n is the square root of 100 n
    assert SPLITS["alpha"](FULL, 3 * STEPS // 4) == [100, 316, 1414]
    assert SPLITS["alpha"](FULL, STEPS) == FULL
    assert SPLITS["alpha"](FULL, STEPS // 2) == [100, 100, 100]  # alpha = 1
    assert SPLITS["alpha"](FULL, STEPS // 8) == [25, 25, 25] and SPLITS["alpha"](FULL, 0) == [0, 0, 0]


@pytest.mark.parametrize("split", SPLITS)
def test_more_steps_never_give_a_field_less(split):
    steps = [SPLITS[split](FULL, STEPS * number // 1000) for number in range(1001)]
    assert (np.diff(np.array(steps), axis=0) >= 0).all()


def test_low_rank_by_alpha_is_mixed_dimensions_over_fields():
    chosen = methods(0.25, "alpha", "lowrank")
    ranks = {name: getattr(method.settings, "rank", 16) for name, method in chosen.items()}
    assert ranks["a"] == 16 and chosen["a"].name() == "full"
    full = 21_100 * 64
    assert (
        nbytes(chosen) <= 0.25 * full < nbytes(chosen) + 64 * 21_100 / 16
    )  # one number a row more is too much
    # the width of b follows from the alpha that gives c its width
    least, most = (1, 16)
    alphas = []
    for step in range(STEPS // 2, STEPS, STEPS // 2000):
        _, b, c = SPLITS["alpha"]([64 * size for size in SIZES.values()], step)
        if c // (4 * (20_000 + 16)) == ranks["c"]:
            alphas.append(b // (4 * (1000 + 16)))
    assert least <= min(alphas) <= ranks["b"] <= max(alphas) <= most


def test_small_fields_stay_full_and_the_largest_pays():
    chosen = methods(0.1, "size")
    assert [method.name() for method in chosen.values()] == ["full", "full", "hash"]
    rows = chosen["c"].settings.num_rows
    allowed = int(0.1 * 21_100 * 64)
    assert nbytes(chosen) == 1100 * 64 + 64 * rows + 32 <= allowed < nbytes(chosen) + 64


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("budget", [0.5, 0.1, 0.01])
def test_bytes_are_met_to_the_smallest_step(split, budget):
    chosen, allowed = methods(budget, split), int(budget * 21_100 * 64)
    assert allowed - 3 * 64 < nbytes(chosen) <= allowed  # a row of each field


def test_what_cannot_be_met_names_the_smallest():
    for split in SPLITS:
        with pytest.raises(OverBudget, match=r"a 96, b 96, c 96\); the smallest"):
            methods(0.0001, split)
        assert nbytes(methods("smallest", split)) == 3 * 96


def test_the_words_of_the_setting():
    from bench.config import compose

    assert compose(["budget_split=alpha"]).budget_split == "alpha"
    with pytest.raises(
        RequestError, match=r"budget_split=alfa: give equal, alpha or size; did you mean alpha\?"
    ):
        compose(["budget_split=alfa"])
