"""Runs and sweeps in one's own process: what they return, what they raise, and what they leave of the process."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from bench import api
from bench.cli import run as command
from bench.config import Settings
from bench.embeddings.base import OverBudget
from bench.errors import RequestError, RunFailed, SourceError
from bench.records.result import Result, Status
from bench.records.store import Store
from bench.sweeps.jobs import Work

log = logging.getLogger("bench.somewhere")


def benchmark(settings: Settings, folder: Path) -> Result:
    """Stands for the benchmark: its result depends on the seed."""
    os.environ["LEFT_BEHIND"] = "1"
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    log.info("seed %s", settings.seed)
    match settings.seed:
        case 1:
            raise RunFailed("the loss became nan")
        case 2:
            raise OverBudget("budget=1B: cannot be met", 100)
        case 3:
            raise ZeroDivisionError("no line for users")
        case 4:
            raise SourceError("no such server")
        case 5:
            raise RequestError("dataset.path=x: row 3 has no label")
        case 6:
            raise KeyboardInterrupt
    task = (
        "rating" if settings.seed == 7 else None
    )  # without one, a sweep draws no report, which takes seconds
    found = Result.of(
        Status.FINISHED, task=task, fingerprint=f"{settings.seed:064x}", strategy=settings.strategy,
        seed=settings.seed, val_mae=settings.seed / 10, settings=settings.values,
    )  # fmt: skip
    Store(settings.results_dir).add(found)
    found.write(folder)
    return found


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.delenv("BENCH_RESULTS_DIR", raising=False)
    monkeypatch.setattr(command, "benchmark", lambda: Work(benchmark))


def folders() -> list[Path]:
    return [path for path in Path("outputs").glob("*/*") if path.parent.name[0].isdigit()]


def test_a_run_gives_its_result_and_its_folders(tmp_path):
    found = api.run("strategy=qr", num_buckets=120, seed=7, training={"epochs": 2})
    assert (found.result.status, found.result.val_mae) == ("finished", 0.7)
    assert found.folder and found.folder == tmp_path / folders()[0]
    assert Result.read(found.folder) == found.result
    assert found.record == tmp_path / "outputs" / "results" / f"{7:064x}"
    assert found.overrides == ("strategy=qr", "num_buckets=120", "seed=7", "training.epochs=2")
    assert found.result.setting("training.epochs") == 2
    assert "seed 7" in (found.folder / "run.log").read_text()
    assert (
        repr(found) == f"<Run qr seed=7 num_buckets=120 training.epochs=2: finished, 0.7000; {found.folder}>"
    )


def test_it_is_the_run_of_the_command(capsys):
    found = api.run(strategy="qr", num_buckets=120, seed=7)
    assert capsys.readouterr().err == "seed 7\n"
    found.show()
    shown = capsys.readouterr().out
    assert command.main(["strategy=qr", "num_buckets=120", "seed=7"], Work(benchmark)) == 0
    printed = capsys.readouterr().out
    assert shown.replace(str(found.folder), "") == printed.replace(str(sorted(folders())[1].absolute()), "")
    saved = [(place / ".hydra" / "config.yaml").read_text() for place in sorted(folders())]
    assert saved[0] == saved[1]


@pytest.mark.parametrize(
    ("seed", "kind", "message", "leaves"),
    [
        (1, RunFailed, "^the loss became nan\n", True),
        (2, OverBudget, "^budget=1B: cannot be met", False),
        (3, RunFailed, "^ZeroDivisionError: no line for users; the traceback is in outputs", True),
        (4, SourceError, "^no such server\n", True),
        (5, RequestError, "^dataset.path=x: row 3", False),
    ],
)
def test_what_goes_wrong_is_raised(seed, kind, message, leaves):
    with pytest.raises(kind, match=message) as caught:
        api.run(seed=seed)
    assert bool(folders()) == leaves
    assert [*getattr(caught.value, "__notes__", [])] == [
        f"result and log: {folder.absolute()}" for folder in folders()
    ]
    if seed == 3:
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (("strateg=qr",), {}, "^strateg=qr: .*did you mean strategy"),
        ((), {"strategy": "nope"}, "^strategy=nope: no strategy called nope"),
        (("num_buckets=3",), {}, "^num_buckets=3: "),
        (("seed=0,1",), {}, "^seed=0,1: several values; call api.sweep"),
        ((), {"seed": [0, 1]}, "^seed=.*give a whole number"),
        (("experiment=sweep_buckets",), {}, "these settings are a sweep; call api.sweep"),
        ((), {"config_dir": "nowhere"}, "^--config-dir nowhere: there is no such folder"),
        (("seed=",), {}, "^seed="),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(given, settings, message):
    with pytest.raises(RequestError, match=message):
        api.run(*given, **settings)
    assert not Path("outputs").exists()


def test_an_interrupt_goes_to_the_caller():
    for call in (api.run, api.sweep):
        with pytest.raises(KeyboardInterrupt):
            call(seed=6)


def test_own_settings_files_are_found(tmp_path):
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "ours.yaml").write_text("# @package _global_\ndefaults: [qr]\n")
    assert api.run(strategy="ours", seed=7, config_dir="mine").result.status == "finished"


def test_a_sweep_gives_all_runs_with_their_reasons(tmp_path, capsys):
    runs = api.sweep("seed=8,1", strategy=["full", "qr"])
    assert [(one.result.status, one.overrides) for one in runs] == [
        ("finished", ("seed=8", "strategy=full")),
        ("finished", ("seed=8", "strategy=qr")),
        ("failed", ("seed=1", "strategy=full")),
        ("failed", ("seed=1", "strategy=qr")),
    ]
    assert [one.result.error for one in runs] == [None, None, *["the loss became nan"] * 2]
    assert [one.folder for one in runs] == [tmp_path / folders()[0] / str(number) for number in range(4)]
    assert runs[0].record == tmp_path / "outputs" / "results" / f"{8:064x}" and runs[2].record is None
    refused = api.sweep(seed=[2])
    assert [(one.result.status, one.result.error, one.record) for one in refused] == [
        ("refused", "budget=1B: cannot be met", None)
    ]
    assert "run 2  failed    seed=1 strategy=full  the loss became nan" in capsys.readouterr().out


def test_a_sweep_with_a_wrong_setting_begins_nothing():
    with pytest.raises(RequestError, match=r"^strategy=nope"):
        api.sweep(strategy=["qr", "nope"])
    assert not Path("outputs").exists()


def test_the_process_stays_as_it_was(tmp_path, monkeypatch):
    kept = logging.FileHandler(tmp_path / "mine.log", mode="w")
    named = logging.StreamHandler()
    named.set_name("mine")
    monkeypatch.setattr(logging.root, "handlers", [kept, named])
    logging.root.setLevel(logging.WARNING)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    known = (
        dict(os.environ),
        Path.cwd(),
        logging.root.handlers[:],
        logging.root.level,
        logging.raiseExceptions,
    )
    drawn = random.getstate(), np.random.get_state()[1].tolist(), logging.getLogger("tensorflow").level  # noqa: NPY002
    logging.warning("before")
    api.run("hydra.job.chdir=true", seed=7)
    api.sweep(seed=[8, 9])
    with pytest.raises(RunFailed):
        api.run(seed=1)
    logging.warning("after")
    assert known == (
        dict(os.environ), Path.cwd(), logging.root.handlers, logging.root.level, logging.raiseExceptions
    )  # fmt: skip
    assert drawn == (
        random.getstate(), np.random.get_state()[1].tolist(), logging.getLogger("tensorflow").level  # noqa: NPY002
    )  # fmt: skip
    assert (tmp_path / "mine.log").read_text() == "before\nafter\n"
    named.set_name(None)
    kept.close()


def test_calls_from_several_threads_wait_for_each_other():
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda seed: api.run(seed=seed), (7, 8, 9)))
    assert [run.result.seed for run in found] == [7, 8, 9]
    assert len({run.folder for run in found}) == 3


def test_a_program_of_hydra_may_call_it(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1")
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        before = GlobalHydra.instance().hydra
        api.run(seed=7)
        assert GlobalHydra.instance().hydra is before
        assert compose("config", ["seed=4"]).seed == 4
    assert not GlobalHydra.instance().is_initialized()


QUICK = """
import sys
from bench import api
slow = {"tensorflow", "keras", "pandas", "mlflow", "hydra", "omegaconf", "pyarrow"} & set(sys.modules)
assert not slow, slow
try:
    api.run(strategy="nope")
except Exception as error:
    print(type(error).__name__, error)
slow = {"tensorflow", "keras", "pandas", "mlflow", "pyarrow"} & set(sys.modules)
assert not slow, slow
"""


def test_importing_and_refusing_are_quick(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", QUICK], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("RequestError strategy=nope: ")
