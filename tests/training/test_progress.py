"""What is said while a run trains."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.training import progress
from bench.training.progress import ProgressReport

SHOWN = ("train_loss", "validation_loss", "val_mae", "val_auc")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its last number is the time."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[-1])
    return now


def said(clock: list[float], epochs: int, seconds_an_epoch: float, chunks: int = 4) -> list[str]:
    """The lines of a run that compiles for a minute and then has epochs of 100 steps."""
    out = io.StringIO()
    with ProgressReport(epochs, 100, SHOWN, console=Console(file=out, width=40)) as report:
        clock.append(60.0)
        for epoch in range(1, epochs + 1):
            for chunk in range(1, chunks + 1):
                clock.append(clock[-1] + seconds_an_epoch / chunks)
                report.chunk(epoch, chunk * 100 // chunks, 0.5, 1_234_567.0)
            report.epoch(epoch, {"train_loss": 0.5, "val_mae": 0.75, "val_auc": None})
    return out.getvalue().splitlines()


def test_an_epoch_is_a_line_and_the_last_has_nothing_left(clock: list[float]) -> None:
    assert said(clock, 3, 20.0) == [
        "epoch 1/3  train_loss 0.5000  val_mae 0.7500  1,234,567 examples/s  about 40 s left",
        "epoch 2/3  train_loss 0.5000  val_mae 0.7500  1,234,567 examples/s  about 20 s left",
        "epoch 3/3  train_loss 0.5000  val_mae 0.7500  1,234,567 examples/s",
    ]


def test_long_and_short_times_are_as_people_read_them(clock: list[float]) -> None:
    assert said(clock, 3, 3600.0)[0].endswith("about 2 h 00 min left")
    assert said(clock, 3, 90.0)[0].endswith("about 3 min 00 s left")
    assert said(clock, 3, 0.01)[0].endswith("about 1 s left")


def test_nothing_is_said_before_two_chunks_were_seen(clock: list[float]) -> None:
    first, second, _ = said(clock, 3, 20.0, chunks=1)
    assert first.endswith("examples/s") and second.endswith("about 20 s left")


def test_silence(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressReport(1, 100, SHOWN, shown=False) as report:
        report.chunk(1, 100, 0.5, 1.0)
        report.epoch(1, {"train_loss": 0.5})
    assert capsys.readouterr() == ("", "")
