"""The search of ``experiment=within``: what it asks for, what it refuses, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands, error_line
from marks import slow_but
from scipy.stats import t as student

from bench.cli import run
from bench.config import Settings
from bench.errors import RequestError, RunFailed
from bench.records.result import Result, Status
from bench.sweeps.jobs import Work

WITHIN = ("experiment=within", "training.epochs=1")
NOISE = {0: -0.001, 1: 0.0, 2: 0.001}
"""The part of the loss that each seed has by itself."""


class Sizes:
    """Sizes of whole hundreds of bytes."""

    full_bytes = 100_000

    def __init__(self, settings: Settings) -> None:
        if settings.strategy == "tt":
            raise RequestError("strategy=tt: has no sizes here")

    def __call__(self, budget: str) -> int:
        return 100 if budget == "smallest" else int(budget.removesuffix("B")) // 100 * 100


class Task:
    """A run that trains nothing: a method loses 30 / bytes and its seed's noise, on validation rows twice that."""

    def __init__(self, fails: Callable[[Settings], bool] = lambda settings: False) -> None:
        self.seen: list[tuple[str, object, int]] = []
        self.fails = fails

    def __call__(self, settings: Settings, output_dir: Path) -> Result:
        self.seen.append((settings.strategy, settings.budget, settings.seed))
        if self.fails(settings):
            raise RunFailed(f"val_loss is nan in {settings.strategy}")
        size = int(str(settings.budget).removesuffix("B")) if settings.budget else 100_000
        loss = 0.0 if settings.strategy == "full" else 30 / size + NOISE[settings.seed]
        return Result.of(
            Status.FINISHED, task="rating", strategy=settings.strategy, seed=settings.seed, embedding_bytes=size,
            settings=settings.values, validation_mae=1.0 + 2 * loss, val_mae=0.5 + loss,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def main(task: Task, *words: str) -> int:
    return run.main([*WITHIN, *words], Work(task, sizes=Sizes))


REFUSED = [
    (("seed=0",), "seed=0: one seed has no interval"),
    (("seed=null",), "one seed has no interval"),
    (("strategy=full",), "no method to search"),
    (("budget=0.1",), "budget=0.1: experiment=within chooses the sizes itself"),
    (("training.batch_size=64,128",), "takes several values of strategy and seed only"),
    (("hydra.sweeper.within=0",), "hydra.sweeper.within=0: give what may be lost"),
    (("hydra.sweeper.within=-1%",), "hydra.sweeper.within=-1%: give what may be lost"),
    (("hydra.sweeper.within=some",), "a share of their metric as 1%"),
    (("hydra.sweeper.margin=1%",), "hydra.sweeper.margin"),
    (("dataset.split.validation_fraction=0",), "a search looks at validation rows and there are none"),
    (("strategy=md,qrr",), "qrr"),
    (("task=click",), "hydra.sweeper.within=1 %: val_auc is a score"),
    (("num_bucket=3",), "num_bucket=3: no such setting"),
    (("--plan",), "leave out experiment=within"),
]


@pytest.mark.parametrize(
    ("given", "says"), slow_but(REFUSED[::2], REFUSED), ids=[" ".join(g) for g, _ in REFUSED]
)
def test_refused_before_the_first_run(
    given: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task()
    assert main(task, *given) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1 and says in printed
    assert task.seen == [] and not Path("outputs").exists()


def found_in(folder: Path) -> dict[str, object]:
    (file,) = folder.rglob("within.json")
    found: dict[str, object] = json.loads(file.read_text())
    return found


def upper(size: int) -> float:
    """The upper end of the interval of the loss on validation rows, by hand."""
    losses = np.array([2 * (30 / size + noise) for noise in NOISE.values()])
    half = student.ppf(0.975, 2) * losses.std(ddof=1) / np.sqrt(3)
    return float(losses.mean() + half)


def test_smallest_by_the_upper_end_of_the_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task()
    assert main(task, "strategy=qr", "hydra.sweeper.within=2%") == 0
    assert task.seen[:3] == [("full", None, 0), ("full", None, 1), ("full", None, 2)]
    assert {strategy for strategy, _, _ in task.seen[3:]} == {"qr"}
    (method,) = found_in(tmp_path)["methods"]  # type: ignore[misc]
    least = next(size for size in range(100, 100_000, 100) if upper(size) <= 0.02)
    assert method["finished"] and method["problem"] is None
    assert least <= method["embedding_bytes"] <= 1.25 * least
    assert method["embedding_bytes"] / 1.25 <= method["not_within"] < least
    assert len(method["tried"]) <= 8 and len(task.seen) == 3 + 3 * len(method["tried"])
    for one in method["tried"]:
        assert one["validation"]["loss_ci95"][1] == pytest.approx(upper(one["embedding_bytes"]))
        assert one["evaluation"]["loss"] == pytest.approx(30 / one["embedding_bytes"])
        assert one["within"] == (upper(one["embedding_bytes"]) <= 0.02)
    out = capsys.readouterr().out
    assert "\nWithin 2 % of full's validation MAE: qr is the smallest, " in out
    assert "evaluation rows were not looked at for choosing" in out
    command = out.splitlines()[-1]
    assert command.startswith("to have its weights: python -m bench.run strategy=qr")
    assert f"budget={method['embedding_bytes']}B" in command and "experiment" not in command


@pytest.mark.slow
def test_a_difference_in_the_metrics_unit(tmp_path: Path) -> None:
    assert main(Task(), "strategy=qr", "hydra.sweeper.within=0.02") == 0
    found = found_in(tmp_path)
    assert found["allowed"] == 0.02 and found["margin"] == "0.02"


@pytest.mark.slow
def test_settings_of_methods_are_not_for_full_tables(tmp_path: Path) -> None:
    task = Task()
    assert main(task, "strategy=qr", "combine=sum", "embedding_dim=16", "embedding@embeddings.user=md") == 0
    assert task.seen[0][0] == "full"


@pytest.mark.slow
def test_method_that_is_never_within(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Task(), "strategy=qr,md", "hydra.sweeper.within=1e-4") == 0
    out = capsys.readouterr().out
    assert "no size of these methods." in out and "qr: even 97.6 KiB is not within" in out
    assert "to have its weights" not in out


@pytest.mark.slow
def test_a_failed_run_ends_the_search_of_its_method_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Task(fails=lambda settings: settings.strategy == "md" and settings.seed == 1)
    assert main(task, "strategy=qr,md", "hydra.sweeper.within=2%") == 1
    printed = capsys.readouterr()
    assert "qr is the smallest" in printed.out and "md: ended by " in printed.out
    assert "val_loss is nan in md" in printed.out and printed.err.startswith("error: 1 of ")
    assert sum(strategy == "md" for strategy, _, _ in task.seen) == 3
    by_name = {one["strategy"]: one for one in found_in(tmp_path)["methods"]}  # type: ignore[attr-defined]
    assert by_name["md"]["embedding_bytes"] is None and not by_name["md"]["finished"]


@pytest.mark.slow
def test_full_tables_that_fail_leave_nothing_to_compare(capsys: pytest.CaptureFixture[str]) -> None:
    task = Task(fails=lambda settings: settings.strategy == "full")
    assert main(task, "strategy=qr") == 1
    assert "nothing to compare with: " in capsys.readouterr().out
    assert len(task.seen) == 3


def test_interrupt_shows_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(settings: Settings) -> bool:
        if len(task.seen) == 8:
            raise KeyboardInterrupt
        return False

    task = Task(fails=interrupted)
    assert main(task, "strategy=qr", "hydra.sweeper.within=2%") == 130
    printed = capsys.readouterr()
    assert "so far" in printed.out and "not finished" in printed.out
    assert "7 finished runs kept" in printed.err and "experiment=within" in printed.err
    (method,) = found_in(tmp_path)["methods"]  # type: ignore[misc]
    assert not method["finished"] and len(method["tried"]) == 1


def test_sizes_that_cannot_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Task(), "strategy=tt") == 2
    assert capsys.readouterr().err == "error: strategy=tt: has no sizes here\n"


@pytest.mark.slow
def test_real_search_with_workers_and_again(commands: Commands) -> None:
    words = (*WITHIN, "strategy=md,svd,int8", "seed=0,1", "hydra.sweeper.within=5%", "hydra/launcher=workers",
             "hydra.launcher.n_jobs=2")  # fmt: skip
    done = commands.small(*words)
    assert done.code == 0, done.err
    first = found_in(done.cwd)
    assert {one["strategy"] for one in first["methods"]} == {"md", "svd", "int8"}  # type: ignore[attr-defined]
    for one in first["methods"]:  # type: ignore[attr-defined]
        assert one["finished"] and one["tried"], one
        assert {size["embedding_bytes"] for size in one["tried"]} >= {
            one["embedding_bytes"] or one["not_within"]
        }
    line = next(line for line in done.out.splitlines() if line.startswith("to have its weights: "))
    again = commands.small(*words)
    assert again.code == 0 and {result["status"] for result in again.results[len(done.results) :]} <= {
        "skipped"
    }
    assert again.out.split("\nWithin")[1] == done.out.split("\nWithin")[1]
    assert "save_weights=true" in line
    wrong = commands.small(*words, "hydra.sweeper.within=never")
    assert wrong.code == 2 and "hydra.sweeper.within=never" in error_line(wrong)
