"""Databases in odd places: of any name, moved, full, of another version, without a home folder."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from marks import slow_but
from tracked import finish, head, leave, run_in_mlflow

from bench import tracking
from bench.errors import RequestError
from bench.tracking import TrackingError, client
from bench.tracking.client import connected, in_mlflow

NAMES = [
    "josé",
    "lr=0.1",
    "a,b",
    "(a)",
    "a#b",
    "50%",
    "lr%3D0.1",
    "a+b",
    "a@b",
    "it's",
    "a b",
    "a?b",
    "a&b=c",
]


def logged_in(folder, name="run"):
    """Logs a run to a database below a folder; gives its artifacts, by MLflow's own account."""
    target = tracking.check(f"sqlite:///{quoted(folder)}/outputs/mlflow.db", "e")
    with tracking.start(target, head(name)) as run:
        finish(run, folder / name, head(name))
    return Path(artifacts_of(target, run.run_id))


def quoted(folder):
    from urllib.parse import quote

    return quote(str(folder))


def artifacts_of(target, run_id):
    """The folder of a run's artifacts, and that MLflow finds a file there."""
    return run_in_mlflow(_artifacts_of, target, run_id)


@in_mlflow
def _artifacts_of(target, run_id):
    with connected(target) as opened:
        return opened.download_artifacts(run_id, "")


def copied(database, folder):
    (folder / "outputs").mkdir(parents=True)
    shutil.copy(database, folder / "outputs" / "mlflow.db")


@pytest.mark.parametrize("name", slow_but(["josé", "a%20b"], NAMES))
def test_a_folder_of_any_name(tmp_path, database, name):
    folder = tmp_path / name
    copied(database, folder)
    artifacts = logged_in(folder)
    assert artifacts.is_relative_to(folder / "outputs" / "mlflow-artifacts")
    assert (artifacts / "result.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]  # no stray folder beside it


def test_artifacts_of_a_moved_folder_lie_where_it_is_now(tmp_path, database):
    old, new = tmp_path / "100%", tmp_path / "new_%"
    copied(database, old)
    first = logged_in(old, "first")
    old.rename(new)
    second = logged_in(new, "second")
    assert second.parent.parent == new / "outputs" / "mlflow-artifacts" and not old.exists()
    target = tracking.check(f"sqlite:///{quoted(new)}/outputs/mlflow.db", "e")
    assert [result.status for result in tracking.find_all(target)] == ["finished", "finished"]
    assert Path(artifacts_of(target, first.parent.name)) == new / first.relative_to(old)


def test_artifacts_of_a_copied_folder_leave_the_first_alone(tmp_path, database):
    old, new = tmp_path / "old", tmp_path / "new"
    copied(database, old)
    logged_in(old, "first")
    shutil.copytree(old, new)
    before = sorted((old / "outputs").rglob("*"))
    assert logged_in(new, "second").is_relative_to(new)
    assert sorted((old / "outputs").rglob("*")) == before
    assert logged_in(old, "third").is_relative_to(old)


def test_a_database_that_was_moved_alone_finds_its_artifacts(tmp_path, database):
    old, new = tmp_path / "old", tmp_path / "new"
    copied(database, old)
    logged_in(old, "first")
    (new / "outputs").mkdir(parents=True)
    (old / "outputs" / "mlflow.db").rename(new / "outputs" / "mlflow.db")
    target = tracking.check(f"sqlite:///{new}/outputs/mlflow.db", "e")
    assert [result.status for result in tracking.find_all(target)] == ["finished"]


def test_artifacts_that_a_user_has_put_elsewhere_stay_there(tmp_path, database):
    copied(database, tmp_path)
    target = tracking.check(f"sqlite:///{tmp_path}/outputs/mlflow.db", "e")
    run_in_mlflow(_create_experiment, target, (tmp_path / "large").as_uri())
    assert logged_in(tmp_path).is_relative_to(tmp_path / "large")


@in_mlflow
def _create_experiment(target, location):
    with connected(target) as opened:
        opened.create_experiment(target.experiment, location)


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (
            "ffffffffffff",
            "made by a newer MLflow than the installed .*; pip install -U mlflow, or give another",
        ),
        (
            "0584bdc529eb",
            "made by an older MLflow than .*; make a copy of it, then mlflow db upgrade 'sqlite:",
        ),
    ],
)
def test_a_database_of_another_version_is_explained_in_a_line(tmp_path, database, version, says):
    copied(database, tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "outputs" / "mlflow.db")) as opened:
        opened.execute("UPDATE alembic_version SET version_num = ?", (version,))
        opened.commit()
    target = tracking.check(f"sqlite:///{tmp_path}/outputs/mlflow.db", "e")
    with pytest.raises(RequestError, match=says) as caught:
        tracking.start(target, head("f")).ready()
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"tracking.uri={target.shown}: ")


Usage = namedtuple("Usage", "free")


@pytest.mark.parametrize(
    ("error", "free"),
    [
        (RuntimeError("(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: ...]"), 4096),
        (RuntimeError("(sqlite3.OperationalError) no such table: alembic_version"), 0),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), 1 << 30),
        (OSError(28, "No space left on device"), 1 << 30),
    ],
)
def test_a_full_disk_is_named_whatever_sqlite_calls_it(tmp_path, monkeypatch, error, free):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(free))
    target = tracking.check(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    said = client._explained(target, error)
    assert isinstance(said, TrackingError)
    assert (
        str(said)
        == f"tracking.uri={target.shown}: no space left on the disk of {tmp_path}/outputs; free some"
    )


def test_another_error_is_no_full_disk(tmp_path):
    target = tracking.check(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    said = client._explained(target, RuntimeError("(sqlite3.OperationalError) attempt to write\nmore"))
    assert str(said).endswith("MLflow cannot be used there: (sqlite3.OperationalError) attempt to write")


def test_a_missing_driver_is_named():
    target = tracking.check("postgresql://me:secret@127.0.0.1:9/d")
    error = ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
    said = str(client._explained(target, error))
    assert "needs the Python package psycopg" in said and 'embedding-bench[server]"' in said
    assert "secret" not in said


HOMELESS = """
import os, pwd
os.environ.pop("HOME", None)
def unknown(user): raise KeyError(user)
pwd.getpwuid = unknown
from bench.tracking import client
client.import_for("sqlite:")
print("imported")
"""


@pytest.mark.slow
def test_without_a_home_folder_mlflow_is_imported_all_the_same():
    ended = subprocess.run([sys.executable, "-c", HOMELESS], capture_output=True, text=True, check=False)
    assert ended.stdout == "imported\n", ended.stderr


def test_results_are_sent_to_a_moved_database(tmp_path, database):
    old, new = tmp_path / "old", tmp_path / "new"
    copied(database, old)
    logged_in(old, "first")
    old.rename(new)
    target = tracking.check(f"sqlite:///{new}/outputs/mlflow.db", "e")
    run_id, sent = tracking.send(target, leave(new / "later", head("later")), new / "later")
    assert sent and Path(artifacts_of(target, run_id)).is_relative_to(new) and not old.exists()
