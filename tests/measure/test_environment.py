import json
import os
import platform
import subprocess
import sys

import keras
import numpy as np

from bench.measure import environment


def test_what_is_said_of_the_machine():
    said = environment.describe(threads=2, gpu=None)
    assert list(said) == [
        "processor", "cores", "threads", "jobs", "gpu", "platform", "python", "numpy", "keras", "tensorflow",
        "git_commit",
    ]  # fmt: skip
    assert said["python"] == platform.python_version()
    assert (said["numpy"], said["keras"]) == (np.__version__, keras.__version__)
    assert said["processor"] and said["tensorflow"]
    assert 1 <= said["cores"] <= os.cpu_count()
    assert (said["threads"], said["jobs"], said["gpu"]) == (2, 1, None)
    json.dumps(said)


def test_nothing_slow_is_imported():
    code = (
        "import sys, bench.records.fingerprint, bench.records.result, bench.tracking;"
        "from bench.measure import environment; environment.describe(1);"
        "print([m for m in ('tensorflow', 'keras', 'mlflow', 'pandas', 'sqlalchemy') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_package_that_is_not_there():
    assert environment.version("no-such-package-anywhere") is None


def test_the_commit_and_whether_files_differ(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
        return subprocess.check_output(["git", "-C", tmp_path, *identity, *arguments], text=True).strip()

    assert environment.git_commit(tmp_path) is None
    git("init", "-q")
    environment.git_commit.cache_clear()
    assert environment.git_commit(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "m")
    environment.git_commit.cache_clear()
    commit = git("rev-parse", "HEAD")
    assert environment.git_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    environment.git_commit.cache_clear()
    assert environment.git_commit(tmp_path) == f"{commit}+changes"
