"""Runs in MLflow, against real stores."""

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tracked import finish, head, leave

from bench import tracking
from bench.errors import RequestError
from bench.measure.apart import ProcessDied
from bench.records.result import Result, Status
from bench.tracking import TrackingError
from bench.tracking.client import mlflow

HEAD = head(
    "f00",
    environment={"threads": 1, "git_commit": "abc+changes"},
    settings={
        "seed": 3,
        "budget": None,
        "training": {"epochs": 2, "learning_rate": 0.001},
        "splits": [1, 2],
        "long": "x" * 7000,
        "price (eur)": "log1p",
        "many": {f"n{i}": i for i in range(130)},
    },
)


def test_a_finished_run_is_all_there(target, client, folder):
    with tracking.start(target, HEAD) as run:
        during = client.get_run(run.ready())
        assert during.info.status == "RUNNING" and during.data.params["seed"] == "3"
        assert "status" not in during.data.tags
        result = finish(run, folder / "one", HEAD)
    logged = client.get_run(run.run_id)
    assert logged.info.status == "FINISHED" and logged.info.run_name == "qr num_buckets=12 seed=3"

    assert logged.data.params["training.learning_rate"] == "0.001"
    assert logged.data.params["budget"] == "null" and logged.data.params["splits"] == "[1, 2]"
    assert (
        logged.data.params["used.user.num_buckets"] == "12" and logged.data.params["price _eur_"] == "log1p"
    )
    assert len(logged.data.params["long"]) == 6000 and logged.data.params["many.n129"] == "129"
    tags = {name: logged.data.tags[name] for name in ("fingerprint", "dataset", "strategy", "status")}
    assert tags == {"fingerprint": "f00", "dataset": "synthetic", "strategy": "qr", "status": "finished"}
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
    assert Result.read(artifacts) == result
    assert "learning_rate: 0.001" in (artifacts / "config.yaml").read_text()
    assert (artifacts / "history.csv").read_text().splitlines()[2] == "2,0.6,1.25"
    assert not (folder / "mlruns").exists()


def test_weights_are_one_file_with_the_run_s_own_until_they_are_deleted(target, client, folder):
    asked = head("weights", settings={"save_weights": True})
    with tracking.start(target, asked) as run:
        (folder / "weighed").mkdir()
        (folder / "weighed" / "weights.safetensors").write_bytes(b"weights")
        finish(run, folder / "weighed", asked)
    artifact = folder / "outputs/mlflow-artifacts" / run.run_id / "artifacts" / "weights.safetensors"
    assert artifact.samefile(folder / "weighed" / "weights.safetensors")
    assert "weights.safetensors" in [file.path for file in client.list_artifacts(run.run_id)]
    tracking.delete_weights(target, ["unknown"])
    assert artifact.exists()
    tracking.delete_weights(target, ["weights"])
    assert not artifact.exists() and (folder / "weighed" / "weights.safetensors").read_bytes() == b"weights"
    assert "result.json" in [file.path for file in client.list_artifacts(run.run_id)]
    tracking.delete_weights(tracking.check("sqlite:///nowhere/mlflow.db"), ["f"])


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (None, "FAILED")],
)
def test_a_run_that_ends_without_a_result_is_marked(target, client, error, status):
    with contextlib.suppress(error or ()), tracking.start(target, HEAD) as run:
        if error:
            raise error
    assert client.get_run(run.run_id).info.status == status


def test_an_interrupt_that_a_library_has_made_an_error_of_is_one(target, client):
    def interrupted():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ValueError("in user code")  # noqa: B904

    with contextlib.suppress(ValueError), tracking.start(target, HEAD) as run:
        interrupted()
    assert client.get_run(run.run_id).info.status == "KILLED"


def test_a_failed_result_is_a_failed_run_with_its_numbers(target, client, folder):
    with tracking.start(target, HEAD) as run:
        finish(run, folder / "failed", HEAD, val_mae=float("nan"), history=None)
    logged = client.get_run(run.run_id)
    assert logged.info.status == "FAILED" and logged.data.tags["status"] == "failed"
    assert logged.data.tags["error"] == "not a finite number: val_mae"
    assert "val_mae" not in logged.data.metrics and logged.data.metrics["val_rmse"] == 0.875


def test_a_failure_without_numbers(target, client, folder):
    with tracking.start(target, HEAD) as run:
        run.log_result(HEAD.with_(status=Status.FAILED, error="out of memory"), folder)
    logged = client.get_run(run.run_id)
    assert logged.data.metrics == {} and logged.data.tags["error"] == "out of memory"


def test_an_experiment_that_was_deleted(target, client):
    client.delete_experiment(client.create_experiment("gone"))
    run = tracking.start(tracking.check(target.uri, "gone"), HEAD)
    with pytest.raises(RequestError, match=r"tracking\.experiment=gone: deleted .* restore"):
        run.ready()
    assert run.run_id is None


@pytest.mark.parametrize("place", ["mlflow-artifacts:/7", f"{Path(__file__).as_uri()}/artifacts"])
def test_artifacts_that_cannot_be_written_are_said_before_training(target, client, place):
    client.create_experiment(f"at {place[:5]}", artifact_location=place)
    with pytest.raises(RequestError, match=r"keeps its artifacts in .*give another tracking\.experiment"):
        tracking.start(tracking.check(target.uri, f"at {place[:5]}"), HEAD).ready()


def test_a_store_that_breaks_leaves_the_result(folder, caplog):
    target = tracking.check("sqlite:///broken/mlflow.db")
    (folder / "broken").mkdir()
    (folder / "broken/mlflow.db").write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    run = tracking.start(target, HEAD)
    with run, pytest.raises(TrackingError, match=r"kept in .*two; .* python -m bench\.track .*two") as caught:
        finish(run, folder / "two", HEAD)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 1
    assert "could not be marked FAILED" in caplog.text


@pytest.mark.slow
def test_a_database_that_is_removed_while_runs_go_on_is_made_again(folder, database):
    target = tracking.check("sqlite:///removed/mlflow.db", "e")
    (folder / "removed").mkdir()
    shutil.copy(database, folder / "removed/mlflow.db")
    tracking.start(target, HEAD).end("FAILED")
    (folder / "removed/mlflow.db").unlink()
    with tracking.start(target, head("later")) as run:
        finish(run, folder / "later", head("later"))
    assert list(tracking.find_logged(target)) == ["later"]


def test_starting_waits_for_nothing(target):
    busy = mlflow.submit(time.sleep, 1)
    runs = [tracking.start(target, HEAD) for _ in range(5)]
    assert not busy.done()
    for run in runs:
        run.end("KILLED")


@pytest.mark.slow
def test_mlflow_is_in_a_process_of_its_own(target):
    assert mlflow.submit(os.getpid).result() != os.getpid()
    code = (
        "import sys; from bench import tracking; from bench.records.result import Result, Status\n"
        f"tracking.start(tracking.check({target.uri!r}, 'e'), Result.of(Status.FINISHED)).ready()\n"
        "sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_a_process_that_died_is_followed_by_another(target, client):
    run = tracking.start(target, HEAD)
    run.ready()
    with pytest.raises(ProcessDied, match=r"the process that logs to MLflow has died \(exit code 7\)"):
        mlflow.submit(os._exit, 7).result()
    run.end("FAILED")
    assert client.get_run(run.run_id).info.status == "FAILED"


WAIT = """
import sys
from bench import tracking
from bench.records.result import Result, Status
target = tracking.check("sqlite:///outputs/mlflow.db")
tracking.warm_up(target.uri)
with tracking.start(target, Result.of(Status.FINISHED, fingerprint="w")) as run:
    print(run.ready(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_the_run_of_a_process_that_is_ended_is_marked(tmp_path, name):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT],
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


def test_the_run_of_a_process_that_was_killed_with_mlflows_is_marked_by_the_next_equal_one(target, client):
    left, alive, other = (tracking.start(target, head(name)).ready() for name in ("left", "left", "other"))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    started = time.time() - 100
    ended.wait()
    for run_id in (left, other):
        client.set_tag(run_id, "process", f"{socket.gethostname()} {ended.pid} {started}")
    tracking.start(target, head("left")).end("FAILED")
    found = [client.get_run(run_id).info.status for run_id in (left, alive, other)]
    assert found == ["KILLED", "RUNNING", "RUNNING"]
    elsewhere = tracking.start(target, head("elsewhere")).ready()
    client.set_tag(elsewhere, "process", f"another.host {ended.pid} {started}")
    tracking.start(target, head("elsewhere")).end("FAILED")
    assert client.get_run(elsewhere).info.status == "RUNNING"  # nothing is known of it


def test_a_folder_is_sent_once(target, runs_of, folder):
    result = leave(folder / "sent", head("sent", val_mae=0.5, history={"val_mae": [0.5]}, total_s=2.0))
    ended = 1_700_000_000.5
    os.utime(folder / "sent" / "result.json", (ended, ended))
    run_id, new = tracking.send(target, result, folder / "sent")
    assert new and tracking.send(target, result, folder / "sent") == (run_id, False)
    (run,) = runs_of("tags.fingerprint = 'sent'")
    assert (run.info.start_time, run.info.end_time) == (1_699_999_998_500, 1_700_000_000_500)
    assert run.info.status == "FINISHED" and run.data.metrics["val_mae"] == 0.5
    assert Result.read(folder / "outputs/mlflow-artifacts" / run_id / "artifacts").run_id == run_id


def test_what_was_left_of_a_run_is_completed(target, client, runs_of, folder):
    by_id = tracking.start(target, head("by id", settings={"data_dir": "/old", "seed": 1})).ready()
    by_process = tracking.start(target, head("by process")).ready()
    client.set_tag(by_process, "process", f"{socket.gethostname()} {2**22 + 1} 5.0")
    result = leave(folder / "rest", head("by id", run_id=by_id, val_mae=0.5, settings={"data_dir": "/new"}))
    assert tracking.send(target, result, folder / "rest") == (by_id, True)
    assert tracking.send(target, head("by process"), folder / "none") == (by_process, True)
    for fingerprint in ("by id", "by process"):
        assert [run.info.status for run in runs_of(f"tags.fingerprint = '{fingerprint}'")] == ["FINISHED"]


def test_a_failure_does_not_stand_for_a_result(target, runs_of, folder):
    failed = leave(folder / "bad", head("both").with_(status=Status.FAILED, error="out of memory"))
    assert tracking.send(target, failed, folder / "bad")[1]
    assert not tracking.send(target, failed, folder / "bad")[1]
    assert tracking.send(target, leave(folder / "good", head("both")), folder / "good")[1]
    assert not tracking.send(target, failed, folder / "bad")[1]
    assert {run.info.status for run in runs_of("tags.fingerprint = 'both'")} == {"FAILED", "FINISHED"}


def test_what_was_deleted_in_mlflow_stays_so_and_what_was_removed_comes_back(target, client, runs_of, folder):
    result = leave(folder / "gone", head("gone"))
    run_id, _ = tracking.send(target, result, folder / "gone")
    client.delete_run(run_id)
    assert tracking.send(target, result, folder / "gone") == (run_id, False)
    assert tracking.delete(target, ["gone", "unknown"]) == 0
    client.restore_run(run_id)
    assert tracking.delete(target, {"gone", "unknown"}) == 1
    assert runs_of("tags.fingerprint = 'gone'") == []
    assert tracking.send(target, result, folder / "gone")[1]


def test_deleting_makes_nothing(folder):
    assert tracking.delete(tracking.check("sqlite:///nowhere/mlflow.db"), ["f"]) == 0
    assert not (folder / "nowhere").exists()


MANY = """
import sys
from pathlib import Path
from bench import tracking
from bench.records.result import Result, Status
who, count = int(sys.argv[1]), int(sys.argv[2])
target = tracking.check("sqlite:///outputs/mlflow.db", "e")
for seed in range(count):
    head = Result.of(Status.FINISHED, fingerprint=f"{who}-{seed}", strategy="qr", seed=seed, settings={"seed": seed})
    with tracking.start(target, head) as run:
        folder = Path("outputs", f"{who}-{seed}")
        folder.mkdir(parents=True)
        result = head.with_(lookup_us=float(who), run_id=run.run_id)
        result.write(folder)
        run.log_result(result, folder)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("processes", "runs"), [(4, 5), (8, 50)])
def test_processes_log_into_a_fresh_file_at_once(tmp_path, processes, runs):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(who), str(runs)], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        for who in range(processes)
    ]
    assert [process.communicate()[1] for process in started] == [""] * processes
    assert [process.returncode for process in started] == [0] * processes

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    assert len(client.search_experiments()) == 2  # MLflow's default, and ours
    found = client.search_runs([client.get_experiment_by_name("e").experiment_id], max_results=1000)
    assert {run.info.status for run in found} == {"FINISHED"}
    assert sorted((run.data.metrics["lookup_us"], int(run.data.params["seed"])) for run in found) == [
        (who, seed) for who in range(processes) for seed in range(runs)
    ]
    kept = list((tmp_path / "outputs/mlflow-artifacts").glob("*/artifacts/result.json"))
    assert len(kept) == processes * runs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]
    with contextlib.closing(sqlite3.connect(tmp_path / "outputs/mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def server(tmp_path):
    """A tracking server, and the address where it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", uri.rpartition(":")[2],
            "--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
            "--artifacts-destination", f"{tmp_path}/store",
        ],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield uri, server
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@pytest.mark.slow
def test_a_server_that_goes_away(tmp_path, monkeypatch, server):
    uri, process = server
    target = tracking.check(uri, "e")
    assert target.is_server
    asked = HEAD.with_(settings={**HEAD.settings, "save_weights": True})
    with tracking.start(target, asked) as run:
        result = finish(run, tmp_path / "one", asked)
        (tmp_path / "one" / "weights.safetensors").write_bytes(b"weights")
        run.log_result(result, tmp_path / "one")
    (tmp_path / "found").mkdir()
    assert tracking.find_finished(target, "f00", tmp_path / "found") == result
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == [
        "model.txt", "result.json", "weights.safetensors",
    ]  # fmt: skip
    assert tracking.find_finished(target, "unknown", tmp_path / "found") is None
    left = tracking.start(target, HEAD)
    left.ready()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(TrackingError, match=r"kept in .*two; .* python -m bench\.track"):
        finish(left, tmp_path / "two", HEAD)
    with pytest.raises(TrackingError, match="no server answers"):
        target.knock()
