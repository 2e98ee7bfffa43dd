"""A sweep's own run in MLflow, with the sweep's runs below it."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import results, tracking
from bench.tracking import lease, notes
from bench.tracking.run import mlflow

COMMAND = "python -m bench.run -m strategy=full,qr seed=0,1"


@pytest.fixture(scope="module")
def client(target):
    from mlflow.tracking import MlflowClient

    tracking.start(target, {"strategy": "first"}).end("FAILED")
    return MlflowClient(target.uri)


def sweep_called(target, key, **arguments):
    return tracking.Sweep(target, key, f"sweep {key}", COMMAND, Path("outputs", "s"), **arguments)


def train(target, sweep, number, folder, status="finished"):
    """One run of a sweep; returns the row that the sweep's end is told."""
    head = {"fingerprint": f"{sweep.opening.key} {number}", "strategy": "qr", "seed": number}
    with tracking.in_sweep(sweep.opening), tracking.start(target, head) as run:
        place = folder / f"{sweep.opening.key}-{number}-{status}"
        place.mkdir()
        result = results.complete(status=status, val_mae=0.5, run_id=run.ready(), **head)
        results.write(result, place)
        run.log_result(result, place)
    return {**result, "run": number, "overrides": f"seed={number}", "message": ""}


def parent_of(client, run_id):
    return client.get_run(run_id).data.tags.get("mlflow.parentRunId")


def own_runs(client, target, key):
    experiment = client.get_experiment_by_name(target.experiment).experiment_id
    return client.search_runs([experiment], f"tags.sweep = '{key}'")


def counts(run):
    return {name: int(value) for name, value in run.data.tags.items() if name in notes.OF_SWEEP}


def test_runs_lie_below_their_sweep(target, client, tmp_path):
    sweep = sweep_called(target, "one")
    rows = [train(target, sweep, number, tmp_path) for number in (0, 1)]
    (own,) = own_runs(client, target, "one")
    assert own.info.status == "RUNNING" and own.info.run_name == "sweep one"
    assert {parent_of(client, row["run_id"]) for row in rows} == {own.info.run_id}

    sweep.end("FINISHED", [*rows, {"run": 2, "status": "refused", "overrides": "budget=0", "message": "no"}])
    own = client.get_run(own.info.run_id)
    assert own.info.status == "FINISHED" and "fingerprint" not in own.data.tags
    assert own.data.tags["command"] == COMMAND and COMMAND in own.data.tags[notes.TAG]
    assert not own.data.metrics and counts(own) == {
        "runs": 3, "runs.finished": 2, "runs.skipped": 0, "runs.failed": 0, "runs.refused": 1, "runs.missing": 0,
    }  # fmt: skip
    with open(client.download_artifacts(own.info.run_id, "runs.csv", str(tmp_path))) as file:  # noqa: PTH123
        listed = list(csv.DictReader(file))
    assert [row["status"] for row in listed] == ["finished", "finished", "refused"]
    assert [row["run_id"] for row in listed] == [rows[0]["run_id"], rows[1]["run_id"], ""]


def test_a_run_outside_a_sweep_has_no_parent(target, client):
    run = tracking.start(target, {"strategy": "qr"})
    run.end("FAILED")
    assert parent_of(client, run.run_id) is None


def test_the_same_sweep_goes_on_below_the_same_run(target, client, tmp_path):
    first = sweep_called(target, "again")
    rows = [train(target, first, 0, tmp_path)]
    first.end("KILLED", [*rows, {"run": 1, "status": "missing", "overrides": "seed=1"}])
    (own,) = own_runs(client, target, "again")
    assert own.info.status == "KILLED" and counts(own)["runs.missing"] == 1

    second = sweep_called(target, "again")
    rows = [{**rows[0], "status": "skipped"}, train(target, second, 1, tmp_path)]
    second.end("FINISHED", rows)
    (same,) = own_runs(client, target, "again")
    assert (same.info.run_id, same.info.status) == (own.info.run_id, "FINISHED")
    assert counts(same)["runs.finished"] == 2 and counts(same)["runs.skipped"] == 1
    assert {parent_of(client, row["run_id"]) for row in rows} == {own.info.run_id}
    assert "runs.csv" not in same.data.tags[notes.TAG]  # all are its own

    third = sweep_called(target, "again", again=False)  # resume=false
    train(target, third, 0, tmp_path, status="failed")
    third.end("FAILED", [])
    assert len(own_runs(client, target, "again")) == 2


def test_runs_that_had_finished_elsewhere_are_listed_and_not_moved(target, client, tmp_path):
    other = sweep_called(target, "other")
    row = train(target, other, 0, tmp_path)
    sweep = sweep_called(target, "listing")
    sweep.end("FINISHED", [{**row, "status": "skipped"}])
    (own,) = own_runs(client, target, "listing")
    assert own.info.status == "FINISHED" and "1 had finished before" in own.data.tags[notes.TAG]
    assert parent_of(client, row["run_id"]) == own_runs(client, target, "other")[0].info.run_id
    other.end("FINISHED", [row])


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_a_sweep_of_which_no_run_came_to_mlflow_leaves_none(target, client, status):
    sweep_called(target, "nothing").end("FAILED", [{"run": 0, "status": status, "overrides": ""}])
    assert own_runs(client, target, "nothing") == []


def test_what_a_killed_sweep_has_left_is_marked_and_taken_up(target, client, tmp_path):
    left = sweep_called(target, "left")
    here = lease.Trainer.this()
    left.opening.tags[lease.PROCESS_TAG] = str(lease.Trainer(here.host, here.pid, here.started - 1000))
    run_id = left.run_id()
    mlflow.submit(os._exit, 0).exception()  # MLflow's own process was killed too, and marked nothing
    assert client.get_run(run_id).info.status == "RUNNING"

    sweep = sweep_called(target, "left")
    row = train(target, sweep, 0, tmp_path)
    assert parent_of(client, row["run_id"]) == run_id
    sweep.end("FINISHED", [row])
    own = client.get_run(run_id)
    assert own.info.status == "FINISHED" and own.data.tags["leftover"] == "its process is gone"


def test_two_commands_at_the_same_sweep_share_its_run(target, client, tmp_path):
    first, second = sweep_called(target, "shared"), sweep_called(target, "shared")
    first.opening.tags[lease.PROCESS_TAG] = f"another.host 1 {time.time()}"
    run_id = first.run_id()
    assert second.run_id() == run_id
    second.end("FINISHED", [train(target, second, 0, tmp_path)])
    assert [run.info.run_id for run in own_runs(client, target, "shared")] == [run_id]


def test_on_other_machines_runs_find_what_the_command_has_made(target, client, tmp_path):
    early = sweep_called(target, "cluster", elsewhere=True)
    before = train(target, early, 0, tmp_path)
    assert parent_of(client, before["run_id"]) is None  # and none made by a run: there would be many
    early.begin()
    after = train(target, early, 1, tmp_path)
    (own,) = own_runs(client, target, "cluster")
    assert parent_of(client, after["run_id"]) == own.info.run_id
    early.end("FINISHED", [before, after])
    assert parent_of(client, before["run_id"]) == own.info.run_id


def test_a_folder_becomes_an_artifact_of_the_sweep(target, client, tmp_path):
    report = tmp_path / "report"
    (report / "plots").mkdir(parents=True)
    (report / "index.html").write_text("<p>")
    (report / "plots" / "front.svg").write_text("<svg/>")
    sweep = sweep_called(target, "report")
    sweep.upload(report)
    run_id = sweep.run_id()
    (report / "table.csv").write_text("a\n")
    tracking.upload(target, run_id, report, "later")  # of a run that is known by its id
    sweep.end("FINISHED", [train(target, sweep, 0, tmp_path)])
    (tmp_path / "found").mkdir()
    found = Path(client.download_artifacts(run_id, "", str(tmp_path / "found")))
    assert (found / "report" / "plots" / "front.svg").read_text() == "<svg/>"
    assert (found / "later" / "table.csv").exists() and not (found / "report" / "table.csv").exists()


def test_a_store_that_breaks_ends_no_sweep(folder, caplog):
    target = tracking.check("sqlite:///broken/mlflow.db")
    Path("broken/mlflow.db").write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    sweep = sweep_called(target, "broken")
    sweep.upload(folder)
    sweep.end("FINISHED", [{"run": 0, "status": "finished", "overrides": "", "run_id": "x"}])
    assert "own run in MLflow is not complete" in caplog.text


def test_a_description_that_a_user_wrote_stays(target, client):
    experiment = client.get_experiment_by_name("e")
    assert "| `embedding_bytes` | bytes |" in experiment.tags[notes.TAG]
    client.set_experiment_tag(experiment.experiment_id, notes.TAG, "mine")
    tracking.start(target, {"strategy": "qr"}).end("FAILED")
    assert client.get_experiment_by_name("e").tags[notes.TAG] == "mine"


def test_an_experiment_of_an_earlier_version_gets_its_description(target, client):
    client.create_experiment("earlier")
    tracking.start(tracking.check(target.uri, "earlier"), {"strategy": "qr"}).end("FAILED")
    assert client.get_experiment_by_name("earlier").tags[notes.TAG] == notes.of_experiment()


def test_the_data_set_is_an_input(target, client):
    data = tracking.Data("mine", "d" * 36, "code", "{}", '{"mlflow_colspec": []}', '{"num_rows": 3}')
    runs = [tracking.start(target, {"strategy": "qr"}, data=data) for _ in range(2)]
    for run in runs:
        run.end("FAILED")
    inputs = [client.get_run(run.run_id).inputs.dataset_inputs for run in runs]
    assert [(one.dataset.name, one.dataset.digest) for (one,) in inputs] == [("mine", "d" * 36)] * 2
    assert {tag.value for (one,) in inputs for tag in one.tags} == {"training"}


BEGIN = """
import sys
from pathlib import Path
from bench import tracking
target = tracking.check("sqlite:///outputs/mlflow.db")
sweep = tracking.Sweep(target, "killed", "name", "command", Path("outputs"))
print(sweep.run_id(), flush=True)
sys.stdin.read()
"""


def test_the_sweep_of_a_process_that_is_killed_is_marked(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    run_id = process.stdout.readline().strip()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    from mlflow.tracking import MlflowClient

    assert MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db").get_run(run_id).info.status == "KILLED"
