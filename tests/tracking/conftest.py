"""What tests of MLflow share: a folder, and a store in it."""

import os
import shutil
from pathlib import Path

import pytest
from tracked import head, run_in_mlflow

from bench import tracking
from bench.tracking import private


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A database without an experiment of ours, to be copied: its tables take seconds to make."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    run_in_mlflow(private.make_database, path, path.parent / "mlflow-artifacts")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, database):
    """A current folder with one database for all tests of a module."""
    folder = tmp_path_factory.mktemp("tracking")
    (folder / "outputs").mkdir()
    shutil.copy(database, folder / "outputs" / "mlflow.db")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def target(folder):
    return tracking.check("sqlite:///outputs/mlflow.db", "e")


@pytest.fixture(scope="module")
def client(target):
    """MLflow's own client, over a store that is there."""
    from mlflow.tracking import MlflowClient

    tracking.start(target, head("first")).end("FAILED")
    return MlflowClient(target.uri)


@pytest.fixture(scope="module")
def runs_of(client, target):
    """Gives the runs of the experiment that a search finds."""
    experiment = client.get_experiment_by_name(target.experiment).experiment_id
    return lambda wanted: client.search_runs([experiment], wanted)
