"""Sweeps by submitit on this machine, and on a cluster of Ray's with two workers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from commands import Commands, Done, client_of, logged_runs

pytestmark = pytest.mark.cluster

SUBMITIT = ("-m", "hydra/launcher=submitit_local")
LONG = "training.epochs=3,20000"


@dataclass(frozen=True)
class Cluster:
    """Two workers of Ray's, with one core each."""

    address: str
    home: Path

    def variables(self) -> dict[str, str]:
        """What a command needs to find it."""
        return {"HOME": str(self.home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}

    def arguments(self) -> tuple[str, ...]:
        """How a sweep is told of it."""
        return ("-m", "hydra/launcher=ray", f"hydra.launcher.ray.init.address={self.address}")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The cluster, started in a folder where no command runs."""
    # not pytest's folder: the names of Ray's sockets would be too long
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        address = f"127.0.0.1:{free_port()}"
        found = Cluster(address, folder)
        head = (
            "--head", f"--port={address.partition(':')[2]}", f"--temp-dir={folder}",
            f"--ray-client-server-port={free_port()}", "--include-dashboard=false",
        )  # fmt: skip
        nodes = []
        try:
            for number, options in enumerate([head, (f"--address={address}",)]):
                nodes.append(start_node(found, folder / f"{number}.log", *options))
            yield found
        finally:
            for node in nodes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(node.pid, signal.SIGKILL)
                node.wait()


def start_node(cluster: Cluster, log: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [
        str(Path(sys.executable).with_name("ray")), "start", *options,
        "--node-ip-address=127.0.0.1", "--num-cpus=1", "--block",
    ]  # fmt: skip
    environment = {**os.environ, **cluster.variables(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with log.open("wb") as out:
        node = subprocess.Popen(
            command, cwd=cluster.home, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    end = time.monotonic() + 90
    while "Ray runtime started" not in log.read_text():
        assert node.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    return node


@pytest.fixture(scope="module")
def by_submitit(new_commands: Callable[[str], Commands]) -> Done:
    """A sweep of two runs, both good."""
    return new_commands("submitit").small(*SUBMITIT, "strategy=full,qr")


@pytest.fixture(scope="module")
def by_ray(cluster: Cluster, new_commands: Callable[[str], Commands]) -> Done:
    """A sweep of a good run and one whose loss becomes NaN."""
    return new_commands("ray").small(
        *cluster.arguments(), "training.optimizer=sgd", "training.learning_rate=0.01,1e30",
        **cluster.variables(),
    )  # fmt: skip


def test_submitit_brings_all_outcomes_back(by_submitit: Done) -> None:
    assert by_submitit.code == 0, by_submitit.err
    assert [folder.name for folder in by_submitit.folders] == ["0", "1"]
    assert [(r["strategy"], r["status"]) for r in by_submitit.results] == [
        ("full", "finished"), ("qr", "finished"),
    ]  # fmt: skip
    lines = re.findall(r"^run \d  .*", by_submitit.out, re.MULTILINE)
    assert len(lines) == 2 and all("finished" in line and "val MAE" in line for line in lines)
    assert len(logged_runs(client_of(by_submitit.cwd))) == 2


def test_submitit_job_that_is_killed_costs_itself_only(by_submitit: Done, data_dir: Path) -> None:
    running = Commands(by_submitit.cwd, data_dir).start_small(*SUBMITIT, "strategy=qr", LONG)

    def logs() -> dict[str, str]:
        known = {folder.parent for folder in by_submitit.folders}
        paths = list(running.cwd.glob("outputs/*/*/.submitit/*/*.err"))
        return {p.name.partition("_")[0]: p.read_text() for p in paths if p.parents[2] not in known}

    try:
        running.until(lambda: "epoch 1/20000" in "".join(logs().values()))
        (job,) = [number for number, text in logs().items() if "epoch 1/20000" in text]
        for child in psutil.Process(int(job)).children():
            child.kill()
        done = running.wait()
    finally:
        running.kill()
    check_lost(done, "submitit's job")


def test_submitit_refuses_before_a_job_starts(commands: Commands) -> None:
    done = commands.small(*SUBMITIT, "training.epochs=3,0")
    assert done.code == 2 and "training.epochs=0" in done.err
    assert list(commands.cwd.iterdir()) == []


def test_slurm_that_is_not_here_is_said(commands: Commands) -> None:
    path = str(Path(sys.executable).parent)
    done = commands.small("-m", "hydra/launcher=submitit_slurm", "seed=0,1", PATH=path)
    assert done.code == 2 and "no srun here" in done.err
    assert list(commands.cwd.iterdir()) == []


def test_ray_brings_all_outcomes_back(by_ray: Done, cluster: Cluster) -> None:
    assert by_ray.code == 1, by_ray.err
    assert [result["status"] for result in by_ray.results] == ["finished", "failed"]
    assert by_ray.err.splitlines()[-1].startswith("error: 1 of 2 runs failed: 1 (")
    assert sorted(run.info.status for run in logged_runs(client_of(by_ray.cwd))) == ["FAILED", "FINISHED"]
    assert not (cluster.home / "outputs").exists()  # where Ray itself was started


def test_ray_worker_that_is_killed_costs_its_run_only(by_ray: Done, cluster: Cluster, data_dir: Path) -> None:
    running = Commands(by_ray.cwd, data_dir).start_small(
        *cluster.arguments(), "+hydra.launcher.ray.remote.max_retries=0",
        "training.optimizer=sgd", "training.learning_rate=0.01", LONG, **cluster.variables(),
    )  # fmt: skip
    said = re.compile(r"pid=(\d+)[^\n]*epoch 1/20000")
    try:
        running.until(lambda: said.search(running.said()) is not None)
        worker = said.search(running.said())
        assert worker is not None
        os.kill(int(worker.group(1)), signal.SIGKILL)
        done = running.wait()
    finally:
        running.kill()
    check_lost(done, "WorkerCrashedError")


def check_lost(done: Done, cause: str) -> None:
    """The first run had finished before, the second one's process was killed."""
    assert done.code == 1, done.err
    assert [result["status"] for result in done.results] == ["skipped", "failed"]
    assert cause in done.results[1]["error"]
    assert done.err.splitlines()[-1].startswith("error: 1 of 2 runs failed: 1 (")
    assert re.search(rf"^run 1 \(.*training.epochs=20000.*\) failed: .*{cause}", done.out, re.MULTILINE)
