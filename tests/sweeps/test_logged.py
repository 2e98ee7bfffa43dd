"""Which sweep a command is, what it is called, and what its own run is told."""

import pickle
from pathlib import Path

import pytest

from bench.config import check, loader
from bench.jobs import Job, Outcome
from bench.sweeps.logged import Logged, Started, name_of, rows, sweep_of

JOBS = [("strategy=full", "seed=0"), ("strategy=full", "seed=1"), ("strategy=qr", "seed=0")]
URI = "tracking.uri=sqlite:///outputs/mlflow.db"


@pytest.mark.parametrize(
    ("jobs", "name"),
    [
        (JOBS, "strategy=full,qr seed=0,1"),
        ([("a=1", "b=2")], "a=1 b=2"),  # nothing is swept
        ([("a=1", f"seed={n}") for n in range(50)], "seed=0,1,2,3,...,49"),
        ([("+dataset.x=1",), ("+dataset.x=2",)], "dataset.x=1,2"),
        ([()], "sweep"),
        ([(f"name{n}={value}" for n in range(40)) for value in "ab"], None),
    ],
)
def test_a_sweep_is_named_after_what_is_swept(jobs, name):
    found = name_of([list(job) for job in jobs])
    assert found == name if name else len(found) == 100 and found.endswith("...")


def of(*jobs, command="c", folder="f"):
    settings = []
    for job in jobs:
        cfg = loader(()).compose([*job])
        settings.append(check(cfg, cfg.hydra.runtime.choices, loader(())))
    return sweep_of(jobs, settings, Started(command, Path(folder)))


@pytest.fixture
def key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *jobs, **arguments: of(*jobs, **arguments).opening.key


def test_the_same_runs_are_the_same_sweep(key):
    given = [(URI, "strategy=qr", "seed=0"), (URI, "strategy=qr", "seed=1")]
    first = key(*given)
    assert key(*reversed(given), command="worded otherwise", folder="elsewhere") == first
    assert key(*((*job, "training.threads=2", "tracking.experiment=other") for job in given)) == first
    assert key(*given[:1]) != first and key(*((*job, "training.epochs=9") for job in given)) != first


def test_training_again_gets_a_run_of_its_own(key):
    assert of((URI, "seed=0")).opening.again
    assert not of((URI, "seed=0"), (URI, "seed=1", "resume=false")).opening.again


def test_runs_that_go_to_different_places_have_no_sweep(key):
    assert of((URI, "seed=0"), (URI, "seed=1", "tracking.experiment=other")).sweep is None


def test_a_place_that_cannot_be_logged_to_is_left_to_the_runs(key):
    logged = of(("tracking.uri=http://127.0.0.1:1", "seed=0"))
    assert logged.opening is None
    logged.begin()
    logged.end({0: Outcome("failed", ("seed=0",))})


def test_no_password_is_logged(key):
    logged = of((URI, "seed=0"), command="-m tracking.uri=postgresql://bench:secret@host/db")
    assert "secret" not in str(logged.opening)


def test_a_job_takes_its_sweep_along(key):
    opening = of((URI, "seed=0")).opening
    assert pickle.loads(pickle.dumps(Job(rows, sweep=opening))).sweep == opening


def test_rows_say_what_has_ended_and_what_is_missing():
    outcomes = {1: Outcome("finished", JOBS[1], {"run_id": "x", "val_mae": 0.5, "status": "finished"})}
    assert [(row["run"], row["status"], row.get("run_id")) for row in rows(JOBS, outcomes, known=True)] == [
        (0, "missing", None), (1, "finished", "x"), (2, "missing", None),
    ]  # fmt: skip
    assert [row["run"] for row in rows(JOBS, outcomes, known=False)] == [1]


class Told:
    def end(self, status, runs):
        self.status = status


@pytest.mark.parametrize(
    ("statuses", "interrupted", "expected"),
    [
        (["finished", "skipped", "refused"], False, "FINISHED"),
        (["finished", "failed"], False, "FAILED"),
        (["finished", "failed"], True, "KILLED"),
    ],
)
def test_how_a_sweep_ends(statuses, interrupted, expected, tmp_path):
    told = Told()
    outcomes = {number: Outcome(status, ()) for number, status in enumerate(statuses)}
    Logged(told, JOBS, tmp_path).end(outcomes, interrupted)
    assert told.status == expected


def test_a_report_that_cannot_be_made_ends_no_sweep(tmp_path, caplog):
    class Broken(Told):
        experiment = "e"

    (tmp_path / "report").write_text("a file in the folder's place")
    numbers = {"status": "finished", "val_mae": 0.5}
    outcomes = {number: Outcome("finished", (), numbers) for number in range(2)}
    assert Logged(Broken(), JOBS, tmp_path).report(outcomes) is None
    assert "the sweep's report is not there: " in caplog.text and "python -m bench.report" in caplog.text


@pytest.mark.parametrize("statuses", [["skipped", "skipped"], ["finished"], ["failed", "finished"]])
def test_no_report_without_something_new_to_compare(statuses, tmp_path):
    outcomes = {
        number: Outcome(status, (), {} if status == "failed" else {"val_mae": 0.5})
        for number, status in enumerate(statuses)
    }
    assert Logged(Told(), JOBS, tmp_path).report(outcomes) is None
    assert list(tmp_path.iterdir()) == []
