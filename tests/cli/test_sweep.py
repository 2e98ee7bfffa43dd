"""A sweep: finished runs are found before anything starts, data is looked for once, no two runs share a folder."""

from __future__ import annotations

import functools
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from commands import Commands
from omegaconf import OmegaConf

from bench.cli import run, sweep
from bench.config import Settings
from bench.errors import Interrupted, RequestError, SourceError
from bench.records.result import Result, Status
from bench.sweeps import launch, workers
from bench.sweeps.jobs import Work

NUMBERS = {"val_mae": 0.5, "embedding_bytes": 1000, "strategy": "full"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(sweep, "QUIET_SECONDS", math.inf)


class Runs:
    """A benchmark whose runs of some seeds have finished before.

    Attributes:
        trained: the seeds that were run.
        looked: the seeds that were looked for, and the folders their results were left in.
    """

    def __init__(self, *finished: int) -> None:
        self.known = finished
        self.trained: list[int] = []
        self.looked: list[tuple[int, str | None]] = []
        self.work = Work(self.run, None, self.finished)

    def run(self, settings: Settings, folder: Path) -> Result:
        self.trained.append(settings.seed)
        return Result.of(Status.FINISHED)

    def finished(self, settings: Settings, folder: Path | None) -> Result | None:
        self.looked.append((settings.seed, folder and folder.name))
        if settings.seed not in self.known:
            return None
        if folder:
            (folder / "result.json").write_text(json.dumps({"seed": settings.seed}))
        return Result.of(Status.SKIPPED, seed=settings.seed)


def test_a_finished_sweep_is_answered_without_a_launcher(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs(0, 1)
    monkeypatch.setattr(launch, "prepare", lambda settings: pytest.fail("workers were started"))
    monkeypatch.setattr(launch, "beside_each_other", lambda *_: pytest.fail("jobs were launched"))
    assert run.main(["-m", "strategy=full", "seed=0,1", "hydra/launcher=workers"], runs.work) == 0
    assert runs.trained == [] and runs.looked == [(0, None), (1, None), (0, "0"), (1, "1")]
    out = capsys.readouterr().out
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["run", "0", "skipped"],
        ["run", "1", "skipped"],
    ]
    (folder,) = Path("outputs").glob("20*/*")
    for number in ("0", "1"):
        own = folder / number
        assert json.loads((own / "result.json").read_text()) == {"seed": int(number)}
        assert {path.name for path in own.iterdir()} == {".hydra", "run.log", "result.json"}
        assert OmegaConf.load(own / ".hydra" / "overrides.yaml") == ["strategy=full", f"seed={number}"]
        assert OmegaConf.load(own / ".hydra" / "config.yaml").seed == int(number)
        assert OmegaConf.load(own / ".hydra" / "hydra.yaml").hydra.job.num == int(number)


def test_what_hydra_would_leave_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of a run that was answered are those of a run that Hydra has called."""
    for finished in ((), (3,)):
        assert run.main(["-m", "seed=3", f"hydra.sweep.dir=out{len(finished)}"], Runs(*finished).work) == 0
    for name in ("config.yaml", "overrides.yaml", "hydra.yaml"):
        called, answered = (Path(f"out{n}/0/.hydra/{name}").read_text() for n in (0, 1))
        assert answered.replace("out1", "out0") == called
    assert Path("out1/0/run.log").exists()


def test_only_what_has_not_finished_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(1, 3)
    assert run.main(["-m", "seed=0,1,2,3"], runs.work) == 0
    assert runs.trained == [0, 2]
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("run ")]
    states = {number: state for _, number, state, *_ in lines}
    assert states == {"0": "finished", "1": "skipped", "2": "finished", "3": "skipped"}


def test_workers_import_once_a_run_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, began = Runs(0, 1), []
    monkeypatch.setattr(launch, "prepare", lambda settings: began.append((settings.seed, len(runs.looked))))
    monkeypatch.setattr(workers, "run_all", lambda batch, *_: dict.fromkeys(batch.jobs))
    monkeypatch.setattr(sweep.Sweep, "_launch", lambda *_: None)
    assert run.main(["-m", "seed=0,1,2,3", "hydra/launcher=workers"], runs.work) == 0
    assert began[0] == (2, 3)  # before seed 3 is looked for


def test_a_run_that_is_to_be_trained_again_is(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs(0, 1)
    assert run.main(["-m", "seed=0,1", "resume=false"], runs.work) == 0
    assert (runs.trained, runs.looked) == ([0, 1], [])


def test_a_run_that_is_forgotten_meanwhile_is_trained() -> None:
    runs = Runs(0)

    def finished(settings: Settings, folder: Path | None) -> Result | None:
        return runs.finished(settings, folder) if folder is None else None

    assert run.main(["-m", "seed=0,1"], Work(runs.run, None, finished)) == 0
    assert runs.trained == [0, 1]


others = functools.partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("subdir", "start", "works"),
    [
        ("${strategy}", "the runs 0 (strategy=full seed=0) and 1 (strategy=full seed=1) ", "egy}-${hydra.job.num}"),
        others("same", "the runs 0 (strategy=full seed=0) and 1 ", "same-${hydra.job.num}"),
        others(".", "the runs 0 ", "${hydra.job.num}"),
        others("${hydra:runtime.choices.strategy}", "the runs 0 ", "-${hydra.job.num}"),
        ("x/../${strategy}", "the runs 0 ", "-${hydra.job.num}"),
    ],
)  # fmt: skip
def test_runs_that_would_share_a_folder_are_refused(
    subdir: str, start: str, works: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs()
    given = ["-m", "strategy=full,qr", "seed=0,1"]
    assert run.main([*given, f"hydra.sweep.subdir={subdir}"], runs.work) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: hydra.sweep.subdir={subdir}: {start}") and err.count("\n") == 1
    assert works in err and runs.trained == [] and not list(Path().iterdir())
    what = err.rpartition("give ")[2].strip().strip("'")
    assert run.main([*given, what], runs.work) == 0
    assert len(runs.trained) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "subdir", ["${seed}", "${hydra:job.num}", "s${seed}/${strategy}", "${hydra.job.override_dirname}"]
)
def test_folders_of_the_users_own_that_differ(subdir: str) -> None:
    runs = Runs()
    assert run.main(["-m", "seed=0,1", f"hydra.sweep.subdir={subdir}", "hydra.sweep.dir=out"], runs.work) == 0
    assert runs.trained == [0, 1]


def test_a_folder_inside_another_runs_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    config = Path("own/experiment")
    config.mkdir(parents=True)
    for name, subdir in (("a", "x"), ("b", "x/parent")):
        (config / f"{name}.yaml").write_text(f"# @package _global_\nhydra:\n  sweep:\n    subdir: {subdir}\n")
    assert run.main(["-m", "--config-dir", "own", "experiment=a,b"], Runs().work) == 2
    assert (
        "the runs 0 (experiment=a) and 1 (experiment=b) would write into one folder"
        in capsys.readouterr().err
    )


class Sources:
    """Data sets of which some cannot be had.

    Attributes:
        asked: the data sets that were asked for, in order.
        work: of runs that read them.
    """

    def __init__(self, runs: Runs, errors: Mapping[str, Exception]) -> None:
        self.errors, self.asked = errors, list[str]()
        self.work = Work(runs.run, data=self.prepare)

    def prepare(self, settings: Settings) -> None:
        name = settings.dataset.name
        self.asked.append(name)
        if name in self.errors:
            raise self.errors[name]


@pytest.mark.parametrize(
    ("error", "code"),
    [(SourceError("movielens_1m: no connection"), 1), (RequestError("ml-1m.zip: broken"), 2)],
)
def test_data_that_no_run_can_have_is_looked_for_once(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = Runs()
    sources = Sources(runs, {"movielens_1m": error})
    assert run.main(["-m", "dataset=movielens_1m", "seed=0,1,2,3"], sources.work) == code
    assert capsys.readouterr() == ("", f"error: {error}\n")
    assert sources.asked == ["movielens_1m"] and runs.trained == [] and not list(Path().iterdir())


def test_runs_whose_data_cannot_be_had_fail_with_one_reason(capsys: pytest.CaptureFixture[str]) -> None:
    runs = Runs()
    sources = Sources(runs, {"movielens_1m": SourceError("no connection")})
    assert run.main(["-m", "dataset=movielens_1m,synthetic", "seed=0,1"], sources.work) == 1
    out, err = capsys.readouterr()
    assert sources.asked == ["movielens_1m", "synthetic"] and runs.trained == [0, 1]
    shown = "0 (dataset=movielens_1m seed=0); 1 (dataset=movielens_1m seed=1)"
    assert f"runs {shown} failed: no connection\n" in out
    assert err == f"error: 2 of 4 runs failed: {shown}; the others are kept\n"


def test_a_wrong_setting_is_found_before_any_data_is_looked_for() -> None:
    sources = Sources(Runs(), {})
    assert run.main(["-m", "seed=0,1,-1"], sources.work) == 2
    assert sources.asked == []


def test_many_runs_are_checked_with_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 100_000, 2))
    monkeypatch.setattr(sweep.time, "monotonic", lambda: next(clock) / 10)
    monkeypatch.setattr(sweep, "QUIET_SECONDS", 1.0)
    assert run.main(["-m", "seed=range(0,20)"], Runs(*range(20)).work) == 0
    assert capsys.readouterr().out.splitlines()[0] == "checking 20 runs"
    assert run.main(["-m", "seed=range(0,3)"], Runs(*range(3)).work) == 0
    assert "checking" not in capsys.readouterr().out


def test_the_old_name_of_the_launcher_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run.main(["-m", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], Runs(0, 1).work) == 0
    )
    assert capsys.readouterr().err == "hydra/launcher=joblib: is called hydra/launcher=workers now\n"


def test_a_terminated_sweep_says_what_is_kept_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(settings: Settings, folder: Path) -> Result:
        if settings.seed == 1:
            raise Interrupted(signal.SIGTERM)
        return Result.of(Status.FINISHED)

    argv = ["-m", "seed=0,1,2", "hydra.sweep.dir='my folder'"]
    assert run.main(argv, Work(stopped)) == 143
    assert capsys.readouterr().err == (
        "error: interrupted; 1 finished run kept; to train the rest: "
        """python -m bench.run -m seed=0,1,2 'hydra.sweep.dir='"'"'my folder'"'"''\n"""
    )


def test_nothing_slow_is_imported_for_runs_that_have_finished(tmp_path: Path) -> None:
    script = tmp_path / "finished.py"
    script.write_text(
        "import sys\nfrom bench.cli import run\nfrom bench.sweeps.jobs import Work\n"
        "from bench.records.result import Result\n"
        "numbers = Result.of('skipped', val_mae=0.5, embedding_bytes=10, strategy='full')\n"
        "work = Work(lambda *_: sys.exit('trained'), None, lambda settings, folder: numbers)\n"
        "assert run.main(['-m', 'seed=0,1', 'hydra/launcher=workers'], work) == 0\n"
        "import psutil\n"
        "slow = {'tensorflow', 'keras', 'mlflow', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)\n"
        "print(sorted(slow), psutil.Process().children())\n"
    )
    root = str(Path(run.__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": root},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[] []"


def test_two_workers_train_what_was_asked(commands: Commands) -> None:
    quick = ("training.epochs=1", "training.jit=false", "hydra/launcher=workers", "hydra.launcher.n_jobs=2")
    done = commands.small("-m", "strategy=qr", "seed=0,1", *quick)
    assert done.code == 0, done.err
    assert [(result["status"], result["seed"]) for result in done.results] == [
        ("finished", 0),
        ("finished", 1),
    ]
    assert done.results[0]["val_mae"] != done.results[1]["val_mae"]
    assert done.said == []
