"""Biases alone: found among the runs, compared with full tables, in no front and no test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from test_tradeoff import printed, result

from bench.records.result import Result
from bench.tradeoff import tradeoff
from bench.tradeoff.grouping import baselines_for

FULL, BIASES = (0.70, 0.71, 0.705), (0.72, 0.725, 0.73)


def seeds(strategy: str, values: tuple[float, ...], **changed: Any) -> list[Result]:
    return [
        result(strategy, seed, mae, fingerprint=f"{strategy} {seed} {changed}", **changed)
        for seed, mae in enumerate(values)
    ]


def biases(**changed: Any) -> list[Result]:
    return seeds("full", BIASES, model__name="bias", embedding_dim=1, embedding_bytes=16, **changed)


def others() -> list[Result]:
    return [*seeds("full", FULL), *seeds("qr", (0.75, 0.76, 0.77), num_buckets=9, embedding_bytes=100)]


def test_biases_are_a_baseline_of_sets_with_equal_data_and_training() -> None:
    found = tradeoff([*others(), *biases(), *seeds("full", FULL, training__epochs=9)])
    first, second = found.sets
    assert first.biases and second.biases is None
    assert first.biases.leading.mean == pytest.approx(np.mean(BIASES))
    test = stats.ttest_rel(BIASES, FULL)
    interval = test.confidence_interval(0.95)
    assert first.biases.delta.mean == pytest.approx(np.mean(BIASES) - np.mean(FULL))
    assert first.biases.delta.ci95 == pytest.approx((interval.low, interval.high))
    # they are in no test and no front, though they are smallest
    assert first.biases.p_value is None and not first.biases.pareto
    assert first.family and first.family.size == 1
    assert [group.strategy for group in first.groups if group.pareto] == ["full", "qr"]
    assert len(found.biases) == 1 and len(found.used) == 12


def test_without_other_models_they_have_a_set_of_their_own() -> None:
    (one,) = tradeoff(biases()).sets
    assert one.biases is None and one.groups[0].leading.mean == pytest.approx(np.mean(BIASES))


def test_compressed_biases_keep_their_set() -> None:
    found = tradeoff([*others(), *biases(), *seeds("qr", BIASES, model__name="bias", num_buckets=3)])
    assert [one.settings["model.name"] for one in found.sets] == ["dot", "bias"]
    assert found.sets[0].biases and found.biases == ()


def test_of_several_widths_the_narrowest_counts() -> None:
    wide = seeds("full", (0.8, 0.8, 0.8), model__name="bias", embedding_dim=64, embedding_bytes=1024)
    one = tradeoff([*others(), *wide, *biases()]).sets[0]
    assert one.biases and one.biases.embedding_bytes == 16


def test_table_has_a_row_of_biases() -> None:
    text = printed(tradeoff([*others(), *biases()]))
    line = next(line.split() for line in text.splitlines() if "biases alone" in line)
    # by hand, t = 4.3027: half an interval is t * 0.005 / sqrt(3) of the values and of their differences
    assert " ".join(line[:10]) == "biases alone 16.0 bytes 62.5x 0.7250 ± 0.0124 +0.0200 ±"
    assert (
        "biases alone: a number for each id and no vectors (model=bias); it has no part in the front."
        in " ".join(text.split())
    )


@pytest.mark.parametrize(
    ("full", "biases_", "says"),
    [
        # a constant has 0.875; 5 % of it is 0.0438, 5 % of what biases at 0.725 gain is 0.0075
        (0.80, None, None), (0.84, None, "hardly beat the best constant: MAE 0.8400 against 0.8750"),
        (0.70, 0.725, None), (0.72, 0.725, "hardly beat biases alone: MAE 0.7200 against 0.7250"),
        (0.73, 0.725, "do not beat biases alone: MAE 0.7300 against 0.7250"),
        (0.88, None, "do not beat the best constant: MAE 0.8800 against 0.8750"),
    ],
)  # fmt: skip
def test_a_line_where_full_tables_hardly_beat_a_baseline(
    full: float, biases_: float | None, says: str | None
) -> None:
    runs = [result(mae=full, val_constant=0.875), result("qr", mae=0.9, num_buckets=9, val_constant=0.875)]
    if biases_ is not None:
        runs.append(result(mae=biases_, model__name="bias", embedding_dim=1, val_constant=0.875))
    text = " ".join(printed(tradeoff(runs)).split())
    assert ("Full tables" in text) == (says is not None)
    assert says is None or f"Full tables {says}." in text


def test_baselines_that_runs_lack_are_found_among_others() -> None:
    own = seeds("qr", (0.75, 0.76), num_buckets=9)
    stored = [*others(), *biases(), *biases(training__epochs=9), *seeds("md", FULL)]
    found = baselines_for(own, stored)
    assert [(run.setting("model.name"), run.seed) for run in found] == [
        ("dot", 0), ("dot", 1), ("bias", 0), ("bias", 1),
    ]  # fmt: skip
    assert [run.setting("training.epochs") for run in found] == [3] * 4
    # what has its own takes none
    assert baselines_for([*others(), *biases()], [*stored, *seeds("full", FULL, embedding_bytes=1)]) == []
