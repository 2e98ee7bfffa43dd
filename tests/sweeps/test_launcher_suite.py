"""``hydra/launcher=workers`` passes the suites that Hydra has for launchers, whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.plugins.launcher import Launcher
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)

from bench.sweeps import launch

ROOT = Path(__file__).resolve().parents[2]
FINDS_LAUNCHER = f"hydra.searchpath=[file://{ROOT}/conf]"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    before, at_first = Singleton.get_state(), Singleton.get_state()
    # commands of other tests, and even what is composed while tests are collected, leave their version of defaults
    at_first["instances"] = {ConfigStore: at_first["instances"][ConfigStore]}
    Singleton.set_state(at_first)
    yield
    Singleton.set_state(before)


def test_hydra_finds_the_plugin() -> None:
    found = [f"{plugin.__module__}.{plugin.__qualname__}" for plugin in Plugins.instance().discover(Launcher)]
    assert launch.TARGET in found


@pytest.mark.parametrize(
    "launcher_name, overrides", [("workers", [FINDS_LAUNCHER, "hydra.launcher.n_jobs=2"])]
)
class TestLauncher(LauncherTestSuite):
    """Hydra's own tests of a launcher, within one process of Hydra."""


@pytest.mark.parametrize(
    "launcher_name, overrides", [("workers", [FINDS_LAUNCHER, "hydra.sweeper.max_batch_size=2"])]
)
class TestBatches(BatchedSweeperTestSuite):
    """Hydra's own test of jobs that come to a launcher in several batches."""


@pytest.mark.parametrize(
    "task_launcher_cfg, extra_flags",
    [
        (
            {"defaults": [{"override hydra/launcher": "workers"}]},
            ["-m", FINDS_LAUNCHER, "hydra.launcher.n_jobs=2"],
        )
    ],
)
class TestIntegration(IntegrationTestSuite):
    """Hydra's own tests of a launcher, with whole programs."""
