"""The published recipe on MovieLens 1M: sizes, errors, and the dense result by rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Commands, Done

# the fixtures train for minutes
pytestmark = [pytest.mark.movielens, pytest.mark.slow, pytest.mark.timeout(1500)]

BASELINE, EFFICIENT = "recipe_baseline", "recipe_memory_efficient"
SEEDS = range(5)


def by_choices(done: Done, *names: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Results of a sweep by the values of what was swept, as typed."""
    assert done.code == 0, done.err
    found = {}
    for folder, result in zip(done.folders, done.results, strict=True):
        lines = (folder / ".hydra" / "overrides.yaml").read_text().splitlines()
        chosen = dict(line.removeprefix("- ").split("=", 1) for line in lines)
        found[tuple(chosen[name] for name in names)] = result
    return found


@pytest.fixture(scope="module")
def folder(new_commands: Callable[[str], Commands], movielens_dir: Path) -> Commands:
    return Commands(new_commands("recipe").cwd, movielens_dir)


@pytest.fixture(scope="module")
def seeds(folder: Commands) -> dict[tuple[str, ...], dict[str, Any]]:
    """Both experiments, by name and seed."""
    swept = ",".join(map(str, SEEDS))
    done = folder.run("-m", f"experiment={BASELINE},{EFFICIENT}", f"seed={swept}", limit=1200)
    return by_choices(done, "experiment", "seed")


@pytest.fixture(scope="module")
def dense(folder: Commands) -> dict[tuple[str, ...], dict[str, Any]]:
    """Both experiments with dense updates, by name."""
    done = folder.run("-m", f"experiment={BASELINE},{EFFICIENT}", "training.table_updates=dense", limit=1200)
    return by_choices(done, "experiment")


@pytest.mark.parametrize(
    ("experiment", "parameters", "ratio"), [(BASELINE, 623_744, 1.0), (EFFICIENT, 117_968, 5.2)]
)
def test_number_of_parameters(seeds: Any, experiment: str, parameters: int, ratio: float) -> None:
    for seed in SEEDS:
        result = seeds[experiment, str(seed)]
        assert result["params_total"] == result["params_embedding"] == parameters
        assert result["full_embedding_bytes"] == 623_744 * 4
        assert result["compression_ratio"] == pytest.approx(ratio, abs=0.1)  # id maps count too


def test_methods_of_the_second_experiment(seeds: Any) -> None:
    result = seeds[EFFICIENT, "0"]
    assert (result["dataset"], result["strategy"]) == ("movielens_1m", "qr_md")
    user, item = result["embeddings"]["user"], result["embeddings"]["item"]
    assert (user["method"], user["num_buckets"]) == ("qr", 120)
    assert (item["method"], item["block_splits"], item["block_dims"]) == ("md", [400, 1700], [64, 32, 16])


def test_second_experiment_is_the_default_of_its_strategy(folder: Commands, seeds: Any) -> None:
    done = folder.run("dataset=movielens_1m", "strategy=qr_md", "training.epochs=1")
    assert done.code == 0, done.err
    assert done.result["params_total"] == 117_968
    assert done.result["val_mae"] == pytest.approx(seeds[EFFICIENT, "0"]["history"]["val_mae"][0], abs=1e-6)


@pytest.mark.parametrize(("experiment", "published"), [(BASELINE, 0.6808), (EFFICIENT, 0.7419)])
def test_error_is_no_worse_than_published(seeds: Any, experiment: str, published: float) -> None:
    errors = [seeds[experiment, str(seed)]["val_mae"] for seed in SEEDS]
    assert sum(errors) / len(errors) <= published
    assert len(set(errors)) == len(errors)
    assert all(len(seeds[experiment, str(seed)]["history"]["val_mae"]) == 3 for seed in SEEDS)


@pytest.mark.parametrize("experiment", [BASELINE, EFFICIENT])
def test_deferred_updates_give_the_dense_error(seeds: Any, dense: Any, experiment: str) -> None:
    by_rows, whole = seeds[experiment, "0"], dense[experiment,]
    if experiment == BASELINE:  # the other's tables are so small that all are updated whole
        assert {used["table_updates"] for used in by_rows["embeddings"].values()} == {"deferred"}
    assert {used["table_updates"] for used in whole["embeddings"].values()} == {"dense"}
    assert by_rows["history"]["val_mae"] == pytest.approx(whole["history"]["val_mae"], abs=1e-4)
    assert by_rows["fingerprint"] != whole["fingerprint"]


def test_finished_experiment_is_not_trained_again(folder: Commands, seeds: Any) -> None:
    done = folder.run(f"experiment={BASELINE}")
    assert (done.code, done.err, done.result["status"]) == (0, "", "skipped")
    assert done.result["val_mae"] == seeds[BASELINE, "0"]["val_mae"]
