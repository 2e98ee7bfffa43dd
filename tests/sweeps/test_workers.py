"""The processes that run a sweep's jobs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from bench.sweeps.workers import START_METHOD, Worker, prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Worker]]:
    monkeypatch.setenv("BENCH_TEST", "before")
    monkeypatch.setenv("BENCH_TEST_ONLY_BEFORE", "before")
    prepare()
    monkeypatch.delenv("BENCH_TEST_ONLY_BEFORE")
    workers = [
        Worker(tmp_path / "workers.log", {**os.environ, "BENCH_TEST": str(number)}) for number in range(2)
    ]
    yield workers
    for worker in workers:
        worker.close()


def has_imported(worker: Worker, package: str) -> bool:
    return bool(worker.submit(eval, f"{package!r} in __import__('sys').modules").result(60))


@pytest.mark.skipif(START_METHOD != "forkserver", reason="each worker imports TensorFlow itself here")
def test_workers_come_with_what_was_imported_for_all(team: list[Worker]) -> None:
    assert all(has_imported(worker, "tensorflow") for worker in team)
    parents = {worker.submit(os.getppid).result(60) for worker in team}
    assert len(parents) == 1 and os.getpid() not in parents
    (pid,) = parents
    # a pipe to the command's output would be open for as long as that process lives
    assert {str(Path(f"/proc/{pid}/fd/{stream}").readlink()) for stream in (1, 2)} == {os.devnull}


def test_each_has_the_environment_that_it_is_given(team: list[Worker]) -> None:
    assert [worker.submit(os.getenv, "BENCH_TEST").result(60) for worker in team] == ["0", "1"]
    assert team[0].submit(os.getenv, "BENCH_TEST_ONLY_BEFORE").result(60) is None


def test_one_that_is_killed_takes_no_other_with_it(team: list[Worker], tmp_path: Path) -> None:
    team[0].interrupt(signal.SIGKILL)
    with pytest.raises(BrokenProcessPool):
        team[0].submit(os.getpid).result(60)
    assert team[1].submit(os.getpid).result(60) > 0
    another = Worker(tmp_path / "workers.log", os.environ)
    assert another.submit(os.getpid).result(60) > 0
    another.close()
