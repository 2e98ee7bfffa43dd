"""Every strategy and every model, and what is planned of them, in one process; every launcher of this machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Commands

from bench.config import Loader, compose
from bench.config.files import options
from bench.embeddings.budget import used
from bench.experiment import Experiment
from bench.measure import memory
from bench.sweeps.measuring import rehearse
from bench.sweeps.plan import Times, plan

pytestmark = pytest.mark.slow

STRATEGIES = sorted({*options("strategy"), *options("embedding")})
MODELS = sorted(options("model"))
# 20 steps of 32 rows
TINY = (
    "dataset.num_users=60", "dataset.num_items=50", "dataset.num_ratings=800", "dataset.split.train_fraction=0.8",
    "training.batch_size=32", "training.epochs=1", "training.progress=false", "embedding_dim=16",
)  # fmt: skip


@pytest.fixture(scope="module")
def loader() -> Loader:
    return Loader()


@pytest.mark.parametrize("model", MODELS)
def test_every_strategy_is_planned_with_every_model_and_trains_with_a_fifth(
    model: str, loader: Loader, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    times = Times([])
    for number, strategy in enumerate(STRATEGIES):
        given = (
            *TINY,
            f"strategy={strategy}",
            f"model={model}",
            "training.jit=false",  # test_run_methods compiles all methods
            f"data_dir={data_dir}",
        )
        settings = compose(given, loader)
        run = Experiment(settings, tmp_path)
        assert len(run.data.train) == 640
        if (number + MODELS.index(model)) % 5 == 0:  # each strategy with two models, a second each
            seen = rehearse(run)
            assert math.isfinite(seen.seconds(1, 640, 160)) and seen.fixed > 0, (strategy, model)
        planned = plan(settings, times)
        sizes = memory.embedding_memory(run.methods)
        assert planned.status == "to train", (strategy, planned.message)
        assert planned.embedding_bytes == sizes["embedding_bytes"]
        assert planned.embeddings == {field: used(method) for field, method in run.methods.items()}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("launcher", ["basic", "workers", "joblib"])
def test_every_launcher_of_this_machine_runs_two_strategies(
    launcher: str, new_commands: Callable[[str], Commands]
) -> None:
    done = new_commands(launcher).run("-m", f"hydra/launcher={launcher}", "strategy=full,qr", *TINY)
    assert done.code == 0, done.err
    assert [(one["strategy"], one["status"]) for one in done.results] == [
        ("full", "finished"),
        ("qr", "finished"),
    ]
    assert [folder.name for folder in done.folders] == ["0", "1"]
    assert ("is called hydra/launcher=workers now" in done.err) == (launcher == "joblib")
