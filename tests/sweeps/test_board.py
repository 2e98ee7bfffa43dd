import io

from rich.console import Console

from bench.records.result import Result, Status
from bench.sweeps.board import SweepBoard
from bench.sweeps.jobs import Outcome

JOBS = [("strategy=qr", "seed=0", "training.epochs=1"), ("strategy=qr", "seed=1", "training.epochs=1")]
RESULT = Result.of(
    Status.FINISHED, task="rating", val_mae=0.73412, embedding_bytes=299_008, step_time_ms=0.1512
)


def board(**arguments):
    text = io.StringIO()
    console = Console(file=text, width=60, highlight=False, soft_wrap=True, **arguments)
    return SweepBoard(JOBS, live=True, console=console), text


def test_a_line_for_each_run_that_has_ended():
    shown, text = board()
    with shown:
        for number, overrides in enumerate(JOBS):
            shown.started(number, overrides)
        shown.ended(1, Outcome("failed", JOBS[1], message="the loss became nan", exit_code=1))
        shown.ended(0, Outcome("finished", JOBS[0], RESULT))
    failed, finished = text.getvalue().splitlines()
    assert failed.startswith("run 1  failed    seed=1  the loss became nan  ")
    assert finished.startswith("run 0  finished  seed=0  val MAE 0.7341  292 KiB  0.151 ms a step  ")
    assert list(shown.outcomes) == [1, 0]


def test_what_runs_now_is_shown_on_a_terminal():
    shown, text = board(force_terminal=True)
    with shown:
        shown.started(0, JOBS[0])
        shown.started(1, JOBS[1])
        shown.ended(0, Outcome("finished", JOBS[0], RESULT))
        shown._live.refresh()
    assert "run 1" in text.getvalue() and "running" in text.getvalue() and "1 of 2" in text.getvalue()


def test_jobs_that_were_not_known_before():
    text = io.StringIO()
    shown = SweepBoard(console=Console(file=text, highlight=False))
    with shown:
        shown.ended(7, Outcome("refused", ("budget=0.1",), message="why", exit_code=2))
        shown.ended(8, Outcome("finished", ("budget=0.5",), RESULT.with_(total_s=61.3)))
    refused, finished = text.getvalue().splitlines()
    assert refused == "run 7  refused   budget=0.1  why"
    assert finished.endswith("0.151 ms a step  61.3 s")


def test_a_search_shows_the_error_that_it_minimizes():
    text = io.StringIO()
    shown = SweepBoard(console=Console(file=text, highlight=False))
    shown.validating = True
    with shown:
        shown.ended(0, Outcome("finished", ("num_buckets=80",), RESULT.with_(validation_mae=0.8111)))
        shown.ended(1, Outcome("finished", ("num_buckets=90",), RESULT))
    first, second = text.getvalue().splitlines()
    assert "validation MAE 0.8111  292 KiB" in first and "val MAE" not in first
    assert "MAE" not in second
