"""Signals at random moments of a sweep on two workers."""

from __future__ import annotations

import random
import re
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Commands, Running, output_folders, result_in

pytestmark = pytest.mark.slow

MOMENTS = 6
GIVEN = (
    "-m", "hydra/launcher=workers", "hydra.launcher.n_jobs=2", "strategy=full,qr", "seed=range(0,8)",
    "dataset.num_users=60", "dataset.num_items=50", "dataset.num_ratings=2000", "training.epochs=30",
    "training.jit=false",
)  # fmt: skip


def listens(running: Running) -> bool:
    """Whether the command has set up its signals: before, Python itself answers them."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGHUP - 1) & 1)


def records(commands: Commands) -> dict[str, float]:
    folders = (commands.cwd / "outputs" / "results").glob("*/record.json")
    return {path.parent.name: result_in(path.parent)["val_mae"] for path in folders}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux which signals are caught")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_signals_at_random_moments(number: signal.Signals, new_commands: Callable[[str], Commands]) -> None:
    drawn, commands = random.Random(int(number)), new_commands(number.name)
    kept: dict[str, float] = {}
    given: tuple[str, ...] = GIVEN
    resumed = 0
    for moment in range(MOMENTS):
        running = commands.start(*given)
        try:
            running.until(lambda running=running: listens(running))
            if moment % 2:  # while runs are trained, however slow the machine is
                running.until(lambda running=running: bool(output_folders(running.cwd) - running.known))
            time.sleep(drawn.uniform(0.0, 1.5 if moment % 2 else 5.0))
            running.process.send_signal(number)
            done = running.wait(100)
            end = time.monotonic() + 30
            while running.others_alive() and time.monotonic() < end:
                time.sleep(0.05)
            assert not running.others_alive()
        finally:
            running.kill()
        assert done.code == 128 + number, (done.out, done.err)
        lines = done.said
        assert len(lines) == 1 and lines[0].startswith("error: interrupted; "), done.err
        assert "semaphore" not in done.err + done.out and "Traceback" not in done.err + done.out
        now = records(commands)
        assert kept.items() <= now.items()
        assert len(now) - len(kept) >= len(re.findall(r"^run \d+ +finished", done.out, re.MULTILINE))
        kept = now
        if "to train the rest: " in lines[0]:  # not where it came before the request was read
            words = shlex.split(lines[0].partition("to train the rest: ")[2])
            assert words[:3] == ["python", "-m", "bench.run"]
            given, resumed = tuple(words[3:]), resumed + 1
            assert given == GIVEN
    assert resumed >= MOMENTS / 2
    done = commands.run(*given)
    assert done.code == 0, done.err
    assert len(done.results) == 16 and {one["status"] for one in done.results} <= {"finished", "skipped"}
    assert kept.items() <= records(commands).items() and len(records(commands)) == 16
