"""A copy of the project with a new method in it, as docs/adding-a-method.md shows it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from commands import ROOT

MODULE = "bench/embeddings/methods/modulo.py"
SETTINGS = "conf/embedding/modulo.yaml"
TEST = "tests/embeddings/methods/test_modulo_embedding.py"


def documented(name: str) -> str:
    """The text of one of the files above in the documentation."""
    text = (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"`{re.escape(name)}`.*?```\w+\n(.*?)```", text, re.DOTALL)[:1]
    return str(code)


def copy_project(folder: Path) -> Path:
    """Copies what a command and the tests of methods need; the files above are not there yet."""
    for name in ("bench", "conf", "hydra_plugins", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "docs"):
        (folder / name).symlink_to(ROOT / name)
    assert not (folder / MODULE).exists() and not (folder / SETTINGS).exists()
    return folder


# Runs each case in a child of one process, so that a module is imported anew and its packages are not. With arguments
# it is the whole command, without them only what judges the two files.
DRIVER = """
import json, os, runpy, sys
import hydra, numpy, omegaconf, bench.run
from bench.embeddings.registry import checked
from bench.errors import RequestError

checked("qr")  # imports all that a judgement needs

def judge():
    try:
        checked("modulo")
    except RequestError as error:
        sys.exit(f"error: {error}")

for case in json.load(sys.stdin):
    for name, text in case["files"].items():
        if os.path.exists(name):
            os.remove(name)
        if text is not None:
            with open(name, "w") as file:
                file.write(text)
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        sys.argv = ["bench.run", *case["arguments"]]
        del sys.modules["bench.run"]
        runpy.run_module("bench.run", run_name="__main__") if case["arguments"] else judge()
        sys.exit()
    os.close(writer)
    with open(reader) as file:
        said = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([code, said]))
"""


def python(
    project: Path, *arguments: str, stdin: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs Python in a copy, on its code."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment |= {"BENCH_DATA_DIR": str(project / "data"), "PYTHONPATH": str(project), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**environment, **variables},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def slipped(files: Mapping[str, str], name: str, old: str | None, new: str | None) -> dict[str, str | None]:
    """Files with one text replaced in one of them; ``old`` None stands for all of it, ``new`` None for no file."""
    text = files[name]
    assert old is None or text.count(old) == 1, f"{name}: {text.count(old)} times {old!r}"
    return {**files, name: new if old is None else text.replace(old, str(new))}


def said(
    project: Path, files: Sequence[Mapping[str, str | None]], arguments: Sequence[str]
) -> list[tuple[int, str]]:
    """Exit code and output of a command in a copy, once for each version of some of its files."""
    cases = [{"files": dict(version), "arguments": list(arguments)} for version in files]
    done = python(project, "-c", DRIVER, stdin=json.dumps(cases), PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stderr
    return [(int(code), str(text)) for code, text in map(json.loads, done.stdout.splitlines())]
