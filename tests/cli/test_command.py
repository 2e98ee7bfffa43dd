from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run_here as main

from bench.config import CONF, Loader, Settings
from bench.embeddings.base import OverBudget
from bench.errors import RequestError, RunFailed
from bench.records import result as results
from bench.records.result import Result, Status

ROOT = CONF.parent
OUTPUT = re.compile(r"outputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d(-\d+)?$")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


class Recorder:
    """A task that keeps what it was given and does what its seed says."""

    def __init__(self) -> None:
        self.calls: list[tuple[Settings, Path]] = []

    def __call__(self, settings: Settings, output_dir: Path) -> Result:
        self.calls.append((settings, output_dir))
        raised: dict[int, BaseException] = {
            1: RunFailed("the loss is nan at step 12;\nlower training.learning_rate"),
            2: ValueError("a bug"),
            3: KeyboardInterrupt(),
            4: RequestError("num_buckets=2: too few for 6040 ids; give 78 or more"),
            5: OverBudget("budget=0.001: cannot be met; the smallest is 0.02", 30_000),
        }
        if settings.seed in raised:
            raise raised[settings.seed]
        (output_dir / "result.json").write_text(json.dumps({"seed": settings.seed}))
        return Result.of(Status.FINISHED)


@pytest.fixture
def task() -> Recorder:
    return Recorder()


def left() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def test_run_leaves_its_folder(task: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(task, ["strategy=qr", "num_buckets=120"]) == 0
    settings, output_dir = task.calls[0]
    assert settings.method("user")[1].num_buckets == 120
    assert OUTPUT.search(str(output_dir))
    assert {path.name for path in output_dir.iterdir()} == {".hydra", "run.log", "result.json"}
    assert (output_dir / ".hydra" / "overrides.yaml").read_text() == "- strategy=qr\n- num_buckets=120\n"
    assert capsys.readouterr().err == ""


def test_interrupt_is_one_whatever_a_library_makes_of_it(
    task: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compose(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise AttributeError("'NoneType' object has no attribute '_invalidate_flags_cache'")  # noqa: B904

    monkeypatch.setattr(Loader, "load_configuration", compose)
    assert main(task, ["-m", "seed=0,1"]) == 130
    assert capsys.readouterr().err == (
        "error: interrupted; finished runs are kept; to train the rest: python -m bench.run -m seed=0,1\n"
    )
    assert main(task, ["seed=0"]) == 130
    assert capsys.readouterr().err == "error: interrupted; finished runs are kept\n"
    assert not left()


def test_two_runs_in_one_second_have_folders_of_their_own(task: Recorder) -> None:
    for _ in range(3):
        assert main(task, []) == 0
    assert len({output_dir for _, output_dir in task.calls}) == 3


def test_folder_that_the_user_names(task: Recorder) -> None:
    for _ in range(2):
        assert main(task, ["hydra.run.dir=here/it is"]) == 0
    assert [output_dir.name for _, output_dir in task.calls] == ["it is", "it is"]
    assert Path("here/it is/run.log").exists()


@pytest.mark.parametrize(
    ("seed", "code", "message"),
    [
        (1, 1, "error: the loss is nan at step 12; lower training.learning_rate\n"),
        (3, 130, "error: interrupted; finished runs are kept\n"),
        (4, 2, "error: num_buckets=2: too few for 6040 ids; give 78 or more\n"),
        (5, 2, "error: budget=0.001: cannot be met; the smallest is 0.02\n"),
    ],
)
def test_one_line_and_the_code(
    task: Recorder, capsys: pytest.CaptureFixture[str], seed: int, code: int, message: str
) -> None:
    assert main(task, [f"seed={seed}"]) == code
    assert capsys.readouterr().err == message


def test_bug_leaves_its_traceback_in_the_log_alone(
    task: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(task, ["seed=2"]) == 1
    out, err = capsys.readouterr()
    where = task.calls[0][1] / "run.log"
    assert err == f"error: ValueError: a bug; the traceback is in {where.relative_to(Path.cwd())}\n"
    assert "Traceback" not in out
    assert "Traceback" in where.read_text()


def test_traceback_on_request(
    task: Recorder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(task, ["seed=x"]) == 2
    assert main(task, ["seed=2"]) == 1
    err = capsys.readouterr().err
    assert "checking.py" in err and "ValueError: a bug" in err
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [
        "error: seed=x: give a whole number, at least 0 and at most 4294967295",
        err.splitlines()[-1],
    ]


@pytest.mark.parametrize(
    "overrides", [["seed=x"], ["nosuch=1"], ["seed=4"], ["-m", "seed=0,x"], ["--nosuch"]]
)
def test_refused_request_leaves_nothing(task: Recorder, overrides: list[str]) -> None:
    assert main(task, overrides) == 2
    assert left() == []


def test_refused_run_that_has_written_something_keeps_it(task: Recorder) -> None:
    def late(settings: Settings, output_dir: Path) -> Result:
        (output_dir / "result.json").write_text("{}")
        raise RequestError("too late")

    assert main(late, []) == 2
    assert any(name.endswith("result.json") for name in left())


def test_folder_that_cannot_be_made(task: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    Path("outputs").write_text("a file")
    assert main(task, []) == 1
    assert re.fullmatch(r"error: outputs/.*cannot be made.*hydra.run.dir=FOLDER\n", capsys.readouterr().err)
    assert task.calls == []


def test_sweep(task: Recorder) -> None:
    assert main(task, ["-m", "strategy=full,qr", "seed=0,6"]) == 0
    assert [(s.strategy, s.seed) for s, _ in task.calls] == [("full", 0), ("full", 6), ("qr", 0), ("qr", 6)]
    assert [output_dir.name for _, output_dir in task.calls] == ["0", "1", "2", "3"]
    assert OUTPUT.search(str(task.calls[0][1].parent))
    assert all((output_dir / "result.json").exists() for _, output_dir in task.calls)
    assert all((output_dir / "run.log").exists() for _, output_dir in task.calls)


def test_sweep_goes_on_after_failures_and_names_them(
    task: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(task, ["seed=0,1,2,5,6", "-m"]) == 1
    assert [settings.seed for settings, _ in task.calls] == [0, 1, 2, 5, 6]
    out, err = capsys.readouterr()
    assert err == "error: 2 of 5 runs failed: 1 (seed=1); 2 (seed=2); the others are kept\n"
    assert "run 1 (seed=1) failed: the loss is nan at step 12; lower training.learning_rate\n" in out
    assert "run 3 (seed=5) refused: budget=0.001: cannot be met; the smallest is 0.02\n" in out
    left = [json.loads((output_dir / results.FILE).read_text()) for _, output_dir in task.calls]
    assert [result.get("status") for result in left] == [None, "failed", "failed", "refused", None]
    assert left[3]["error"] == "budget=0.001: cannot be met; the smallest is 0.02"
    assert left[3]["seed"] == 5 and left[3]["settings"]["seed"] == 5 and left[3]["strategy"] == "full"


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        (["seed=0,1,-1"], "error: seed=-1: "),
        (["strategy=qr,full", "num_buckets=3"], "error: num_buckets=3: strategy=full "),
        (["strategy=qr,nosuch"], "error: strategy=nosuch: "),
        (["nosuch=1,2"], "error: nosuch=1: "),
    ],
)
def test_wrong_setting_stops_a_sweep_before_its_first_run(
    task: Recorder, capsys: pytest.CaptureFixture[str], overrides: list[str], start: str
) -> None:
    assert main(task, ["-m", *overrides]) == 2
    assert capsys.readouterr().err.startswith(start)
    assert (task.calls, left()) == ([], [])


def test_sweep_from_an_experiment(task: Recorder) -> None:
    folder = Path("mine/experiment")
    folder.mkdir(parents=True)
    (folder / "both.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      strategy: full,qr\n"
    )
    assert main(task, ["--config-dir", "mine", "experiment=both", "seed=0,6"]) == 0
    assert [(s.strategy, s.seed) for s, _ in task.calls] == [("full", 0), ("full", 6), ("qr", 0), ("qr", 6)]


def test_showing_the_settings(task: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(task, ["--cfg", "job", "strategy=qr"]) == 0
    assert "num_buckets: ${oc.select:num_buckets,null}" in capsys.readouterr().out
    assert (
        main(task, ["--cfg", "job", "--resolve", "-p", "embeddings.default", "strategy=qr", "num_buckets=9"])
        == 0
    )
    assert "num_buckets: 9\n" in capsys.readouterr().out
    assert main(task, ["--cfg", "job", "-p", "seed"]) == 0
    assert capsys.readouterr().out == "0\n"
    assert main(task, ["--cfg", "hydra", "-p", "hydra.run"]) == 0
    assert "dir: outputs/" in capsys.readouterr().out
    assert main(task, ["--info", "defaults"]) == 0
    assert "embedding/full" in capsys.readouterr().out
    assert (task.calls, left()) == ([], [])


@pytest.mark.parametrize(
    ("argv", "holds"),
    [
        (["--nosuch"], "--nosuch"),
        (["--cfg"], "--cfg"),
        (["--cfg", "foo"], "foo"),
        (["--cfg", "job", "seed=x"], "seed=x"),
        (["--cfg", "job", "-p", "nosuch"], "nosuch"),
        (["--cfg", "job", "-m"], "--cfg"),
        (["--cfg", "hydra", "-p", "hydra.sweep.subdir"], "hydra.sweep.subdir"),
        (["--resolve"], "--resolve"),
        (["--config-dir", "nosuch"], "nosuch"),
        (["hydra.run.dir="], "hydra.run.dir="),
    ],
)
def test_wrong_options(
    task: Recorder, capsys: pytest.CaptureFixture[str], argv: list[str], holds: str
) -> None:
    assert main(task, argv) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and holds in err


# Whole commands, as a user types them.

SCRIPT = """
import sys
from bench.records.result import Result, Status
from bench.cli.run import main
from bench.sweeps.jobs import Work

def task(settings, output_dir):
    (output_dir / "result.json").write_text("{}")
    if settings.seed == 1:
        raise ZeroDivisionError("a bug")
    print(settings.strategy, settings.training.epochs)
    print(settings.method("user"))
    return Result.of(Status.FINISHED)

if __name__ == "__main__":
    code = main(work=Work(task))
    slow = sorted({name.partition(".")[0] for name in sys.modules} & set(
        ["tensorflow", "keras", "mlflow", "pandas", "pyarrow", "torch"]))
    print("imported:", *slow)
    sys.exit(code)
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    script = tmp_path_factory.mktemp("script") / "run.py"
    script.write_text(textwrap.dedent(SCRIPT))

    def run(*argv: str, root: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(script), *argv],
            env={**os.environ, "PYTHONPATH": str(root), **env},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--help"], 0),
        pytest.param(["--version"], 0, marks=pytest.mark.slow),
        (["--cfg", "job", "strategy=qr_md"], 0),
        (["strategy=full", "num_buckets=120"], 2),
        pytest.param(["num_buckets=ten", "strategy=qr"], 2, marks=pytest.mark.slow),
        (["-m", "seed=0,-1"], 2),
        pytest.param(["strategy=md"], 0, marks=pytest.mark.slow),
    ],
)
def test_quick_and_without_slow_imports(command: Command, argv: list[str], code: int) -> None:
    done = command(*argv)
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1] == "imported:"
    assert done.stderr.count("\n") == (1 if code else 0)


@pytest.mark.slow
def test_whole_run_and_whole_sweep(command: Command) -> None:
    done = command("strategy=qr", "num_buckets=120", "training.epochs=2")
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (0, "qr 2", "")
    done = command("-m", "strategy=full,qr", "seed=0,1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: 2 of 4 runs failed: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_traceback_of_a_whole_run_on_request(command: Command) -> None:
    done = command("seed=1", HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback") and done.stderr.splitlines()[-1].startswith("error: ")


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as an installation lays it; ``tests/test_wheel.py`` installs the wheel itself."""
    folder = tmp_path_factory.mktemp("site packages")
    for source, place in (("bench", "bench"), ("conf", "bench/conf")):
        shutil.copytree(ROOT / source, folder / place, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.slow
def test_method_in_two_files_has_a_strategy(command: Command, site: Path) -> None:
    (site / "bench" / "embeddings" / "methods" / "tiny.py").write_text(
        "from dataclasses import dataclass\n\nfrom bench.embeddings.methods.full import Full, FullSettings\n\n\n"
        "@dataclass\nclass TinySettings(FullSettings):\n    tiny_width: int = 2\n\n\n"
        "class Tiny(Full):\n    Settings = TinySettings\n"
    )
    (site / "bench" / "conf" / "embedding" / "tiny.yaml").write_text(
        "# as small as can be\nmethod: tiny\ntiny_width: ${oc.select:tiny_width,2}\n"
        "initializer: ${oc.select:initializer,uniform}\n"
    )
    done = command("strategy=tiny", "tiny_width=3", root=site)
    assert (done.returncode, done.stdout.splitlines()[1]) == (
        0,
        "Choice(name='tiny', settings=TinySettings(initializer='uniform', tiny_width=3))",
    ), done.stderr
    done = command("strategy=tiny", "tiny_width=0", root=site)
    assert (done.returncode, done.stderr) == (2, "error: tiny_width=0: give a whole number, at least 1\n")
    done = command("strategy=full", "tiny_width=3", root=site)
    assert "choose strategy=tiny" in done.stderr
    assert "as small as can be" in command("--help", root=site).stdout


def test_works_where_it_is_installed(command: Command, site: Path) -> None:
    done = command("experiment=recipe_memory_efficient", root=site)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "qr_md 3"), done.stderr
    assert any(name.endswith("result.json") for name in left())
