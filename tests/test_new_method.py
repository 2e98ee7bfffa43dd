"""A method in two files, as docs/methods.md shows it: found everywhere without another edit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, SMALL

pytestmark = pytest.mark.slow

PYTHON_FILE, SETTINGS_FILE = "bench/embeddings/modulo.py", "conf/embedding/modulo.yaml"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the two files of the documentation, and nothing else, added."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("bench", "conf", "hydra_plugins", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for name in (PYTHON_FILE, SETTINGS_FILE):
        assert not (folder / name).exists()
        (code,) = re.findall(rf"`{re.escape(name)}`.*?```\w+\n(.*?)```", text, re.DOTALL)[:1]
        (folder / name).write_text(code, encoding="utf-8")
    return folder


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment |= {"BENCH_DATA_DIR": str(project / "data"), "PYTHONPATH": str(project), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_it(project: Path) -> None:
    done = python(project, "-m", "bench.run", "--help")
    assert done.returncode == 0 and "modulo" in done.stdout
    of_strategy = python(project, "-m", "bench.run", "strategy=modulo", "--help")
    assert (
        "num_rows" in of_strategy.stdout and "rows of the table; null: vocabulary // 10" in of_strategy.stdout
    )


def test_a_budget_sizes_it_and_the_trade_off_shows_it(project: Path) -> None:
    done = python(
        project, "-m", "bench.run", "-m", "strategy=full,modulo", "budget=0.05", "training.epochs=1", *SMALL
    )
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "modulo budget=0.05" in line and "x" in line]
    assert re.search(r"modulo budget=0\.05 .* 20\.\dx", row)
    (page,) = project.glob("outputs/*/*/report/index.html")
    assert "modulo budget=0.05" in page.read_text(encoding="utf-8")
    mixed = python(
        project, "-m", "bench.run", "embedding@embeddings.item=modulo", "embeddings.item.num_rows=ten", *SMALL
    )
    assert mixed.returncode == 2
    assert mixed.stderr.startswith("error: embeddings.item.num_rows=ten: give a whole number, at least 1")


def test_the_contract_test_covers_it(project: Path) -> None:
    done = python(
        project,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "tests/embeddings/test_method_contract.py",
        "-k",
        "modulo",
    )
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 30


def test_it_is_a_layer_of_ones_own_model(project: Path) -> None:
    code = (
        "import numpy as np; from bench.embeddings import ModuloEmbedding; "
        "print(ModuloEmbedding(50, 8, num_rows=5)(np.array([[1, 49]])).shape)"
    )
    assert "(1, 2, 8)" in python(project, "-c", code).stdout
