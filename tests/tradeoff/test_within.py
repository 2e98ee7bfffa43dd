"""The smallest size within a margin, against SciPy and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scored import scored, task
from test_tradeoff import result

from bench.errors import RequestError
from bench.records.result import Result
from bench.tradeoff import tradeoff
from bench.tradeoff.margin import Margin
from bench.tradeoff.within import Answer, Within, within

BASE = (0.700, 0.710, 0.705)


def runs(strategy: str, losses: tuple[float, ...], nbytes: int, **changed: Any) -> list[Result]:
    return [
        result(strategy, seed, BASE[seed] + loss, embedding_bytes=nbytes, num_buckets=nbytes, **changed)
        for seed, loss in enumerate(losses)
    ]


def full() -> list[Result]:
    return [result("full", seed, mae, embedding_bytes=1000) for seed, mae in enumerate(BASE)]


def asked(margin: str, *found: Result) -> Within:
    (one,) = tradeoff(found).sets
    return within(one, [group.strategy for group in one.groups], Margin.read("within", margin))


def of(found: Within, method: str) -> Answer:
    return next(answer for answer in found.answers if answer.method == method)


@pytest.mark.parametrize(
    ("given", "amount", "is_share", "text"),
    [
        ("1%", 0.01, True, "1 %"), ("0.5 %", 0.005, True, "0.5 %"),
        (0.001, 0.001, False, "0.001"), ("1e-3", 0.001, False, "0.001"),
    ],
)  # fmt: skip
def test_margins(given: object, amount: float, is_share: bool, text: str) -> None:
    margin = Margin.read("within", given)
    assert (margin.amount, margin.is_share, str(margin)) == (pytest.approx(amount), is_share, text)
    assert margin.of(0.7) == pytest.approx(0.7 * amount if is_share else amount)


@pytest.mark.parametrize("given", ["", "abc", "-1%", "0", "0%", "nan", "inf", "1%%", "1 2", True])
def test_nonsense_is_refused(given: object) -> None:
    with pytest.raises(RequestError, match=r"^within=.*: give what may be lost .* as 1%, .* as 0.001$"):
        Margin.read("within", given)


def test_the_smallest_size_by_the_upper_end_of_the_paired_interval() -> None:
    losses = {
        500: (0.001, 0.002, 0.0015),
        200: (0.004, 0.006, 0.0045),
        100: (0.004, 0.009, 0.005),
        50: (0.05, 0.06, 0.05),
    }
    found = asked("1%", *full(), *(run for size, own in losses.items() for run in runs("qr", own, size)))
    upper = {}
    for size, own in losses.items():
        test = stats.ttest_rel(np.add(BASE, own), BASE)
        upper[size] = test.confidence_interval(0.95).high
    allowed = 0.01 * np.mean(BASE)
    assert found.allowed == pytest.approx(allowed) and found.metric == "val_mae" and not found.validated
    assert [one.size for one in of(found, "qr").tried] == [50, 100, 200, 500]
    for one in of(found, "qr").tried:
        assert one.upper == pytest.approx(upper[int(one.size)], abs=1e-12)
        assert one.keeps == (upper[int(one.size)] <= allowed)
    # 100 bytes lose 0.0060 on average, less than 0.00705, but its interval reaches 0.0126
    assert np.mean(losses[100]) < allowed < upper[100] and upper[200] > 0.0070 > upper[500]
    chosen, failed = of(found, "qr").chosen, of(found, "qr").failed
    assert chosen and failed and (chosen.size, failed.size) == (500, 200)


def test_sizes_between_are_proposed_if_they_could_decide() -> None:
    small = (0.05, 0.06, 0.05)
    near = asked("1%", *full(), *runs("qr", (0.001,) * 3, 120), *runs("qr", small, 100))
    assert of(near, "qr").next_sizes() == []  # less than 25 % apart
    apart = asked("1%", *full(), *runs("qr", (0.001,) * 3, 130), *runs("qr", small, 100))
    assert of(apart, "qr").next_sizes() == pytest.approx([100 * 1.3**0.5])
    far = asked("1%", *full(), *runs("qr", (0.001,) * 3, 400), *runs("qr", small, 25))
    assert of(far, "qr").next_sizes() == pytest.approx([50, 100, 200])
    none = asked("1%", *full(), *runs("qr", small, 62), *runs("qr", small, 25))  # up to full's 1000 bytes
    assert of(none, "qr").next_sizes() == pytest.approx([62 * (1000 / 62) ** (n / 4) for n in (1, 2, 3)])
    every = asked("1%", *full(), *runs("qr", (0.001,) * 3, 400), *runs("qr", (0.002,) * 3, 200))
    assert of(every, "qr").next_sizes() == pytest.approx([50, 50 * 4 ** (1 / 3), 50 * 4 ** (2 / 3)])


def test_a_larger_size_that_fails_does_not_hide_a_smaller_one() -> None:
    found = asked("1%", *full(), *runs("qr", (0.05,) * 3, 400), *runs("qr", (0.001,) * 3, 200))
    chosen = of(found, "qr").chosen
    assert chosen and chosen.size == 200 and of(found, "qr").failed is None


def test_validation_rows_choose_and_evaluation_rows_are_reported() -> None:
    def both(strategy: str, val: float, validation: float, nbytes: int) -> list[Result]:
        own = runs(strategy, (val, val + 0.001, val), nbytes)
        return [
            Result(**{**vars(run), "validation_mae": 0.5 + seed / 100 + validation})
            for seed, run in enumerate(own)
        ]

    found = asked("1%", *both("full", 0, 0, 1000), *both("qr", 0.02, 0.001, 100), *both("md", 0.0, 0.02, 200))
    assert found.validated and found.metric == "validation_mae" and found.full == pytest.approx(0.51)
    qr = of(found, "qr").chosen
    assert qr and qr.loss.mean == pytest.approx(0.001) and qr.seen.mean == pytest.approx(0.02)
    assert of(found, "md").chosen is None  # good on the evaluation rows, but not on those that choose
    assert [answer.method for answer in found.answers] == ["qr", "md"]


def test_one_seed_cannot_be_answered() -> None:
    found = asked(
        "1%", *full(), *runs("qr", (0.0,), 100), *runs("qr", (0.1,) * 3, 50), *runs("md", (0.0,), 100)
    )
    assert not of(found, "md").decided and of(found, "md").next_sizes() == []
    assert of(found, "qr").decided and of(found, "qr").chosen is None


def test_a_size_no_smaller_than_full_tables_is_no_answer() -> None:
    found = asked("1%", *full(), *runs("qr", (0.0,) * 3, 1000), *runs("md", (0.0,) * 3, 1200))
    assert found.answers == ()


def test_what_cannot_be_asked() -> None:
    assert "no run of full tables" in asked("1%", *runs("qr", (0.1,) * 3, 100)).problem
    assert "0.001 or" not in asked("0.001", *full()).problem and asked("0.001", *full()).problem == ""
    assert asked("100%", *full()).problem.startswith("100 % is no margin: full tables have val MAE 0.7050")
    assert asked("0.8", *full()).problem.startswith("0.8 is no margin")


def test_a_score_has_a_difference_and_no_share() -> None:
    with task():
        full_, good, bad = (
            [scored(run, score + (0, 0.001, -0.002)[seed], val_constant=0.5) for seed, run in enumerate(runs(*what))]
            for score, what in (
                (0.8, ("full", (0.0,) * 3, 1000)), (0.7995, ("qr", (0.0,) * 3, 100)), (0.79, ("qr", (0.0,) * 3, 50)),
            )
        )  # fmt: skip
        assert "is a score, of which a share says little" in asked("1%", *full_, *good, *bad).problem
        found = asked("0.001", *full_, *good, *bad)
        chosen = of(found, "qr").chosen
        assert chosen and chosen.size == 100 and chosen.loss.mean == pytest.approx(0.0005)
        assert asked("1", *full_, *good).problem.startswith("1 is no margin")
