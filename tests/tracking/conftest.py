"""What tests of MLflow share: a folder, and a store in it."""

import os
from pathlib import Path

import pytest

from bench import tracking


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A current folder with one database for all tests of a module: its schema takes seconds to make."""
    folder = tmp_path_factory.mktemp("tracking")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def target(folder):
    return tracking.check("sqlite:///outputs/mlflow.db", "e")
