"""A tracking server that accepts connections and never answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

ENDS = """
import sys, time
from pathlib import Path
from tracked import finish, head
from bench import tracking
from bench.errors import BenchError

target = tracking.check(sys.argv[1], "e")
target.knock()  # it accepts
run = tracking.start(target, head("f"))
begun = time.monotonic()
try:
    finish(run, Path("one"), head("f"))
except BenchError as error:
    print(error.exit_code, time.monotonic() - begun < 30, error)
"""


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up_and_the_result_is_kept(tmp_path: Path) -> None:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "tracking")))
    more = {"PYTHONPATH": path, "MLFLOW_HTTP_REQUEST_TIMEOUT": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", ENDS, address],
            cwd=tmp_path, env={**os.environ, **more}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, in_time, said = done.stdout.strip().split(" ", 2)
    assert (code, in_time) == ("1", "True"), done.stdout
    assert "\n" not in said and "the result is kept in" in said and "python -m bench.track" in said
    assert (tmp_path / "one" / "result.json").is_file()
