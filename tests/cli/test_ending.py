"""What a sweep prints at its end."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bench.cli import ending
from bench.cli.shell import Ended
from bench.records.result import Result, Status
from bench.sweeps.jobs import Outcome

FAILED = Outcome("failed", ("seed=1",), message="no connection", exit_code=1)


def test_refused_runs_alone_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = {
        0: Outcome("finished", ("budget=1",)),
        1: Outcome("refused", ("budget=0.1",), message="why", exit_code=2),
    }
    ending.show(outcomes)
    ending.check(outcomes)
    assert capsys.readouterr() == ("run 1 (budget=0.1) refused: why\n", "")


def test_what_several_runs_say_is_said_once() -> None:
    other = Outcome("failed", ("seed=2",), message="a bug", exit_code=1)
    outcomes = {0: FAILED, 1: Outcome("finished", ()), 2: other, 3: FAILED}
    assert ending.unfinished(outcomes) == [
        "runs 0 (seed=1); 3 (seed=1) failed: no connection", "run 2 (seed=2) failed: a bug",
    ]  # fmt: skip
    with pytest.raises(
        Ended, match=r"^3 of 4 runs failed: 0 \(seed=1\); 2 \(seed=2\); 3 \(seed=1\); the others"
    ):
        ending.check(outcomes)


def test_the_report_of_all_runs_is_where_they_were_logged() -> None:
    tracking = {"uri": "sqlite:///my runs.db", "experiment": "run=3 (old)"}
    words = shlex.split(ending.report_of_all(Result.of(Status.FINISHED, settings={"tracking": tracking})))
    assert words[:3] == ["python", "-m", "bench.report"]
    from bench.config import report

    assert report.read(words[3:]).tracking.experiment == "run=3 (old)"
    assert report.read(words[3:]).tracking.uri == f"sqlite:///{Path.cwd()}/my runs.db"
    words = shlex.split(ending.report_of_all(Result.of(Status.FINISHED, settings={}), ["my conf"]))
    assert words == ["python", "-m", "bench.report", "--config-dir", "my conf"]


def test_defaults_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@host/db")
    tracking = {"uri": "postgresql://me:***@host/db", "experiment": "embedding-compression"}
    assert (
        ending.report_of_all(Result.of(Status.FINISHED, settings={"tracking": tracking}))
        == "python -m bench.report"
    )
