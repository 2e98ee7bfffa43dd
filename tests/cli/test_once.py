"""A warning that every run of a sweep gives stands on the terminal once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from commands import Commands

from bench.cli import run
from bench.config import Settings
from bench.records.result import Result, Status
from bench.sweeps.jobs import Work

log = logging.getLogger("bench.somewhere")


def warns(settings: Settings, folder: Path) -> Result:
    """A run that gives a warning as all others do, and one of its own."""
    log.warning("block_splits: %s fields are too small", 2)
    log.warning("seed %d", settings.seed)
    return Result.of(Status.FINISHED)


@pytest.mark.parametrize("times", [1, 2])
def test_equal_warnings_of_all_runs(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def prepare(settings: Settings) -> None:  # before the first run, where Hydra has not set up loggers yet
        log.warning("block_splits: %s fields are too small", 2)

    for number in range(times):
        assert run.main(["-m", "seed=0,1,2", f"hydra.sweep.dir=out{number}"], Work(warns, data=prepare)) == 0
        assert capsys.readouterr().err.splitlines() == [
            "block_splits: 2 fields are too small", "seed 0", "seed 1", "seed 2",
        ]  # fmt: skip
    for seed in range(3):
        own = Path(f"out0/{seed}/run.log").read_text(encoding="utf-8")
        assert "fields are too small" in own and f"seed {seed}" in own


def test_letters_of_a_log_do_not_depend_on_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("locale.getencoding", lambda: "ascii")

    def says(settings: Settings, folder: Path) -> Result:
        log.warning("josé: 1 ± 2")
        return Result.of(Status.FINISHED)

    assert run.main(["hydra.run.dir=out"], Work(says)) == 0
    assert "josé: 1 ± 2" in Path("out/run.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_warnings_of_the_data_are_shown_once_and_by_no_worker(commands: Commands) -> None:
    rows = "".join(f"{i % 40},{i % 30},{i % 5}\n" for i in range(4000))
    (commands.cwd / "mine.csv").write_text("user,item,stars\n" + rows)
    given = ("-m", "dataset=table", "dataset.path=mine.csv", "dataset.label=stars", "training.epochs=1")
    for more in (("seed=0,1,2",), ("seed=3,4,5,6", "hydra/launcher=workers", "hydra.launcher.n_jobs=2")):
        done = commands.run(*given, *more)
        assert done.code == 0, done.err
        assert done.err.count("rows repeat the user and item") == 1
        assert done.err.count("4000 rows read, none dropped") == 1
        for folder in done.folders:
            assert "rows repeat" in (folder / "run.log").read_text()
    (log,) = commands.cwd.glob("outputs/2*/*/workers.log")
    assert "rows repeat" not in log.read_text() and "epoch 1/1" in log.read_text()
