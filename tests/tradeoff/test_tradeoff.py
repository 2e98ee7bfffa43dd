"""Groups by seed, their statistics against SciPy's own, the front, and what is printed."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scored import scored, task

from bench.records.result import METRICS, Metric, Result, Status
from bench.tradeoff import Group, Tradeoff, show, tradeoff
from bench.tradeoff.headline import averaged
from bench.tradeoff.showing import names
from bench.tradeoff.statistics import difference, holm, interval, intervals, pareto, statistic

SETTINGS: dict[str, Any] = {
    "embedding_dim": 64, "budget": None, "resume": True, "save_weights": False, "data_dir": "/data",
    "dataset": {"name": "synthetic", "split": {"kind": "random", "seed": 0}, "seed": 0, "vocabulary": "all"},
    "model": {"name": "dot"},
    "training": {"epochs": 3, "batch_size": 128, "threads": None, "progress": True},
    "tracking": {"uri": "sqlite:///a.db", "experiment": "x"},
}  # fmt: skip


def result(strategy: str = "full", seed: int = 0, mae: float | None = 0.7, **changed: Any) -> Result:
    """A result; ``changed`` names settings with ``__`` for dots, sizes of the method, or keys of a result."""
    settings = copy.deepcopy(SETTINGS)
    settings |= {"seed": seed, "strategy": strategy}
    out: dict[str, Any] = {
        "status": "finished", "error": None, "fingerprint": None, "dataset": "synthetic", "strategy": strategy,
        "data_digest": None, "task": "rating", "val_constant": None,
        "settings": settings, "seed": seed, "embedding_bytes": 1000, "compression_ratio": 1.0,
        "val_mae": mae, "val_rmse": 1.0, "step_time_ms": 0.5, "lookup_us": 6.0,
        "environment": {"processor": "p", "threads": 2, "jobs": 1, "gpu": None},
    }  # fmt: skip
    sizes = {}
    for name, value in changed.items():
        *path, last = name.split("__")
        if not path and name in out:
            out[name] = value
        elif not path and name not in settings:
            sizes[name] = value
        else:
            node = settings
            for part in path:
                node = node[part]
            node[last] = value
    settings["embeddings"] = {"default": {"method": strategy, **sizes}, "user": None, "item": None}
    used = {"method": strategy, **sizes, "table_updates": "deferred"}
    out["embeddings"] = {"user": used, "item": dict(used)}
    if out["status"] in ("failed", "refused"):
        out |= {"embeddings": None, "val_mae": None, "embedding_bytes": None}
    # data that is split with another seed, or read from another file, has another digest
    data = [settings["dataset"], out["dataset"]]
    out["data_digest"] = out["data_digest"] or hashlib.sha256(json.dumps(data).encode()).hexdigest()
    return Result(**{**out, "status": Status(out["status"])})


def only(found: Tradeoff) -> Group:
    assert len(found.groups) == 1, found.groups
    return found.groups[0]


def printed(found: Tradeoff) -> str:
    file = io.StringIO()
    show(found, file)
    return file.getvalue()


# Statistics

numbers = st.lists(st.floats(0.1, 10), min_size=2, max_size=8)


@pytest.mark.parametrize("ci", ["t", "bootstrap"])
def test_intervals_of_several_lists_are_those_of_each(ci: Any) -> None:
    lists = np.random.default_rng(0).normal(size=(7, 4)).tolist()
    for found, one in zip(intervals(lists, ci), lists, strict=True):
        assert found == pytest.approx(interval(one, ci), rel=1e-12)
    assert intervals([], ci) == []


@given(numbers)
def test_mean_and_interval_are_scipys(values: list[float]) -> None:
    found = statistic(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    scale = stats.sem(values)
    if scale > 0:
        expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scale)
        assert found.ci95 == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=8))
def test_paired_difference_is_scipys(pairs: list[tuple[float, float]]) -> None:
    mine, theirs = (list(values) for values in zip(*pairs, strict=True))
    found = difference(mine, theirs)
    apart = np.subtract(mine, theirs)
    assert found.mean == pytest.approx(apart.mean(), abs=1e-9)
    if np.std(apart) > 1e-6:  # below, SciPy warns that precision is lost
        test = stats.ttest_rel(mine, theirs)
        assert found.p_value == pytest.approx(test.pvalue, abs=1e-9)
        interval = test.confidence_interval(0.95)
        assert found.ci95 == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_differences_without_spread() -> None:
    assert difference([1.0, 2.0], [1.0, 2.0]).p_value == 1
    assert difference([1.5, 2.5], [1.0, 2.0]).p_value == 0
    assert difference([1.5], [1.0]).mean is None
    with pytest.raises(ValueError, match="2 values and 1"):
        difference([1.0, 2.0], [1.0])


def test_holm_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 equals the one before, then 0.04 x 1 is raised to it
    assert holm([0.03, None, 0.01, 0.04, 0.02]) == pytest.approx([0.06, None, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


points = st.tuples(st.integers(1, 5), st.sampled_from([0.1, 0.2, 0.3, None, float("nan")]))


@given(st.lists(points, max_size=12))
def test_front_is_what_its_definition_says(found: list[tuple[int, float | None]]) -> None:
    real = [(size, error) for size, error in found if error is not None and error == error]

    def beaten(point: tuple[int, float]) -> bool:
        return any(a <= point[0] and b <= point[1] and (a, b) != point for a, b in real)

    expected = [point in real and not beaten(point) for point in found]  # type: ignore[arg-type]
    assert pareto(found) == expected


# Groups


def test_runs_that_differ_in_the_seed_are_one_group() -> None:
    values = [0.70, 0.72, 0.71]
    found = only(tradeoff([result(seed=seed, mae=mae) for seed, mae in enumerate(values)]))
    assert (found.seeds, found.resplit) == ([0, 1, 2], False)
    assert found.statistics["val_mae"].mean == pytest.approx(0.71)
    assert found.statistics["val_mae"].n == 3


def test_settings_that_decide_nothing_part_no_group() -> None:
    other = result(
        seed=1, tracking__uri="b", data_dir="/d", resume=False, training__threads=4, training__progress=False,
        save_weights=True,
    )  # fmt: skip
    assert only(tradeoff([result(), other])).seeds == [0, 1]


@pytest.mark.parametrize(
    "other",
    [
        {"training__epochs": 5},
        {"model__name": "neumf"},
        {"dataset__split__seed": 3},
        {"dataset__split__kind": "time"},
        {"dataset__path": "b.csv"},
        {"dataset": "movielens_1m"},
    ],
)
def test_other_data_split_model_or_training_is_not_compared(other: dict[str, Any]) -> None:
    # the second is beaten in both, and still on the front of its own set
    found = tradeoff([result(), result("qr", mae=0.8, embedding_bytes=2000, **other)])
    assert [len(one.groups) for one in found.sets] == [1, 1]
    assert [group.pareto for group in found.groups] == [True, True]
    assert found.groups[1].delta.mean is None and found.sets[1].baseline is None


def test_sizes_width_and_budget_are_groups_of_one_set() -> None:
    found = tradeoff(
        [
            result(embedding_bytes=9),
            result("qr", num_buckets=10, embedding_bytes=8),
            result("qr", num_buckets=20, embedding_bytes=7),
            result("md", budget=0.1, embedding_bytes=6),
            result(embedding_dim=32, embedding_bytes=5),
        ]
    )
    assert [len(one.groups) for one in found.sets] == [5]
    assert found.sets[0].baseline is found.groups[0]
    assert [group.budget for group in found.groups] == [None, None, None, 0.1, None]


def test_budget_that_full_ignores_parts_no_group() -> None:
    found = only(tradeoff([result(budget=0.3), result(budget=0.1), result(seed=1)]))
    assert (found.seeds, found.budget) == ([0, 1], None)


def test_equal_runs_count_once() -> None:
    runs = [
        result(mae=0.5, fingerprint="a"), result(seed=1, fingerprint="b"),
        result(mae=0.7, fingerprint="a", status="skipped"), result(seed=1, mae=0.9, fingerprint="other code"),
    ]  # fmt: skip
    found = only(tradeoff(runs))
    assert found.seeds == [0, 1]
    assert [run.val_mae for run in found.runs] == [0.7, 0.9]  # the last given


def test_failed_and_refused_runs_are_kept_apart() -> None:
    runs = [
        result(), result(seed=1, status="failed", error="the loss is nan\nat step 3"),
        result("qr", status="refused", error="budget=0.01: too small", budget=0.01, fingerprint="x"),
        result(seed=2, status="failed", error="no space", fingerprint="again"),
        result(seed=2, fingerprint="again"), Result(status=Status.FAILED), Result(status=Status.FINISHED),
        result(seed=5, embedding_bytes=None), result(seed=6, compression_ratio=float("nan")),
    ]  # fmt: skip
    found = tradeoff(runs)
    assert only(found).seeds == [0, 2]
    assert [(one.status, one.name, one.seed, one.reason) for one in found.unfinished] == [
        ("failed", "full", 1, "the loss is nan at step 3"),
        ("refused", "qr budget=0.01", 0, "budget=0.01: too small"),
        ("failed", "a run", None, "its result gives no reason"),
        ("finished", "a run", None, "its result has no settings"),
        ("finished", "full", 5, "its result has no memory"),
        ("finished", "full", 6, "its result has no memory"),
    ]
    assert "1 refused: qr budget=0.01, seed 0: budget=0.01: too small\n" in printed(found)


def test_split_that_follows_the_seed() -> None:
    runs = [
        result(strategy, seed, mae=0.7 + seed / 100, dataset__split__seed=seed, embedding_bytes=1000 + seed)
        for strategy in ("full", "qr") for seed in range(3)
    ]  # fmt: skip
    found = tradeoff([*runs, result("md", 0)])  # one method has one seed: it belongs to them
    assert [len(one.groups) for one in found.sets] == [3]
    assert found.sets[0].settings["dataset.split.seed"] == "${seed}"
    assert {group.strategy: (group.seeds, group.resplit) for group in found.groups} == {
        "full": ([0, 1, 2], True), "qr": ([0, 1, 2], True), "md": ([0], True),
    }  # fmt: skip
    assert {group.embedding_bytes for group in found.groups} == {1001, 1000}
    assert "The rows held out follow the seed" in printed(found)


def test_fixed_split_beside_one_that_follows() -> None:
    fixed = [result(seed=seed) for seed in range(3)]
    follows = [result(seed=seed, dataset__split__seed=seed) for seed in (1, 2)]
    found = tradeoff([*fixed, *follows])
    # seed 0 on split 0 is one of both
    assert sorted((group.resplit, group.seeds) for group in found.groups) == [
        (False, [0, 1, 2]), (True, [0, 1, 2]),
    ]  # fmt: skip


def test_two_fixed_splits_do_not_follow() -> None:
    found = tradeoff([result(seed=s, dataset__split__seed=split) for split in (0, 1) for s in (0, 1, 2)])
    assert [(group.resplit, group.seeds) for group in found.groups] == [(False, [0, 1, 2])] * 2


def test_one_seed_has_no_interval() -> None:
    values = tradeoff([result(), result("qr", mae=0.75)]).groups[1].values()
    assert (values["val_mae_mean"], values["val_mae_sd"], values["val_mae_ci95"]) == (0.75, None, None)
    assert (values["delta_mae"], values["delta_mae_ci95"], values["p_value"]) == (None, None, None)


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_number_that_is_missing_is_not_averaged_away(missing: float | None) -> None:
    runs = [result(mae=0.7), result(seed=1, mae=missing), result("qr", mae=0.9), result("qr", 1, mae=0.9)]
    found = {group.strategy: group for group in tradeoff(runs).groups}
    assert found["full"].values()["val_mae_mean"] is None
    assert [found[name].pareto for name in ("full", "qr")] == [False, True]
    assert found["qr"].p_value is None


def test_a_file_that_was_replaced_is_other_data() -> None:
    before = [
        result(name, s, mae=0.7, dataset__path="a.csv", data_digest="1" * 64)
        for name in ("full", "qr")
        for s in (0, 1)
    ]
    after = [result("qr", s, mae=84.0, dataset__path="a.csv", data_digest="2" * 64) for s in (0, 1)]
    moved = [result("md", s, mae=0.8, dataset__path="b.csv", data_digest="1" * 64) for s in (0, 1)]
    found = tradeoff([*before, *after, *moved])
    assert [[group.strategy for group in one.groups] for one in found.sets] == [["full", "qr", "md"], ["qr"]]
    assert found.sets[1].baseline is None
    text = printed(found)
    assert "synthetic, model dot, data 11111111\n" in text and "synthetic, model dot, data 22222222\n" in text


def test_replaced_data_under_splits_that_follow_the_seed_is_never_joined() -> None:
    def runs(content: str, seeds: range) -> list[Result]:
        return [result("qr", s, dataset__split__seed=s, data_digest=f"{content}{s}" * 32) for s in seeds]

    assert [one.groups[0].seeds for one in tradeoff(runs("a", range(3))).sets] == [[0, 1, 2]]
    assert only(tradeoff(runs("a", range(3)))).data_digest is None
    # seed 0 has two contents: which of them seeds 1 and 2 belong to is not known
    found = tradeoff([*runs("a", range(3)), *runs("b", range(1))])
    assert sorted(group.seeds for group in found.groups) == [[0], [0], [1], [2]]


def test_results_of_earlier_versions_are_told_apart_by_where_their_data_is() -> None:
    runs = [
        replace(result("qr", s, dataset__path=path), data_digest=None, task=None)
        for path in "ab"
        for s in (0, 1)
    ]
    found = tradeoff(runs)
    assert [group.seeds for group in found.groups] == [[0, 1], [0, 1]]
    assert {group.task for group in found.groups} == {"rating"}


def test_a_task_that_is_not_known_is_listed() -> None:
    found = tradeoff([result(), result("qr", task="ranking")])
    assert [group.strategy for group in found.groups] == ["full"]
    assert [one.reason for one in found.unfinished] == ["its task, ranking, is not known to this version"]


def test_a_task_whose_headline_is_better_the_higher_it_is() -> None:
    sizes = {
        "full": (9000, 0.80),
        "md": (900, 0.79),
        "qr": (800, 0.60),
        "hash": (90, 0.50),
        "dhe": (950, 0.70),
    }
    runs = [
        scored(result(name, s, embedding_bytes=n, compression_ratio=9000 / n, val_constant=0.55), score + s / 1000)
        for name, (n, score) in sizes.items() for s in range(3)
    ]  # fmt: skip
    with task():
        found = tradeoff([*runs, *(result("qr", seed) for seed in range(3))])
        assert [one.common.task for one in found.sets] == ["scoring", "rating"]
        one = found.sets[0]
        groups = {group.strategy: group for group in one.groups}
        # dhe needs more memory than md for a lower score
        assert {name for name, group in groups.items() if group.pareto} == {"full", "md", "qr", "hash"}
        assert one.knee is groups["md"]
        assert groups["md"].delta.mean == pytest.approx(-0.01)
        values = groups["md"].values()
        assert values["delta"] == pytest.approx(-0.01) and values["val_score_mean"] == pytest.approx(0.791)
        assert not {"delta_mae", "val_mae_mean", "val_rmse_mean"} & set(values)
        assert one.hypervolume() > one.hypervolume("hash") == 0
        text = printed(found)
    assert "val score" in text and "synthetic, model dot, task scoring\n" in text
    assert "needs less memory with as high a score" in text
    assert "a run with a smaller score is worse than no embeddings" in " ".join(text.split())


def test_a_metric_that_is_added_to_the_result_appears_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "val_loss_mean" not in only(tradeoff([result()])).values()
    monkeypatch.setitem(METRICS, "val_loss", Metric("label squared", "the loss", averaged=True))  # type: ignore[arg-type]
    runs = [replace(result(seed=seed), val_loss=1.0 + seed) for seed in range(2)]
    assert only(tradeoff(runs)).values()["val_loss_mean"] == 1.5


def test_step_times_of_different_machines_are_not_averaged() -> None:
    busy = {"processor": "p", "threads": 2, "jobs": 2, "gpu": None}
    found = only(tradeoff([result(), result(seed=1, environment=busy)]))
    assert found.statistics["step_time_ms"].mean is None and found.crowded
    found = tradeoff([result(environment=busy), result(seed=1, environment=busy)])
    assert only(found).statistics["step_time_ms"].mean == 0.5
    assert "step ms, lookup µs: taken beside other runs" in printed(found)


def test_paired_by_seed_and_corrected() -> None:
    rng = np.random.default_rng(0)
    mae = {
        (name, seed): 0.7 + rng.normal(0, 0.01) for name in ("full", "qr", "md") for seed in range(4)
    }  # fmt: skip
    del mae["qr", 0], mae["full", 3]  # seeds in common: 1, 2
    runs = [result(name, seed, mae=value) for (name, seed), value in mae.items()]
    found = {group.strategy: group for group in tradeoff(runs[::-1]).groups}

    def p_value(name: str, seeds: list[int]) -> float:
        mine, theirs = ([mae[which, seed] for seed in seeds] for which in (name, "full"))
        return float(stats.ttest_rel(mine, theirs).pvalue)

    raw = [p_value("qr", [1, 2]), p_value("md", [0, 1, 2])]
    assert [found["qr"].delta.n, found["md"].delta.n, found["full"].p_value] == [2, 3, None]
    assert [found["qr"].p_value, found["md"].p_value] == pytest.approx(holm(raw), abs=1e-9)


def test_values_are_json_with_the_names_of_the_report() -> None:
    runs = [result(name, seed, mae=0.7 + seed / 100) for name in ("full", "qr") for seed in range(2)]
    values = json.loads(json.dumps(tradeoff(runs).groups[1].values(), allow_nan=False))
    statistics = {f"{n}_{s}" for n in averaged("rating") for s in ("mean", "sd", "ci95")}
    assert {"val_mae_mean", "val_rmse_sd", "validation_mae_mean", "step_time_ms_ci95"} <= statistics
    assert set(values) == statistics | {
        "strategy", "embeddings", "dataset", "data_digest", "task", "model", "budget", "seeds", "resplit",
        "embedding_bytes", "compression_ratio", "val_constant", "pareto", "delta", "delta_ci95", "delta_mae",
        "delta_mae_ci95", "p_value", "p_value_uncorrected", "p_comparisons",
    }  # fmt: skip
    assert (values["delta"], values["task"], values["model"]) == (values["delta_mae"], "rating", "dot")
    assert values["data_digest"] == runs[0].data_digest
    assert len(values["val_mae_ci95"]) == 2 and values["embeddings"]["user"]["method"] == "qr"


# What is printed


def test_table_and_what_it_means() -> None:
    runs = [
        *(result(seed=seed, mae=0.70 + seed / 100, embedding_bytes=2048) for seed in range(3)),
        *(result("qr", seed, mae=0.80 + seed / 100, num_buckets=120, compression_ratio=2.0) for seed in range(3)),
        result("qr", mae=0.9, num_buckets=150, embedding_bytes=1500),
        *(result("md", s, mae=x, embedding_bytes=800, compression_ratio=3.0) for s, x in enumerate([.70, .71, .73])),
    ]  # fmt: skip
    # by hand, t = 4.3027 at two degrees of freedom: t * 0.01 / sqrt(3) = 0.0248, t * 0.015275 / sqrt(3) = 0.0379
    assert printed(tradeoff(runs)) == (
        "\n"
        "synthetic, model dot\n"
        "   run                    memory  smaller          val MAE           to full        p  step ms  lookup µs\n"
        "*  full                 2.00 KiB     1.0x  0.7100 ± 0.0248          baseline               0.5          6\n"
        "   qr num_buckets=150   1.46 KiB     1.0x    0.9000 1 seed         +0.2000 ?               0.5          6\n"
        "   qr num_buckets=120  0.977 KiB     2.0x  0.8100 ± 0.0248  +0.1000 ± 0.0000  <0.0001      0.5          6\n"
        "*  md                  800 bytes     3.0x  0.7133 ± 0.0379  +0.0033 ± 0.0143     0.42      0.5          6\n"
        "\n"
        "*: Pareto front; no other run here needs less memory without more error.\n"
        "val MAE: mean ± half the 95 % confidence interval over 3 seeds (Student's t).\n"
        "To full: mean difference, paired by seed, ± half its 95 % interval. p: of the\n"
        "  paired t test, Holm-corrected over the 2 comparisons in this section; a large\n"
        "  p is no proof that a difference is 0.\n"
        "?: one seed in common with full, so the difference is not tested.\n"
    )


def test_the_best_constant_is_a_row_and_a_note() -> None:
    runs = [result(seed=s, mae=0.7, val_constant=0.875) for s in range(2)]
    text = printed(tradeoff(runs))
    assert "best constant          -        -           0.8750   +0.1750        -          -\n" in text
    assert (
        "best constant: the same number for every row; a run with a larger error is worse than no embeddings.\n"
        in (" ".join(text.split("\n  ")))
    )
    assert "best constant" not in printed(tradeoff([result()]))


def test_titles_tell_sets_apart() -> None:
    text = printed(tradeoff([result(), result(training__epochs=5), result("qr", dataset="other")]))
    assert "synthetic, model dot, training.epochs=3\n" in text
    assert "synthetic, model dot, training.epochs=5\n" in text
    assert "other, model dot\n" in text


def test_long_names_keep_what_differs() -> None:
    splits, dims = [0.05, 0.25], ([64, 32, 16], [64, 16, 4])
    runs = [result("md", block_splits=splits, block_dims=own, projection_bias=False) for own in dims]
    assert names(tradeoff(runs).sets[0]) == ["md block_dims=[64,16,4]", "md block_dims=[64,32,16]"]
    runs = [
        result("qr", num_buckets=9, combine="sum"),
        result("qr", budget=0.1),
        result("qr", embedding_dim=8),
    ]
    assert set(names(tradeoff(runs).sets[0])) == {
        "qr budget=0.1 embedding_dim=64", "qr num_buckets=9 combine=sum embedding_dim=64", "qr embedding_dim=8",
    }  # fmt: skip


def test_on_a_narrow_terminal_numbers_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    busy = {"processor": "p", "threads": 2, "jobs": 2, "gpu": None}
    runs = [
        result("md", s, block_dims=[64, 32, own], budget=0.125, environment=busy)
        for s in (0, 1)
        for own in (16, 8)
    ]
    file = Terminal()
    show(tradeoff(runs), file)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("0.7000 ± 0.0000" in line for line in lines) == 2
    assert any("block_dims=[64,32,16]" in line for line in lines)
    assert "step ms: taken beside other runs" in file.getvalue() and "lookup" not in file.getvalue()


def test_nothing_to_print() -> None:
    assert printed(tradeoff([])) == ""


def test_imports_nothing_slow() -> None:
    slow = "{'scipy', 'tensorflow', 'keras', 'mlflow', 'pandas'} & {name.partition('.')[0] for name in sys.modules}"
    code = f"import sys, bench.tradeoff; print(*{slow})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
