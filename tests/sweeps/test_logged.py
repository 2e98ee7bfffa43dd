"""Which sweep a command is, what it is called, and what is kept of it."""

import json
import pickle
from pathlib import Path

import pytest

from bench.config import check, loader
from bench.records.result import Result, Status
from bench.records.store import Store
from bench.records.sweeps import SweepRecord, path_of
from bench.sweeps.jobs import Job, Outcome
from bench.sweeps.logged import Started, in_common, name_of, sweep_of
from bench.tradeoff.groups import Unfinished

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


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_RESULTS_DIR", raising=False)
    return tmp_path


def key(*jobs, **arguments):
    return of(*jobs, **arguments).record.key


def test_the_same_runs_are_the_same_sweep():
    given = [(URI, "strategy=qr", "seed=0"), (URI, "strategy=qr", "seed=1")]
    first = key(*given)
    assert key(*reversed(given), command="worded otherwise", folder="elsewhere") == first
    assert key(*((*job, "training.threads=2", "tracking.experiment=other") for job in given)) == first
    assert key(*given[:1]) != first and key(*((*job, "training.epochs=9") for job in given)) != first


def test_training_again_is_another_sweep():
    again = [(URI, "seed=0"), (URI, "seed=1", "resume=false")]
    assert key(*again, folder="one") != key(*again, folder="other")


def test_runs_that_go_to_different_places_have_no_sweep_in_mlflow():
    assert of((URI, "seed=0"), (URI, "seed=1", "tracking.experiment=other")).opening is None


def test_an_address_that_is_wrong_is_left_to_the_runs(here):
    logged = of(("tracking.uri=nonsense://x", "seed=0"))
    assert logged.opening is None
    logged.begin()
    logged.end({0: Outcome("failed", ("seed=0",))})
    assert kept(here).status == "failed"


def test_no_password_is_kept(here):
    logged = of((URI, "seed=0"), command="-m tracking.uri=postgresql://bench:secret@host/db")
    logged.begin()
    assert (
        "secret"
        not in str(logged.opening) + path_of(Store(here / "outputs/results"), logged.record.key).read_text()
    )


def test_a_job_takes_its_sweep_along():
    opening = of((URI, "seed=0")).opening
    assert pickle.loads(pickle.dumps(Job(test_a_job_takes_its_sweep_along, sweep=opening))).sweep == opening


def kept(here):
    (path,) = (here / "outputs" / "results" / "sweeps").iterdir()
    return SweepRecord.read(path)


def finished(number, status="finished"):
    result = Result.of(
        Status(status), task="rating", fingerprint=f"f{number}", run_id=f"id{number}", val_mae=0.5
    )
    return Outcome(status, (f"seed={number}",), result)


class Told:
    """Stands for the sweep's own run in MLflow."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


def sweep_told(count=3, **more):
    logged = of(*((URI, f"seed={number}") for number in range(count)), **more)
    logged._sweep = Told()
    return logged


def test_the_record_says_how_runs_end_as_they_do(here):
    logged = sweep_told()
    logged.begin()
    assert [job.status for job in kept(here).jobs] == ["missing"] * 3 and kept(here).status == "running"
    assert kept(here).settings["training"]["epochs"] == 3 and "seed" not in kept(here).settings
    logged.ended(1, finished(1))
    assert [job.status for job in kept(here).jobs] == ["missing", "finished", "missing"]
    assert (kept(here).jobs[1].fingerprint, kept(here).trained) == ("f1", ("f1",))
    logged.ended(0, Outcome("failed", ("seed=0",), message="out of memory"))
    outcomes = {1: finished(1), 0: Outcome("failed", ("seed=0",), message="out of memory")}
    logged.end(outcomes, interrupted=True)
    assert kept(here).status == "interrupted" and kept(here).jobs[0].message == "out of memory"
    ((name, record, found),) = logged._sweep.calls
    assert (name, record, [result.run_id for result in found]) == ("end", kept(here), ["id1"])


def test_the_same_sweep_again_knows_what_it_has_trained(here):
    first = sweep_told()
    first.ended(0, finished(0))
    again = sweep_told()
    again.begin()
    assert kept(here).trained == ("f0",)
    again.ended(0, finished(0, "skipped"))
    again.end({0: finished(0, "skipped")})
    assert kept(here).trained == ("f0",) and kept(here).status == "finished"


@pytest.mark.parametrize("statuses", [["skipped", "skipped"], ["skipped", "refused"]])
def test_mlflow_is_left_alone_where_nothing_was_tried(statuses):
    logged = sweep_told(2)
    logged.begin()
    outcomes = {number: finished(number, status) for number, status in enumerate(statuses)}
    for number, outcome in outcomes.items():
        logged.ended(number, outcome)
    assert logged.report(outcomes) is None
    logged.end(outcomes)
    assert logged._sweep.calls == []


def test_a_run_that_was_recorded_and_never_sent_is_sent_by_the_next_command(here, monkeypatch):
    sent = []

    def send(target, result, folder):
        sent.append((result.fingerprint, result.status, folder.name))
        return "id", result.fingerprint != "f2"

    monkeypatch.setattr("bench.tracking.send", send)
    outcomes = {number: finished(number) for number in range(3)}
    for outcome in outcomes.values():
        Store(here / "outputs/results").add(outcome.result, [])
    first = sweep_told()
    first.begin()
    first.ended(0, outcomes[0])  # here it is killed: f1 is recorded, and f2 was another sweep's

    skipped = {number: finished(number, "skipped") for number in range(3)}
    again = sweep_told()
    for number, outcome in skipped.items():
        again.ended(number, outcome)
    again.end(skipped)
    assert sent == [("f1", "finished", "f1"), ("f2", "finished", "f2")]
    assert kept(here).trained == ("f0", "f1") and [name for name, *_ in again._sweep.calls] == ["end"]
    once_more = sweep_told()
    once_more.end(skipped)
    assert len(sent) == 2 and once_more._sweep.calls == []


@pytest.mark.parametrize(
    ("statuses", "interrupted", "expected"),
    [
        (["finished", "skipped", "refused"], False, "finished"),
        (["finished", "failed"], False, "failed"),
        (["finished", "failed"], True, "interrupted"),
    ],
)
def test_how_a_sweep_ends(here, statuses, interrupted, expected):
    sweep_told().end({number: Outcome(status, ()) for number, status in enumerate(statuses)}, interrupted)
    assert kept(here).status == expected


def test_a_sweep_that_is_refused_after_all_leaves_no_record(here):
    logged = sweep_told()
    logged.begin()
    logged.withdraw()
    assert not (here / "outputs").exists()
    logged.begin()
    logged.ended(0, finished(0))
    logged.withdraw()
    assert kept(here).trained == ("f0",)
    again = sweep_told()
    again.begin()
    again.withdraw()
    assert kept(here).trained == ("f0",)


def test_on_other_machines_the_own_run_is_made_before_the_first(here):
    logged = sweep_told()
    logged.begin()
    assert logged._sweep.calls == []
    logged._started = Started("c", Path("f"), elsewhere=True)
    logged.begin()
    assert logged._sweep.calls == [("begin",)]


def test_a_full_disk_ends_no_sweep(here, caplog):
    logged = sweep_told()
    logged.begin()
    (here / "outputs" / "results").rename(here / "gone")
    (here / "outputs" / "results").write_text("a file in the folder's place")
    logged.ended(0, finished(0))
    assert "the sweep's record is not complete: results_dir=" in caplog.text


def test_settings_in_common():
    one, other = (
        {"a": 1, "b": {"c": 2, "d": [3]}, "e": None, "f": {}},
        {"a": 1, "b": {"c": 5, "d": [3]}, "f": {}},
    )
    assert in_common(one, other) == {"a": 1, "b": {"d": [3]}, "f": {}}


def test_a_report_that_cannot_be_made_ends_no_sweep(caplog):
    logged = sweep_told(2, folder="s")
    Path("s").mkdir()
    Path("s/report").write_text("a file in the folder's place")
    assert logged.report({number: finished(number) for number in range(2)}) is None
    assert "the sweep's report is missing: " in caplog.text and "python -m bench.report" in caplog.text


def test_the_report_lists_what_failed_and_what_was_refused(monkeypatch):
    asked = {}

    def build(results, **named):
        asked.update(named, results=[result.fingerprint for result in results])
        raise ValueError("enough is known")

    monkeypatch.setattr("bench.reporting.contents.build", build)
    outcomes = {
        3: Outcome("refused", ("budget=1B", "seed=3"), message="budget=1B: cannot be met"),
        0: finished(0),
        2: Outcome("failed", ("seed=2",), message="out of memory"),
        1: finished(1, "skipped"),
    }
    assert sweep_told(4, folder="s").report(outcomes) is None
    assert asked["results"] == ["f0", "f1"]
    assert asked["unreadable"] == [
        Unfinished("failed", "seed=2", None, "out of memory"),
        Unfinished("refused", "budget=1B seed=3", None, "budget=1B: cannot be met"),
    ]


@pytest.mark.parametrize("statuses", [["finished"], ["failed", "finished"]])
def test_no_report_without_something_to_compare(here, statuses):
    logged = sweep_told(2)
    outcomes = {
        number: Outcome("failed", ()) if status == "failed" else finished(number)
        for number, status in enumerate(statuses)
    }
    assert logged.report(outcomes) is None
    assert list(here.iterdir()) == []


def test_the_record_is_plain_json(here):
    logged = sweep_told(1)
    logged.begin()
    (path,) = (here / "outputs" / "results" / "sweeps").iterdir()
    assert list(json.loads(path.read_text())) == [
        "format_version", "key", "name", "command", "folder", "process", "settings", "jobs", "trained", "status",
    ]  # fmt: skip
