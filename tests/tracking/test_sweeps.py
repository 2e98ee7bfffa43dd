"""A sweep's own run in MLflow, with the sweep's runs below it."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tracked import head, leave

from bench import tracking
from bench.measure.apart import this_process
from bench.records.sweeps import COUNTS, Member, SweepRecord
from bench.tracking import notes
from bench.tracking.client import mlflow

COMMAND = "python -m bench.run -m strategy=full,qr seed=0,1"


def sweep_called(key, process=None, jobs=2):
    members = tuple(Member(number, (f"seed={number}",)) for number in range(jobs))
    return SweepRecord(key, f"sweep {key}", COMMAND, "outputs/s", process or this_process(), {}, members)


def train(target, sweep, number, folder, known=()):
    """One run of a sweep; gives the sweep's record after it, and the results."""
    first = head(f"{sweep.key} {number}", seed=number)
    with tracking.in_sweep(sweep), tracking.start(target, first) as run:
        result = leave(folder / f"{sweep.key}-{number}", first.with_(val_mae=0.5, run_id=run.ready()))
        run.log_result(result, folder)
    return sweep.with_job(Member(number, (f"seed={number}",), "finished", first.fingerprint)), [
        *known,
        result,
    ]


def end(target, sweep, found, status="finished"):
    tracking.Sweep(target, sweep).end(replace(sweep, status=status), found)


def parent_of(client, run_id):
    return client.get_run(run_id).data.tags.get("mlflow.parentRunId")


def counts(run):
    return {name: int(value) for name, value in run.data.tags.items() if name in COUNTS}


def test_runs_lie_below_their_sweep(target, client, runs_of, tmp_path):
    sweep, found = train(target, sweep_called("one", jobs=3), 0, tmp_path)
    sweep, found = train(target, sweep, 1, tmp_path, found)
    (own,) = runs_of("tags.sweep = 'one'")
    assert own.info.status == "RUNNING" and own.info.run_name == "sweep one"
    assert {parent_of(client, result.run_id) for result in found} == {own.info.run_id}

    end(target, sweep.with_job(Member(2, ("budget=0",), "refused", None, "no")), found)
    own = client.get_run(own.info.run_id)
    assert own.info.status == "FINISHED" and "fingerprint" not in own.data.tags
    assert own.data.tags["command"] == COMMAND and COMMAND in own.data.tags[notes.TAG]
    assert not own.data.metrics and counts(own) == {
        "runs": 3, "runs.finished": 2, "runs.skipped": 0, "runs.failed": 0, "runs.refused": 1, "runs.missing": 0,
    }  # fmt: skip
    with open(client.download_artifacts(own.info.run_id, "runs.csv", str(tmp_path))) as file:  # noqa: PTH123
        listed = list(csv.DictReader(file))
    assert [row["status"] for row in listed] == ["finished", "finished", "refused"]
    assert [row["run_id"] for row in listed] == [found[0].run_id, found[1].run_id, ""]


def test_a_run_outside_a_sweep_has_no_parent(target, client):
    run = tracking.start(target, head("alone"))
    run.end("FAILED")
    assert parent_of(client, run.run_id) is None


def test_the_same_sweep_goes_on_below_the_same_run(target, client, runs_of, tmp_path):
    sweep, found = train(target, sweep_called("again"), 0, tmp_path)
    end(target, sweep, found, "interrupted")
    (own,) = runs_of("tags.sweep = 'again'")
    assert own.info.status == "KILLED" and counts(own)["runs.missing"] == 1

    sweep = replace(sweep, process="another.host 1 2.0")  # another command
    sweep = sweep.with_job(Member(0, ("seed=0",), "skipped", "again 0"))
    sweep, found = train(target, sweep, 1, tmp_path, found)
    end(target, sweep, found)
    (same,) = runs_of("tags.sweep = 'again'")
    assert (same.info.run_id, same.info.status) == (own.info.run_id, "FINISHED")
    assert counts(same)["runs.finished"] == 2 and counts(same)["runs.skipped"] == 1
    assert {parent_of(client, result.run_id) for result in found} == {own.info.run_id}
    assert "had finished before" not in same.data.tags[notes.TAG]  # all are its own


def test_runs_that_had_finished_elsewhere_are_listed_and_not_moved(target, client, runs_of, tmp_path):
    other, found = train(target, sweep_called("other"), 0, tmp_path)
    sweep = sweep_called("listing").with_job(Member(0, (), "skipped", "other 0"))
    sweep, found = train(target, sweep, 1, tmp_path, found)
    end(target, sweep, found)
    (own,) = runs_of("tags.sweep = 'listing'")
    assert own.info.status == "FINISHED" and "1 had finished before" in own.data.tags[notes.TAG]
    assert parent_of(client, found[0].run_id) == runs_of("tags.sweep = 'other'")[0].info.run_id
    end(target, other, found)


def test_a_sweep_of_which_no_run_came_to_mlflow_leaves_none(target, runs_of):
    end(target, sweep_called("nothing").with_job(Member(0, (), "failed", None, "no data")), [], "failed")
    assert len(runs_of("tags.sweep = 'nothing'")) == 0


@pytest.mark.slow
def test_what_a_killed_sweep_has_left_is_taken_up(target, client, runs_of, tmp_path):
    left = sweep_called("left", process="host 1 2.0")
    tracking.Sweep(target, left).begin()
    mlflow.submit(os._exit, 0).exception()  # MLflow's own process was killed too, and marked nothing
    (own,) = runs_of("tags.sweep = 'left'")
    assert own.info.status == "RUNNING"

    sweep, found = train(target, sweep_called("left"), 0, tmp_path)
    assert parent_of(client, found[0].run_id) == own.info.run_id
    assert client.get_run(own.info.run_id).data.tags["process"] == this_process()
    end(target, sweep, found)
    assert client.get_run(own.info.run_id).info.status == "FINISHED"


BELOW = """
import sys
from bench import tracking
from bench.records.result import Result, Status
from bench.records.sweeps import SweepRecord
target = tracking.check(sys.argv[1], "e")
sweep = SweepRecord(sys.argv[2], "name", "command", "outputs", sys.argv[3], {})
with tracking.in_sweep(sweep), tracking.start(target, Result.of(Status.FINISHED, fingerprint=sys.argv[2])) as run:
    print(run.ready())
"""


@pytest.mark.slow
def test_runs_on_other_machines_lie_below_the_run_that_the_command_has_made(target, client, runs_of):
    sweep = sweep_called("cluster")
    tracking.Sweep(target, sweep).begin()
    job = subprocess.run(
        [sys.executable, "-c", BELOW, target.uri, "cluster", sweep.process],
        capture_output=True,
        text=True,
        check=True,
    )
    (own,) = runs_of("tags.sweep = 'cluster'")
    assert parent_of(client, job.stdout.strip()) == own.info.run_id
    assert own.info.status == "RUNNING"  # the end of the job's process is not that of the sweep
    end(target, sweep.with_job(Member(0, (), "failed")), [], "failed")
    assert client.get_run(own.info.run_id).info.status == "FAILED"


def test_a_folder_becomes_an_artifact_of_the_sweep(target, client, runs_of, tmp_path):
    report = tmp_path / "report"
    (report / "plots").mkdir(parents=True)
    (report / "index.html").write_text("<p>")
    (report / "plots" / "front.svg").write_text("<svg/>")
    sweep, found = train(target, sweep_called("report"), 0, tmp_path)
    tracking.Sweep(target, sweep).upload(report)
    end(target, sweep, found)
    (own,) = runs_of("tags.sweep = 'report'")
    (tmp_path / "found").mkdir()
    found = Path(client.download_artifacts(own.info.run_id, "", str(tmp_path / "found")))
    assert (found / "report" / "plots" / "front.svg").read_text() == "<svg/>"


def test_a_store_that_breaks_ends_no_sweep(folder, caplog):
    target = tracking.check("sqlite:///broken/mlflow.db")
    Path("broken").mkdir()
    Path("broken/mlflow.db").write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    tracking.Sweep(target, sweep_called("broken")).upload(folder)
    assert "own run in MLflow is not complete" in caplog.text


def test_a_sweep_is_sent_once_with_its_runs_below_it(target, client, runs_of, tmp_path):
    found = [head(f"sent {number}", seed=number, val_mae=0.5) for number in (0, 1, 2)]
    sent = [
        result.with_(
            run_id=tracking.send(target, result, leave(tmp_path / str(n), result) and tmp_path / str(n))[0]
        )
        for n, result in enumerate(found)
    ]
    sweep = sweep_called("sent", jobs=3)
    for number, status in enumerate(("finished", "finished", "skipped")):
        sweep = sweep.with_job(Member(number, (f"seed={number}",), status, f"sent {number}"))
    sweep = replace(sweep, status="finished")
    assert tracking.send_sweep(target, sweep, sent) and not tracking.send_sweep(target, sweep, sent)
    (own,) = runs_of("tags.sweep = 'sent'")
    assert own.info.status == "FINISHED" and counts(own)["runs.finished"] == 3
    assert [parent_of(client, result.run_id) for result in sent] == [own.info.run_id, own.info.run_id, None]


def test_a_description_that_a_user_wrote_stays(target, client):
    experiment = client.get_experiment_by_name("e")
    assert "| `embedding_bytes` | bytes |" in experiment.tags[notes.TAG]
    client.set_experiment_tag(experiment.experiment_id, notes.TAG, "mine")
    tracking.start(target, head("noted")).end("FAILED")
    assert client.get_experiment_by_name("e").tags[notes.TAG] == "mine"


def test_an_experiment_of_an_earlier_version_gets_its_description(target, client):
    client.create_experiment("earlier")
    tracking.start(tracking.check(target.uri, "earlier"), head("noted")).end("FAILED")
    assert client.get_experiment_by_name("earlier").tags[notes.TAG] == notes.of_experiment()


def test_the_data_set_is_an_input(target, client):
    data = tracking.Data("mine", "d" * 36, "code", "{}", '{"mlflow_colspec": []}', '{"num_rows": 3}')
    runs = [tracking.start(target, head("with data"), data=data) for _ in range(2)]
    for run in runs:
        run.end("FAILED")
    inputs = [client.get_run(run.run_id).inputs.dataset_inputs for run in runs]
    assert [(one.dataset.name, one.dataset.digest) for (one,) in inputs] == [("mine", "d" * 36)] * 2
    assert {tag.value for (one,) in inputs for tag in one.tags} == {"training"}


BEGIN = """
import sys
from bench import tracking
from bench.records.sweeps import SweepRecord
target = tracking.check("sqlite:///outputs/mlflow.db", "e")
tracking.Sweep(target, SweepRecord("killed", "name", "command", "outputs", "host 1 2.0", {})).begin()
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_the_sweep_of_a_process_that_is_killed_is_marked(tmp_path, database):
    (tmp_path / "outputs").mkdir()
    shutil.copy(database, tmp_path / "outputs")
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    assert run.info.status == "KILLED" and run.data.tags["sweep"] == "killed"
