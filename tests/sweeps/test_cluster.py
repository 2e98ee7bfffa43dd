"""What is refused of a cluster's launchers; the launchers themselves are in test_run_cluster."""

from __future__ import annotations

import pytest

from bench.errors import RequestError
from bench.sweeps import cluster


@pytest.mark.parametrize("launcher", ["ray", "submitit_local", "submitit_slurm"])
def test_single_run_is_not_launched(launcher: str) -> None:
    with pytest.raises(RequestError, match=f"hydra/launcher={launcher}: .*add -m"):
        cluster.check(launcher, sweep=False)


def test_slurm_needs_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RequestError, match="no srun here"):
        cluster.check("submitit_slurm", sweep=True)
    cluster.check("submitit_local", sweep=True)


def test_other_launchers_are_left_alone() -> None:
    for launcher in ("basic", "workers"):
        cluster.check(launcher, sweep=False)
        with cluster.lost_jobs_listed(launcher):
            pass
