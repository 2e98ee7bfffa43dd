"""Runs that log to a tracking server of MLflow's over PostgreSQL, and to PostgreSQL itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import Commands, Done, logged_runs

pytestmark = pytest.mark.server

PASSWORD = "of-this-test-only"


@dataclass(frozen=True)
class Server:
    """MLflow's, with what it serves."""

    uri: str
    artifacts: Path


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def wait_for(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + 120
    while not ready():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server, without a database's name."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    if not found[-1].is_file():
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    programs, port = found[-1].parent, free_port()
    # PostgreSQL does not run as root, and the user that it is then may not look into pytest's folders
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="postgresql") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "bench", "-A", "scram-sha-256",
             "--pwfile", folder / "password", "--no-sync"],
            cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        log = folder / "log"
        with log.open("wb") as out:
            server = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), "-k", folder,
                 "-c", "fsync=off"],
                cwd=folder, user=user, stdout=out, stderr=out,
            )  # fmt: skip
        try:
            check = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_for(server, lambda: subprocess.run(check, check=False).returncode == 0, log)
            for database in ("served", "direct"):
                subprocess.run(
                    [programs / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", database],
                    check=True, env={**os.environ, "PGPASSWORD": PASSWORD},
                )  # fmt: skip
            yield f"postgresql://bench@127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)  # does not wait for clients
            server.wait(60)


@pytest.fixture(scope="module")
def server(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tracking server whose store is PostgreSQL."""
    folder = tmp_path_factory.mktemp("server")
    uri, log = f"http://127.0.0.1:{free_port()}", folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"{postgresql}/served",
             "--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1",
             "--port", uri.rpartition(":")[2], "--workers", "2"],
            cwd=folder, env={**os.environ, "PGPASSWORD": PASSWORD, "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for(process, healthy, log)
        yield Server(uri, folder / "artifacts")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def served(server: Server, new_commands: Callable[[str], Commands]) -> list[Done]:
    """Two runs at once, the first that the server sees; each is told of it in another way."""
    one, other = new_commands("one"), new_commands("other")
    running = [
        one.start_small("strategy=qr", "save_weights=true", f"tracking.uri={server.uri}"),
        other.start_small("strategy=full", MLFLOW_TRACKING_URI=server.uri),
    ]
    try:
        return [command.wait() for command in running]
    finally:
        for command in running:
            command.kill()


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(server.uri)


def test_several_processes_log_at_once(served: list[Done], client: Any) -> None:
    assert [done.code for done in served] == [0, 0], [done.err for done in served]
    runs = {run.info.run_id: run for run in logged_runs(client)}
    assert set(runs) == {done.result["run_id"] for done in served}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for done in served:
        logged = runs[done.result["run_id"]]
        assert logged.data.metrics["val_mae"] == done.result["val_mae"]
        assert logged.data.tags["fingerprint"] == done.result["fingerprint"]
        assert not (done.cwd / "outputs" / "mlflow.db").exists()


def test_artifacts_are_served(served: list[Done], server: Server, client: Any, tmp_path: Path) -> None:
    run = client.get_run(served[0].result["run_id"])
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    folder = Path(client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    names = {"config.yaml", "history.csv", "model.txt", "result.json", "weights.safetensors"}
    assert {path.name for path in folder.iterdir()} == names
    assert names <= {path.name for path in server.artifacts.rglob("*")}  # it keeps them itself


def test_equal_run_from_another_folder_is_skipped(
    served: list[Done], server: Server, client: Any, commands: Commands
) -> None:
    done = commands.small("strategy=qr", "save_weights=true", f"tracking.uri={server.uri}")
    assert (done.code, done.result["status"]) == (0, "skipped"), done.err
    assert done.result["run_id"] == served[0].result["run_id"]
    assert done.result["val_mae"] == served[0].result["val_mae"]
    weights = [folder / "weights.safetensors" for folder in (done.folder, served[0].folder)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert len(logged_runs(client)) == 2


def test_what_the_server_has_is_read_and_removed(
    served: list[Done], server: Server, commands: Commands
) -> None:
    uri = f"tracking.uri={server.uri}"
    found = commands.small("strategy=full", uri)
    assert found.result["status"] == "skipped", found.err
    fingerprint = found.result["fingerprint"]
    assert (
        commands.cwd / "outputs" / "results" / fingerprint / "record.json"
    ).exists()  # it has become one here
    report = commands.start("source=mlflow", "format=json", uri, module="bench.report").wait()
    assert '"strategy": "qr"' in report.out and '"strategy": "full"' in report.out, report.err
    removed = commands.start("remove", fingerprint[:12], "--yes", module="bench.results").wait()
    assert "removed 1 record, 1 run in MLflow" in removed.out, removed.err
    again = commands.small("strategy=full", uri)
    assert again.result["status"] == "finished", again.err
    assert again.result["val_mae"] == found.result["val_mae"]


def test_what_a_server_lacks_is_sent(server: Server, client: Any, commands: Commands) -> None:
    assert commands.small("strategy=qr", "seed=7").code == 0  # logged to a file
    sent = commands.start(f"tracking.uri={server.uri}", module="bench.track").wait()
    assert "sent 1 run and 0 sweeps" in sent.out, sent.err
    (run,) = [run for run in logged_runs(client) if run.data.params["seed"] == "7"]
    assert run.info.status == "FINISHED"


def test_postgresql_without_a_server(postgresql: str, commands: Commands) -> None:
    uri = f"tracking.uri={postgresql}/direct"
    first = commands.small("strategy=qr", uri, PGPASSWORD=PASSWORD)
    assert (first.code, first.result["status"]) == (0, "finished"), first.err
    shutil.rmtree(commands.cwd / "outputs" / "results")
    again = commands.small("strategy=qr", uri, PGPASSWORD=PASSWORD)
    assert (again.code, again.result["status"]) == (0, "skipped"), again.err
    assert again.result["run_id"] == first.result["run_id"]


def test_a_finished_run_needs_no_server(postgresql: str, commands: Commands) -> None:
    first = commands.small(
        "strategy=full", "seed=5", f"tracking.uri={postgresql}/direct", PGPASSWORD=PASSWORD
    )
    assert first.code == 0, first.err
    again = commands.small("strategy=full", "seed=5", "tracking.uri=http://127.0.0.1:9")
    assert (again.code, again.result["status"]) == (0, "skipped"), again.err


def test_wrong_password_is_said_in_a_line(postgresql: str, commands: Commands) -> None:
    address = postgresql.replace("bench@", "bench:wrong@")
    done = commands.small("strategy=qr", f"tracking.uri={address}/direct")
    assert done.code == 1
    line = done.err.splitlines()[-1]
    assert line.startswith("error: tracking.uri=postgresql://bench:***@127.0.0.1")
    assert "password authentication failed" in line and "wrong" not in line
