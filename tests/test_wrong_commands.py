"""Whole commands with wrong settings: exit code 2, one line, nothing written, and no answer is waited for."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import Commands

from bench.records import files

LONG = "x" * 3000

WRONG = [
    ("bench.run training.schedule=[1]", "training.schedule=[1]: a group of settings, not a list; "),
    ("bench.run model=neumf model.hidden_units={a:1}", "model.hidden_units={a:1}: takes a list, "),
    ("bench.run training.epochs=1e99 strategy=qr", "training.epochs=1e+99: give a whole number"),
    ("bench.run training.threads=100000", "training.threads=100000: give a whole number, at least 1 and at most 1024"),
    ("bench.run strategy=qr num_partitions=999999999", "num_partitions=999999999: give at most 512"),
    (f"bench.run strategy={LONG}", f"strategy={LONG}: no strategy called "),
    (f"bench.run tracking.uri=sqlite:///{LONG}", f"tracking.uri={LONG[:40]}... (3000 characters): "),
    (f"bench.run hydra.run.dir={LONG}", f"hydra.run.dir={LONG[:40]}... (3000 characters): "),
    (f"bench.run --config-dir {LONG}", f"--config-dir={LONG[:40]}... (3000 characters): "),
    ("bench.run -m seed=0,1 hydra/launcher=workers hydra.launcher.n_jobs=nan", "hydra.launcher.n_jobs=nan: give -1 "),
    ("bench.run -m seed=0,1 hydra/launcher=workers hydra.launcher.threads=-4", "hydra.launcher.threads=-4: give a "),
    ("bench.report strategy=[]", "strategy=[]: give a text or a list"),
    (f"bench.report output_dir={LONG}", f"output_dir={LONG[:40]}... (3000 characters): "),
    (f"bench.export run={LONG} output_dir=shop", f"run={LONG[:40]}... (3000 characters): "),
    (f"bench.compress {LONG} method=pq output_dir=shop", f"TABLE={LONG[:40]}... (3000 characters): "),
    (f"bench.track {LONG}", f"FOLDER={LONG[:40]}... (3000 characters): "),
    (f"bench.init {LONG}", f"FILE={LONG[:40]}... (3000 characters): "),
    ("bench.serve run=shop workers=1e9", "workers=1e9: give a whole number, at least 1 and at most 256"),
]  # fmt: skip


@pytest.mark.slow
def test_wrong_commands_end_at_once_and_write_nothing(commands: Commands, tmp_path: Path) -> None:
    """Two at a time."""
    waiting, running = [*WRONG], []
    while waiting or running:
        while waiting and len(running) < 2:
            line, says = waiting.pop(0)
            process = subprocess.Popen(
                [sys.executable, "-X", "importtime", "-m", *line.split()],
                cwd=tmp_path, env=commands.environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            running.append((process, line, says))
        process, line, says = running.pop(0)
        out, err = process.communicate(timeout=60)
        imported = [text for text in err.splitlines() if text.startswith("import time:")]
        said = [text for text in err.splitlines() if not text.startswith("import time:")]
        assert (process.returncode, out, len(said)) == (2, "", 1), (line[:80], out, said)
        assert said[0].startswith(f"error: {says}"), (line[:80], said[0][:300])
        names = {text.rpartition("|")[2].strip().partition(".")[0] for text in imported}
        assert "bench" in names, line[:80]
        assert not names & {"keras", "tensorflow"}, line[:80]
    assert list(tmp_path.iterdir()) == []


def test_space_is_reserved_for_many_epochs_without_taking_all(tmp_path: Path) -> None:
    begun = time.monotonic()
    with files.reserved(tmp_path, 2**31 - 1):
        assert (tmp_path / files.RESERVED).stat().st_size == files.MOST_RESERVED
    assert time.monotonic() - begun < 30 and list(tmp_path.iterdir()) == []
