"""What all tests share: commands in folders of their own, and which marked tests this machine can run."""

from __future__ import annotations

import functools
import importlib.util
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import absl.logging
import pytest
from commands import DIVERGES, GOOD, Commands, Done, Running

LONGEST = ("test_run_everything.py", "test_run_signals.py", "test_optimizers.py", "test_api_load.py")

SCALING = {"cluster": ("submitit", "ray"), "server": ("psycopg",)}
"""What tests with these markers need that requirements.lock does not install."""


def pytest_configure() -> None:
    # TensorFlow's logger takes hold of standard error as it is when first imported, which in a test is that test's,
    # and closes it when Hydra sets logging up anew.
    absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__
    # Asserts are rewritten once and kept, which is six seconds a worker, where the shell wants no bytecode kept too.
    sys.dont_write_bytecode = False
    # A shell starts what it runs in the background with Ctrl-C ignored, and commands that tests start inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts whole commands first, the longest of them before all: a process that begins them last would end alone."""
    items.sort(key=lambda item: (item.path.name not in LONGEST, item.path.parent != Path(__file__).parent))


def pytest_runtest_setup(item: pytest.Item) -> None:
    _seed()
    if item.get_closest_marker("movielens") and not _movielens().is_file():
        pytest.skip(f"no {_movielens()}: put the MovieLens 1M archive into BENCH_DATA_DIR")
    if item.get_closest_marker("network") and not _package_index():
        pytest.skip("pip reaches no package index")
    if item.get_closest_marker("browser"):
        if not Path("/usr/bin/chromium").exists():
            pytest.skip("no /usr/bin/chromium: apt-get install chromium")
        if _missing(["playwright"]):
            pytest.skip('no playwright: pip install -e ".[browser]"')
    for name in SCALING:
        if item.get_closest_marker(name) and (missing := _missing(SCALING[name])):
            pytest.skip(f"no {', '.join(missing)}: pip install -r requirements-scaling.lock")


def _seed() -> None:
    # What draws without a seed of its own, as layers do, draws the same in every run of the tests.
    random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


def _movielens() -> Path:
    folder = os.environ.get("BENCH_DATA_DIR") or "~/.cache/embedding-bench"
    return Path(folder).expanduser() / "ml-1m.zip"


def _missing(packages: Iterable[str]) -> list[str]:
    return [name for name in packages if importlib.util.find_spec(name) is None]


@functools.cache
def _package_index() -> bool:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", "recbole"]
    return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared data, shared by all commands."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def new_commands(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Callable[[str], Commands]:
    """Makes a folder for commands."""
    return lambda name: Commands(tmp_path_factory.mktemp(name), data_dir)


@pytest.fixture
def commands(new_commands: Callable[[str], Commands]) -> Commands:
    """A folder for the commands of one test."""
    return new_commands("here")


@pytest.fixture(scope="session")
def movielens_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds the MovieLens 1M archive."""
    folder = tmp_path_factory.mktemp("movielens")
    (folder / "ml-1m.zip").symlink_to(_movielens())
    return folder


# A command takes ten seconds and more, most of it imports on one core: two at a time, and few of them.


@pytest.fixture(scope="session")
def first_commands(new_commands: Callable[[str], Commands]) -> Iterator[tuple[Running, Running]]:
    """A good run, and one whose loss becomes NaN and that logs elsewhere, side by side."""
    elsewhere = new_commands("diverges")
    running = (
        new_commands("good").start_small(*GOOD),
        elsewhere.start_small(*DIVERGES, MLFLOW_TRACKING_URI=f"sqlite:///{elsewhere.cwd}/store/runs.db"),
    )
    yield running
    for command in running:
        command.kill()


@pytest.fixture(scope="session")
def good(first_commands: tuple[Running, Running]) -> Done:
    """A good run."""
    return first_commands[0].wait()


@pytest.fixture(scope="session")
def diverged(first_commands: tuple[Running, Running]) -> Done:
    """A run whose loss became NaN; it logs to ``store/runs.db``."""
    return first_commands[1].wait()


@pytest.fixture(scope="session")
def last_commands(good: Done, new_commands: Callable[[str], Commands], data_dir: Path) -> tuple[Done, Done]:
    """The good run's command again, beside a run that gets SIGINT after its first epoch."""
    interrupted = new_commands("interrupted").start_small("training.epochs=20000")
    try:
        again = Commands(good.cwd, data_dir).small(*GOOD)
        interrupted.until_trains()
        interrupted.signal_group(signal.SIGINT)
        return again, interrupted.wait(60)
    finally:
        interrupted.kill()


@pytest.fixture(scope="session")
def again(last_commands: tuple[Done, Done]) -> Done:
    """The good run's command, given a second time in the same folder."""
    return last_commands[0]


@pytest.fixture(scope="session")
def interrupted(last_commands: tuple[Done, Done]) -> Done:
    """A run that got SIGINT after its first epoch, as all of its process group did."""
    return last_commands[1]


@pytest.fixture(scope="session")
def sweep(good: Done, new_commands: Callable[[str], Commands]) -> Done:
    """A sweep of four runs, of which one had finished, that logs where the good run did."""
    return new_commands("sweep").small(
        "-m", "strategy=full,qr", "seed=0,1", "save_weights=true",
        MLFLOW_TRACKING_URI=f"sqlite:///{good.cwd}/outputs/mlflow.db",
        BENCH_RESULTS_DIR=str(good.cwd / "outputs" / "results"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def own_records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A current folder with one folder of records for all tests of a module, which can share parents."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("runs"))
        patch.delenv("BENCH_RESULTS_DIR", raising=False)
        patch.setenv("BENCH_DATA_DIR", str(Path.cwd() / "data"))
        yield
