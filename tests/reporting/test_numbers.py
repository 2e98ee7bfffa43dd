"""A report's numbers against an independent computation with SciPy, on 4 methods x 3 sizes x 5 seeds."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from made import sixty
from scipy import stats

from bench.records.result import Result
from bench.reporting import contents
from bench.tradeoff.statistics import RESAMPLES, hypervolume, interval, knee, pareto


@pytest.fixture(scope="module")
def runs() -> list[Result]:
    return sixty()


@pytest.fixture(scope="module")
def groups(runs: list[Result]) -> dict[tuple[str, int], dict[str, Any]]:
    report = contents.build(runs)
    assert len(report.sections) == 1 and report.runs == 60
    return {
        (group["strategy"], round(group["embedding_bytes"])): group for group in report.values()["groups"]
    }


def by_group(runs: list[Result], key: str) -> dict[tuple[str, int], list[float]]:
    out = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed or 0):
        out[str(run.strategy), run.embedding_bytes or 0].append(run.metric(key) or 0.0)
    return out


@pytest.mark.parametrize("name", ["val_mae", "val_rmse", "step_time_ms"])
def test_means_and_intervals(runs: Any, groups: Any, name: str) -> None:
    values = by_group(runs, name)
    assert set(values) == set(groups) and len(groups) == 12
    for key, numbers in values.items():
        found = groups[key]
        scale = stats.sem(numbers)
        assert found[f"{name}_mean"] == pytest.approx(np.mean(numbers), abs=1e-9)
        assert found[f"{name}_sd"] == pytest.approx(stats.tstd(numbers), abs=1e-9)
        expected = stats.t.interval(0.95, 4, loc=np.mean(numbers), scale=scale)
        assert found[f"{name}_ci95"] == pytest.approx(expected, abs=1e-9)


def test_differences_and_p_values(runs: Any, groups: Any) -> None:
    values = by_group(runs, "val_mae")
    base = max((key for key in values if key[0] == "full"), key=lambda key: key[1])
    others = [key for key in values if key != base]
    raw = {key: stats.ttest_rel(values[key], values[base]) for key in others}
    # Holm's method by its definition: the largest of the scaled p values up to one's own place
    ordered = sorted(others, key=lambda key: raw[key].pvalue)
    scaled = [min(1.0, raw[key].pvalue * (len(ordered) - place)) for place, key in enumerate(ordered)]
    expected = dict(zip(ordered, itertools.accumulate(scaled, max), strict=True))
    assert groups[base]["p_value"] is None and groups[base]["baseline"]
    for key in others:
        between = raw[key].confidence_interval(0.95)
        assert groups[key]["p_value"] == pytest.approx(expected[key], abs=1e-9)
        assert groups[key]["delta_mae_ci95"] == pytest.approx((between.low, between.high), abs=1e-9)


def test_front(runs: Any, groups: Any) -> None:
    means = {key: float(np.mean(numbers)) for key, numbers in by_group(runs, "val_mae").items()}
    for key, mean in means.items():
        beaten = any(
            other[1] <= key[1] and theirs <= mean and (other[1] < key[1] or theirs < mean)
            for other, theirs in means.items()
        )
        assert groups[key]["pareto"] == (not beaten)
    assert sum(group["pareto"] for group in groups.values()) > 3
    assert sum(group["knee"] for group in groups.values()) == 1


def test_bootstrap(runs: Any) -> None:
    report = contents.build(runs, "bootstrap")
    values = by_group(runs, "val_mae")
    for group in report.values()["groups"]:
        numbers = values[group["strategy"], round(group["embedding_bytes"])]
        expected = stats.bootstrap(
            (numbers,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
        ).confidence_interval
        assert group["val_mae_ci95"] == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert "bootstrap percentiles" in " ".join(report.sections[0].notes)


def test_bootstrap_is_that_of_all_draws() -> None:
    numbers = [0.70, 0.71, 0.74, 0.72]
    draws = [np.mean(draw) for draw in itertools.product(numbers, repeat=4)]
    assert interval(numbers, "bootstrap") == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.003)
    assert interval(numbers, "bootstrap") == interval(numbers, "bootstrap")


def test_hypervolume_is_the_area_of_a_grid() -> None:
    points = [
        (10.0, 0.9),
        (100.0, 0.7),
        (1000.0, 0.75),
        (3000.0, 0.6),
        (50_000.0, 0.1),
        (20.0, 1.5),
        (5.0, None),
    ]
    # by hand: 3 decades x 0.1, 2 x 0.2, log10(10000 / 3000) x 0.1
    assert hypervolume(points, (10_000, 1.0)) == pytest.approx(0.3 + 0.4 + np.log10(10 / 3) * 0.1)
    x, y = np.meshgrid(np.linspace(0, 4, 801)[:-1] + 0.0025, np.linspace(0, 1, 501)[:-1] + 0.001)
    behind = np.zeros_like(x, bool)
    for size, error in points:
        if error is not None:
            behind |= (x >= np.log10(size)) & (y >= error)
    assert hypervolume(points, (10_000, 1.0)) == pytest.approx(behind.mean() * 4, abs=0.005)
    assert hypervolume([], (10, 1.0)) == 0


def test_knee_by_hand() -> None:
    # scaled: (0, 1), (1/3, 0.2), (2/3, 0.1), (1, 0); below the line by 0.47, 0.23
    points = [(1000.0, 0.1), (1.0, 1.1), (10.0, 0.3), (100.0, 0.2), (100.0, 0.9), (10.0, None)]
    assert knee(points) == 2
    assert pareto(points) == [True, True, True, True, False, False]
    assert knee(points[:2]) is None  # two ends and no point between them
    assert knee([(1.0, 1.0), (10.0, 0.9), (100.0, 0.0)]) is None  # above the line
    assert knee([]) is None
