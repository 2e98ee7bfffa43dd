"""The sweeps that are ready in ``conf/experiment``: which jobs they are, without training one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_here as main

from bench.config import Loader, Settings, compose, options
from bench.embeddings import find, names
from bench.embeddings.base import Method, Vocabulary
from bench.embeddings.budget import choose
from bench.records.result import Result, Status

SWEEPS = {
    "sweep_recipe": {"strategy": ["full", "qr_md"], "seed": range(5)},
    "sweep_buckets": {"num_buckets": [78, 150, 280, 520, 960, 1800, 3300, 6040], "seed": range(3)},
    "sweep_clicks": {
        "strategy": ["full", "hash", "qr", "tt", "dhe", "robe", "pep", "lowrank", "cce", "dpq"],
        "budget": [0.1, 0.01],
        "seed": range(3),
    },
    "sweep_frappe": {
        "strategy": ["full", "hash", "qr", "tt", "dhe", "robe", "pep", "cce", "dpq", "pq"],
        "budget": [0.1],
        "seed": range(3),
    },
    "sweep_blocks": {
        "block_splits": ["[0.05,0.25]", "[0.108,0.4587]", "[0.25,0.6]"],
        "block_dims": ["[64,32,16]", "[64,16,4]", "[32,8,2]"],
        "seed": range(3),
    },
}
DATA = {"sweep_clicks": "synthetic_ctr", "sweep_frappe": "frappe_x1"}
MOVIELENS_1M = {"user": 6040, "item": 3706}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Recorder:
    """A task that keeps the settings of each job."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []

    def __call__(self, settings: Settings, output_dir: Path) -> Result:
        self.settings.append(settings)
        return Result.of(Status.FINISHED)


@pytest.fixture
def task() -> Recorder:
    return Recorder()


def launched() -> list[list[str]]:
    """The overrides of each job, as its output folder has them."""
    files = sorted(Path("outputs").rglob("overrides.yaml"), key=lambda file: int(file.parts[-3]))
    return [[line.removeprefix("- ") for line in file.read_text().splitlines()] for file in files]


def product(sweep: Mapping[str, Any], *last: str) -> list[list[str]]:
    values = itertools.product(*([f"{name}={value}" for value in each] for name, each in sweep.items()))
    return [[*job, *last] for job in values]


LONG = [pytest.param(name, marks=pytest.mark.slow) for name in SWEEPS if name != "sweep_recipe"]
"""Composing two dozen jobs takes seconds."""


def test_every_ready_sweep_is_tested() -> None:
    assert [name for name in options("experiment") if name.startswith("sweep_")] == sorted(SWEEPS)


@pytest.mark.parametrize("name", ["sweep_recipe", *LONG])
def test_one_word_runs_all_combinations(task: Recorder, name: str) -> None:
    assert main(task, [f"experiment={name}"]) == 0
    assert launched() == product(SWEEPS[name], f"experiment={name}")
    assert {settings.dataset.name for settings in task.settings} == {DATA.get(name, "movielens_1m")}
    assert len({str(settings.values) for settings in task.settings}) == len(task.settings)


@pytest.mark.parametrize("name", [pytest.param("sweep_recipe", marks=pytest.mark.slow), *LONG])
def test_command_line_wins(task: Recorder, name: str) -> None:
    dataset = DATA.get(name, "synthetic")
    given = [f"dataset={dataset}", "training.epochs=2"]
    assert main(task, [f"experiment={name}", *given, "seed=7,8"]) == 0
    assert launched() == product({**SWEEPS[name], "seed": [7, 8]}, f"experiment={name}", *given)
    assert {(s.dataset.name, s.training.epochs) for s in task.settings} == {(dataset, 2)}
    assert {settings.seed for settings in task.settings} == {7, 8}


def test_a_single_value_takes_the_place_of_many(task: Recorder) -> None:
    assert main(task, ["experiment=sweep_buckets", "num_buckets=120", "seed=0"]) == 0
    assert launched() == [["num_buckets=120", "seed=0", "experiment=sweep_buckets"]]


def test_setting_that_follows_the_seed(task: Recorder) -> None:
    given = ["experiment=sweep_recipe", "seed=0,3", "dataset.split.seed=${seed}"]
    assert main(task, given) == 0
    assert [(s.seed, s.dataset.split.seed) for s in task.settings] == [(0, 0), (3, 3)] * 2


def test_method_without_the_swept_setting_is_refused(
    task: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(task, ["experiment=sweep_buckets", "strategy=md"]) == 2
    assert capsys.readouterr().err.startswith("error: num_buckets=78: strategy=md has no such setting")
    assert (task.settings, launched()) == ([], [])


def test_sweep_among_the_values_of_a_sweep_is_refused(
    task: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(task, ["-m", "experiment=recipe_baseline,sweep_buckets"]) == 2
    assert "experiment=sweep_buckets: a sweep itself" in capsys.readouterr().err
    assert task.settings == []


def methods(*overrides: str, loader: Loader) -> dict[str, Method[Any]]:
    settings = compose(overrides, loader)
    assert settings.dataset.name == "movielens_1m"
    chosen = {field: settings.method(field) for field in MOVIELENS_1M}
    return choose(
        {field: (find(method), own) for field, (method, own) in chosen.items()},
        {field: Vocabulary(field, size, np.arange(size)) for field, size in MOVIELENS_1M.items()},
        settings.embedding_dim,
        settings.budget,
    )


def test_sweep_of_the_recipe_is_the_recipe(task: Recorder) -> None:
    loader = Loader()
    for strategy, experiment in (("full", "recipe_baseline"), ("qr_md", "recipe_memory_efficient")):
        swept = methods("experiment=sweep_recipe", f"strategy={strategy}", "hydra.mode=RUN", loader=loader)
        recipe = methods(f"experiment={experiment}", loader=loader)
        for field in MOVIELENS_1M:
            assert type(swept[field]) is type(recipe[field])
            assert swept[field].settings == recipe[field].settings
    one = compose(["experiment=sweep_recipe", "strategy=full"], loader).values
    other = compose(["experiment=recipe_baseline"], loader).values
    assert one == other


@pytest.mark.parametrize("name", ["sweep_buckets", "sweep_blocks"])
def test_sizes_differ_and_suit_users_and_items(name: str) -> None:
    loader = Loader()
    swept = {key: values for key, values in SWEEPS[name].items() if key != "seed"}
    jobs = product(swept, f"experiment={name}")
    sizes = [sum(method.nbytes for method in methods(*job, loader=loader).values()) for job in jobs]
    assert len(set(sizes)) == len(sizes)
    full = sum(MOVIELENS_1M.values()) * 64 * 4
    assert all(size < full for size in sizes[:-1]) and sizes[-1] < 1.01 * full


@pytest.mark.slow
def test_speed_of_every_method(task: Recorder) -> None:
    assert main(task, ["experiment=speed_methods"]) == 0
    assert [settings.strategy for settings in task.settings] == names()
    assert {(settings.budget, settings.timing, settings.dataset.name) for settings in task.settings} == {
        (0.1, True, "movielens_1m")
    }


def test_every_method_by_a_pattern(task: Recorder) -> None:
    assert main(task, ["-m", "strategy=glob(*p*,exclude=*q*)"]) == 0
    wanted = [name for name in names() if "p" in name and "q" not in name]
    assert [settings.strategy for settings in task.settings] == wanted and len(wanted) > 3
