"""Disks that are full, and folders that cannot be written to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands, client_of, error_line, logged_runs, result_in

pytestmark = pytest.mark.slow

MB = 1 << 20


@pytest.fixture
def small_disk(commands: Commands) -> Iterator[Path]:
    """``outputs`` on a disk of 8 MB."""
    folder = commands.cwd / "outputs"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a disk in memory")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_loses_no_result(commands: Commands, small_disk: Path) -> None:
    """It fills up while a run trains; once there is room again, the result is sent."""
    running = commands.start_small("training.epochs=400", "seed=3", "save_weights=true")
    try:
        running.until_trains()
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        with (small_disk / "filler").open("wb") as file:
            file.write(bytes(free))
        done = running.wait()
    finally:
        running.kill()
    assert done.code == 1, done.err
    line = done.err.splitlines()[-1]  # before it, that MLflow could not be told of the failure
    assert (
        line.startswith("error: ") and "no space left on the disk" in line and "the result is kept in" in line
    )
    assert "Traceback" not in done.err and "Logging error" not in done.err
    result = result_in(done.folder)
    assert result["val_mae"] > 0 and len(result["history"]["val_mae"]) == 400
    assert not list(done.folder.glob(".*partial")) and not (done.folder / ".reserved").exists()

    (small_disk / "filler").unlink()
    sent = commands.start("outputs", module="bench.track").wait()
    assert sent.code == 0, sent.err
    (run,) = logged_runs(client_of(commands.cwd))
    assert run.data.metrics["val_mae"] == result["val_mae"]


def test_full_disk_is_refused_before_training(commands: Commands, small_disk: Path) -> None:
    with (small_disk / "filler").open("wb") as file:
        file.write(bytes(8 * MB - 70_000))
    done = commands.small("training.epochs=1")
    assert done.code in (1, 2), done.err
    assert "space" in error_line(done)
