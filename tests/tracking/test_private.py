"""The parts of MLflow that are not public. Where one of these fails, a new MLflow has changed what its name says."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest
from tracked import head, leave, run_in_mlflow

from bench import tracking
from bench.tracking import private

ODD = "josé = ,(#%+@' lr%3D0.1 ?;[&]"


@pytest.mark.slow
def test_mlflow_opens_the_file_that_the_address_names_and_makes_no_other_folder(tmp_path):
    folder = tmp_path / ODD
    run_in_mlflow(private.make_database, folder / "mlflow.db", folder / "artifacts")
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
    assert [path.name for path in folder.iterdir()] == ["mlflow.db"]
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        (location,) = database.execute("SELECT artifact_location FROM experiments").fetchone()
    assert location == f"{(folder / 'artifacts').as_uri()}/0"


def test_a_query_of_an_address_is_kept(tmp_path):
    from sqlalchemy.engine import make_url

    assert make_url(private.address(tmp_path / "x.db", "timeout=30")).query == {
        "uri": "true",
        "timeout": "30",
    }


def test_mlflow_keeps_where_artifacts_lie_in_the_models_that_are_moved(tmp_path, database):
    import mlflow.store.tracking.dbmodels.models as models

    assert models.SqlExperiment.artifact_location.key == "artifact_location"
    assert models.SqlRun.artifact_uri.key == "artifact_uri"


def test_what_lies_beside_a_moved_folder_stays_where_it_is(tmp_path, database):
    path = tmp_path / "mlflow.db"
    shutil.copy(database, path)
    old, new = "file:///a/some_%", "file:///b/some"
    places = [old, f"{old}/1", f"{old}-2/1", "file:///a/some-%/1", "file:///c/some_%/1"]
    with contextlib.closing(sqlite3.connect(path)) as opened, opened:
        for number, place in enumerate(places, 100):
            opened.execute(
                "INSERT INTO experiments (experiment_id, name, artifact_location) VALUES (?, ?, ?)",
                (number, f"experiment {number}", place),
            )
    private.move_artifacts(private.address(path), old, new)
    with contextlib.closing(sqlite3.connect(path)) as opened:
        found = opened.execute(
            "SELECT artifact_location FROM experiments WHERE experiment_id >= 100 ORDER BY experiment_id"
        )
        assert [place for (place,) in found] == [new, f"{new}/1", *places[2:]]


def test_mlflow_names_its_migrations_after_the_versions_of_its_tables(database):
    with contextlib.closing(sqlite3.connect(database)) as opened:
        (version,) = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    assert not private.made_by_newer_mlflow(version)
    assert private.made_by_newer_mlflow("ffffffffffff")


@pytest.mark.slow
def test_a_kill_while_the_database_is_made_breaks_nothing(tmp_path):
    code = (
        "from pathlib import Path; from bench.tracking import client, private; client.import_for('sqlite:'); "
        f"private.make_database(Path({str(tmp_path)!r}, 'runs.db'), Path({str(tmp_path)!r}, 'a'))"
    )
    made, new = tmp_path / "runs.db", tmp_path / ".runs.db.new"
    for size in (1, 100_000, 400_000):  # the file grows while tables are made
        child = subprocess.Popen([sys.executable, "-c", code])
        while child.poll() is None and not (new.exists() and new.stat().st_size >= size):
            time.sleep(0.005)
        child.kill()
        child.wait()
        assert new.exists() and not made.exists()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert made.exists() and not new.exists()
    assert not (tmp_path / ".runs.db.new-journal").exists()
    target = tracking.check(f"sqlite:///{made}")
    result = leave(tmp_path / "run", head("f"))
    assert tracking.send(target, result, tmp_path / "run")[1]
