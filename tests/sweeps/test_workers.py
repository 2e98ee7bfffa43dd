"""The processes that run a sweep's jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.errors import BenchError
from bench.sweeps.workers import START_METHOD, Died, Worker, prepare

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Worker]]:
    monkeypatch.setenv("BENCH_TEST", "before")
    monkeypatch.setenv("BENCH_TEST_ONLY_BEFORE", "before")
    prepare()
    monkeypatch.delenv("BENCH_TEST_ONLY_BEFORE")
    workers = [
        Worker(tmp_path / "workers.log", {**os.environ, "BENCH_TEST": str(number), "TMPDIR": str(tmp_path)})
        for number in range(2)
    ]
    yield workers
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.wait()
        assert worker.process.exitcode in (0, -signal.SIGKILL)


def call(worker: Worker, function: Any, *arguments: Any) -> Any:
    worker.begin(function, *arguments)
    return worker.end()


COME_WITH = """
import json, os, pathlib, sys
from bench.sweeps.workers import Worker, prepare

def call(worker, function, *arguments):
    worker.begin(function, *arguments)
    return worker.end()

prepare()
team = [Worker(pathlib.Path(sys.argv[1]), dict(os.environ)) for _ in range(2)]
loaded = [call(worker, eval, "'tensorflow' in __import__('sys').modules") for worker in team]
parents = sorted({call(worker, os.getppid) for worker in team})
streams = [os.readlink(f"/proc/{pid}/fd/{stream}") for pid in parents for stream in (1, 2)]
print(json.dumps([loaded, len(parents), os.getpid() in parents, streams]))
for worker in team:
    worker.close()
    worker.wait()
"""


@pytest.mark.skipif(START_METHOD != "forkserver", reason="each worker imports TensorFlow itself here")
def test_workers_come_with_what_was_imported_for_all(tmp_path: Path) -> None:
    # in a process of its own: another test may have begun what workers are forked from
    command = [sys.executable, "-c", COME_WITH, str(tmp_path / "workers.log")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=True)
    loaded, parents, is_own, streams = json.loads(done.stdout)
    assert loaded == [True, True] and (parents, is_own) == (1, False)
    # a pipe to the command's output would be open for as long as that process lives
    assert set(streams) == {os.devnull}


def test_each_has_the_environment_that_it_is_given(team: list[Worker], tmp_path: Path) -> None:
    assert [call(worker, os.getenv, "BENCH_TEST") for worker in team] == ["0", "1"]
    assert call(team[0], os.getenv, "BENCH_TEST_ONLY_BEFORE") is None
    assert call(team[0], tempfile.gettempdir) == str(tmp_path)


def test_functions_of_no_module_are_called_too(team: list[Worker]) -> None:
    assert call(team[0], lambda number: [number + 1], 2) == [3]


def test_what_a_call_raises_is_said_in_one_line(team: list[Worker]) -> None:
    with pytest.raises(BenchError, match=r"^ZeroDivisionError: division by zero$"):
        call(team[0], eval, "1 / 0")
    assert call(team[0], os.getpid) == team[0].process.pid


def test_one_that_is_killed_takes_no_other_with_it(team: list[Worker]) -> None:
    team[0].begin(signal.pause)
    team[0].interrupt(signal.SIGKILL)
    with pytest.raises(Died):
        team[0].end()
    with pytest.raises(Died):
        call(team[0], os.getpid)
    assert call(team[1], os.getpid) == team[1].process.pid


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_end_a_call_and_nothing_else(team: list[Worker], tmp_path: Path, name: str) -> None:
    for worker in team:
        call(worker, os.getpid)  # it has begun
        worker.interrupt(getattr(signal, name))
        assert call(worker, os.getpid) == worker.process.pid  # between calls it hears none
    team[0].begin(_until_interrupted, tmp_path)
    while not (tmp_path / "began").exists():
        pass
    team[0].interrupt(getattr(signal, name))
    with pytest.raises(Died):
        team[0].end()
    assert (tmp_path / "tidied up").exists()


def _until_interrupted(folder: Path) -> None:
    try:
        (folder / "began").touch()
        signal.pause()
    finally:
        (folder / "tidied up").touch()
