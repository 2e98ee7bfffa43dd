"""Runs in MLflow, against real stores."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from bench import results, tracking
from bench.errors import RequestError
from bench.tracking import TrackingError
from bench.tracking.run import mlflow

HEAD = {
    "fingerprint": "f00",
    "dataset": "synthetic",
    "strategy": "qr",
    "seed": 3,
    "embeddings": {"user": {"method": "qr", "num_buckets": 12}},
    "environment": {"threads": 1, "git_commit": "abc+changes"},
    "settings": {
        "seed": 3,
        "budget": None,
        "training": {"epochs": 2, "learning_rate": 0.001},
        "splits": [1, 2],
        "long": "x" * 7000,
        "many": {f"n{i}": i for i in range(130)},
    },
}
NUMBERS = {
    "val_mae": 0.6,
    "val_rmse": 0.875,
    "bytes": {"tables": 4, "maps": 0},
    "history": {"val_mae": [0.75, 0.6], "train_loss": [1.5, 1.25]},
}


@pytest.fixture(scope="module")
def client(target):
    from mlflow.tracking import MlflowClient

    tracking.start(target, {**HEAD, "strategy": "first"}).end("FAILED")
    return MlflowClient(target.uri)


def finish(run, folder, **values):
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text("a model\n")
    result = results.complete(**{"status": "finished", **HEAD, **NUMBERS, "run_id": run.run_id, **values})
    results.write(result, folder)
    run.log_result(result, folder)
    return result


def test_a_finished_run_is_all_there(target, client, folder):
    with tracking.start(target, HEAD, {"mlflow.parentRunId": "p"}) as run:
        during = client.get_run(run.ready())
        assert during.info.status == "RUNNING" and during.data.params["seed"] == "3"
        result = finish(run, folder / "one")
    logged = client.get_run(run.run_id)
    assert logged.info.status == "FINISHED" and logged.info.run_name == "qr num_buckets=12 seed=3"

    assert logged.data.params["training.learning_rate"] == "0.001"
    assert logged.data.params["budget"] == "null" and logged.data.params["splits"] == "[1, 2]"
    assert logged.data.params["used.user.num_buckets"] == "12"
    assert len(logged.data.params["long"]) == 6000 and logged.data.params["many.n129"] == "129"
    tags = {name: logged.data.tags[name] for name in ("fingerprint", "dataset", "strategy", "status")}
    assert tags == {"fingerprint": "f00", "dataset": "synthetic", "strategy": "qr", "status": "finished"}
    assert logged.data.tags["mlflow.parentRunId"] == "p"
    assert logged.data.tags["mlflow.source.git.commit"] == "abc"

    assert logged.data.metrics == {
        "val_mae": 0.6, "val_rmse": 0.875, "train_loss": 1.25, "bytes.tables": 4.0, "bytes.maps": 0.0,
    }  # fmt: skip
    history = client.get_metric_history(run.run_id, "val_mae")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.75), (2, 0.6)]

    artifacts = folder / "outputs/mlflow-artifacts" / run.run_id / "artifacts"
    assert sorted(path.name for path in artifacts.iterdir()) == [
        "config.yaml", "history.csv", "model.txt", "result.json",
    ]  # fmt: skip
    assert results.read(artifacts) == result
    assert "learning_rate: 0.001" in (artifacts / "config.yaml").read_text()
    assert (artifacts / "history.csv").read_text().splitlines()[2] == "2,0.6,1.25"
    assert not (folder / "mlruns").exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (None, "FAILED")],
)
def test_a_run_that_ends_without_a_result_is_marked(target, client, error, status):
    with contextlib.suppress(error or ()), tracking.start(target, HEAD) as run:
        if error:
            raise error
    assert client.get_run(run.run_id).info.status == status


def test_a_failed_result_is_a_failed_run_with_its_numbers(target, client, folder):
    with tracking.start(target, HEAD) as run:
        finish(run, folder / "failed", val_mae=float("nan"), history=None)
    logged = client.get_run(run.run_id)
    assert logged.info.status == "FAILED" and logged.data.tags["status"] == "failed"
    assert logged.data.tags["error"] == "not a finite number: val_mae"
    assert "val_mae" not in logged.data.metrics and logged.data.metrics["val_rmse"] == 0.875


def test_a_failure_without_numbers(target, client, folder):
    with tracking.start(target, HEAD) as run:
        finish(run, folder / "none", status="failed", error="out of memory", **dict.fromkeys(NUMBERS))
    logged = client.get_run(run.run_id)
    assert logged.data.metrics == {} and logged.data.tags["error"] == "out of memory"


def test_a_folder_is_logged_later_once(target, client, folder):
    later = folder / "later"
    later.mkdir()
    settings = {**HEAD["settings"], "tracking": {"uri": "sqlite:///outputs/mlflow.db", "experiment": "e"}}
    head = {**HEAD, "settings": settings, "fingerprint": "later"}
    results.write(results.complete(status="finished", **head, **NUMBERS), later)

    run_id = tracking.log_result(results.read(later), later)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert results.read(later)["run_id"] == run_id
    assert results.read(folder / "outputs/mlflow-artifacts" / run_id / "artifacts")["run_id"] == run_id

    assert tracking.log_result(results.read(later), later) == run_id
    assert len(client.get_metric_history(run_id, "val_mae")) == 2  # not logged again

    twin = {**results.read(later), "run_id": None}  # an equal run, of another folder
    assert tracking.log_result(twin, later) == run_id


def test_an_unfinished_run_is_completed_later(target, client, folder):
    run = tracking.start(target, HEAD)
    (folder / "rest").mkdir()
    result = results.complete(status="finished", **HEAD, **NUMBERS, run_id=run.ready())
    results.write(result, folder / "rest")
    assert tracking.log_result(result, folder / "rest", target) == run.run_id
    assert client.get_run(run.run_id).data.metrics["val_mae"] == 0.6


@pytest.mark.parametrize("status", ["skipped", "refused"])
def test_what_is_not_logged(target, folder, status):
    assert tracking.log_result(results.complete(status=status), folder, target) is None


def test_an_experiment_that_was_deleted(folder, target, client):
    client.delete_experiment(client.create_experiment("gone"))
    run = tracking.start(tracking.check(target.uri, "gone"), HEAD)
    with pytest.raises(RequestError, match=r"tracking\.experiment=gone: deleted .* restore"):
        run.ready()
    assert run.run_id is None


def test_a_store_that_breaks_leaves_the_result(folder, caplog):
    target = tracking.check("sqlite:///broken/mlflow.db")
    (folder / "broken/mlflow.db").write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    run = tracking.start(target, HEAD)
    with run, pytest.raises(TrackingError, match=r"kept in .*two/result\.json") as caught:
        finish(run, folder / "two")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 1
    assert results.read(folder / "two")["run_id"] is None
    assert "could not be marked FAILED" in caplog.text


def test_starting_waits_for_nothing(target):
    busy = mlflow.submit(time.sleep, 1)
    runs = [tracking.start(target, HEAD) for _ in range(5)]
    assert not busy.done()
    for run in runs:
        run.end("KILLED")


def test_mlflow_is_in_a_process_of_its_own(target):
    assert mlflow.submit(os.getpid).result() != os.getpid()
    code = f"from bench import tracking; tracking.start(tracking.check({target.uri!r}, 'e'), {{}}).ready()"
    code += "; import sys; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_dead_process_is_an_error_once(target, client):
    run = tracking.start(target, HEAD)
    run.ready()
    with pytest.raises(TrackingError, match=r"has died \(exit code 7\)"):
        mlflow.submit(os._exit, 7).result()
    run.end("FAILED")
    assert client.get_run(run.run_id).info.status == "FAILED"


def test_a_dead_process_is_quoted(target):
    mlflow.submit(print, "what a library says").result()
    mlflow.submit(os.write, 2, b"No module named 'alembic'\n").result()
    with pytest.raises(TrackingError, match=r"has died \(exit code 3\): No module named 'alembic'$"):
        mlflow.submit(os._exit, 3).result()


WAIT = """
import json, sys
from bench import tracking
target = tracking.check("sqlite:///outputs/mlflow.db")
tracking.warm_up(target.uri)
with tracking.start(target, json.loads(sys.argv[1])) as run:
    print(run.ready(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.slow) for name in ("SIGINT", "SIGTERM")), "SIGKILL"]
)
def test_the_run_of_a_process_that_is_ended_is_marked(tmp_path, name):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT, json.dumps(HEAD)],
        cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    run_id = process.stdout.readline().strip()
    # all that a terminal's Ctrl-C reaches; SIGKILL leaves MLflow's process alive
    if name == "SIGKILL":
        process.kill()
    else:
        os.killpg(process.pid, getattr(signal, name))
    out, err = process.communicate()
    assert out == ""
    if name == "SIGINT":
        assert err.startswith("Traceback") and err.endswith("KeyboardInterrupt\n")
    else:
        assert err == ""

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    assert client.get_run(run_id).info.status == "KILLED"  # the pipes have been closed by both processes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]


MANY = """
import json, sys
from pathlib import Path
from bench import results, tracking
head, values, who = json.loads(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
target = tracking.check("sqlite:///outputs/mlflow.db", "e")
for seed in range(5):
    with tracking.start(target, {**head, "seed": seed}) as run:
        folder = Path("outputs", f"{who}-{seed}")
        folder.mkdir(parents=True)
        result = results.complete(status="finished", **{**head, **values, "seed": seed, "lookup_us": who})
        results.write(result, folder)
        run.log_result(result, folder)
"""


@pytest.mark.slow
def test_four_processes_log_into_a_fresh_file_at_once(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, json.dumps(HEAD), json.dumps(NUMBERS), str(who)],
            cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        )
        for who in range(4)
    ]  # fmt: skip
    assert [process.communicate()[1] for process in processes] == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    assert len(client.search_experiments()) == 2  # MLflow's default, and ours
    runs = client.search_runs([client.get_experiment_by_name("e").experiment_id], max_results=100)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sorted((run.data.metrics["lookup_us"], run.info.run_name[-1]) for run in runs) == [
        (who, str(seed)) for who in range(4) for seed in range(5)
    ]
    assert len(list((tmp_path / "outputs/mlflow-artifacts").glob("*/artifacts/result.json"))) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]


@pytest.mark.slow
def test_a_server_that_goes_away(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
            "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
            "--artifacts-destination", f"{tmp_path}/store",
        ],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        target = tracking.check(f"http://127.0.0.1:{port}", "e")
        with tracking.start(target, HEAD) as run:
            finish(run, tmp_path / "one")
        from mlflow.tracking import MlflowClient

        client = MlflowClient(target.uri)
        assert client.get_run(run.run_id).data.metrics["val_mae"] == 0.6
        assert {file.path for file in client.list_artifacts(run.run_id)} >= {"config.yaml", "result.json"}
        left = tracking.start(target, HEAD)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match=r"kept in .*two/result\.json"):
        finish(left, tmp_path / "two")
    assert results.read(tmp_path / "two")["run_id"] == left.run_id
    with pytest.raises(TrackingError, match="no server answers"):
        tracking.log_result(results.read(tmp_path / "two"), tmp_path / "two", tracking.check(target.uri, "e"))


@pytest.mark.slow
def test_a_kill_while_the_database_is_made_breaks_nothing(tmp_path):
    target = tracking.check(f"sqlite:///{tmp_path}/runs.db")
    code = f"from bench.tracking import check, client; client.prepare(check({target.uri!r}))"
    new = tmp_path / ".runs.db.new"
    for size in (1, 100_000, 400_000):  # the file grows while tables are made
        child = subprocess.Popen([sys.executable, "-c", code])
        while child.poll() is None and not (new.exists() and new.stat().st_size >= size):
            time.sleep(0.005)
        child.kill()
        child.wait()
        assert new.exists() and not target.database.exists()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert target.database.exists() and not new.exists()
    assert not (tmp_path / ".runs.db.new-journal").exists()


def open_run_of(target, folder, trainer, fingerprint):
    """A run as a killed process leaves it where MLflow's own process was killed too."""
    from bench.tracking import lease

    tags = {"fingerprint": fingerprint, lease.PROCESS_TAG: str(trainer), lease.FOLDER_TAG: str(folder)}
    run = tracking.run.Run(target, "left", tags)
    run._ended = True  # nobody will say how it ended
    return run.ready()


def dead():
    from bench.tracking import lease

    here = lease.Trainer.this()
    return lease.Trainer(here.host, here.pid, here.started - 1000)


def test_what_a_killed_run_has_left_is_marked(target, client, folder, tmp_path):
    run_id = open_run_of(target, tmp_path, dead(), "left1")
    assert tracking.find_finished(target, "left1", tmp_path) is None
    run = client.get_run(run_id)
    assert run.info.status == "KILLED" and run.data.tags["leftover"] == "its process is gone"


def test_a_run_that_goes_on_is_left_alone(target, client, folder, tmp_path):
    from bench.tracking import lease

    run_id = open_run_of(target, tmp_path, lease.Trainer.this(), "goes on")
    assert tracking.find_finished(target, "goes on", tmp_path) is None
    assert client.get_run(run_id).info.status == "RUNNING"
    mlflow.submit(tracking.store.end_run, target, run_id, "KILLED").result()


def test_a_result_that_was_not_logged_any_more_is_taken_up(target, client, folder, tmp_path):
    run_id = open_run_of(target, tmp_path, dead(), "left2")
    head = {**HEAD, "fingerprint": "left2"}
    results.write(results.complete(status="finished", **head, **NUMBERS), tmp_path)
    found = tracking.find_finished(target, "left2", tmp_path / "new")
    assert found["run_id"] == run_id and found["val_mae"] == NUMBERS["val_mae"]
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED" and run.data.metrics["val_mae"] == NUMBERS["val_mae"]
    assert "leftover" in run.data.tags


def test_an_equal_run_on_another_machine_is_waited_for(target, client, folder, tmp_path, monkeypatch, caplog):
    from bench.tracking import lease

    elsewhere = lease.Trainer("another.host", 1, 5.0)
    run_id = open_run_of(target, tmp_path, elsewhere, "waited for")
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.2)
    head = {**HEAD, "fingerprint": "waited for", "run_id": run_id}
    result = results.complete(status="finished", **head, **NUMBERS)
    results.write(result, tmp_path)

    def finish():
        time.sleep(1)
        mlflow.submit(tracking.store.log_result, target, run_id, result, tmp_path)

    threading.Thread(target=finish).start()
    found = tracking.find_finished(target, "waited for", tmp_path / "new")
    assert found is not None and found["run_id"] == run_id
    assert "an equal run is being trained on another.host: waiting for its result" in caplog.text


def test_of_two_that_begin_at_once_on_two_machines_the_later_gives_way(target, client, folder, tmp_path):
    from bench.tracking import lease

    first = open_run_of(target, tmp_path, lease.Trainer("another.host", 1, 5.0), "at once")
    with pytest.raises(tracking.Taken, match=r"another\.host"):
        open_run_of(target, tmp_path, lease.Trainer.this(), "at once")
    found = client.search_runs(
        [client.get_experiment_by_name(target.experiment).experiment_id], "tags.fingerprint = 'at once'"
    )
    assert [run.info.run_id for run in found] == [first]
    mlflow.submit(tracking.store.end_run, target, first, "KILLED").result()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_processes_log_two_hundred_runs_each_into_one_file(tmp_path):
    """No error, and all runs are there."""
    uri = f"sqlite:///{tmp_path}/runs.db"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bench import results, tracking\n"
        f"target = tracking.check({uri!r}, 'e')\n"
        "for number in range(200):\n"
        f"    folder = Path({str(tmp_path)!r}, sys.argv[1], str(number)); folder.mkdir(parents=True)\n"
        "    head = {'fingerprint': f'{sys.argv[1]}-{number}', 'strategy': 'qr', 'settings': {'seed': number}}\n"
        "    with tracking.start(target, head, folder=folder) as run:\n"
        "        result = results.complete(status='finished', run_id=run.run_id, val_mae=0.5, **head)\n"
        "        results.write(result, folder)\n"
        "        run.log_result(result, folder)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], stderr=subprocess.PIPE, text=True)
        for n in range(8)
    ]
    errors = [child.communicate(timeout=800)[1] for child in children]
    assert [child.returncode for child in children] == [0] * 8, errors
    with contextlib.closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        count = database.execute("SELECT COUNT(*) FROM runs WHERE status = 'FINISHED'").fetchone()
        assert count == (1600,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
