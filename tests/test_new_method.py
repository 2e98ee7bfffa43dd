"""A method in two files, as docs/adding-a-method.md shows it: found everywhere without another edit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import SMALL
from copied import MODULE, SETTINGS, TEST, copy_project, documented, python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the files of the documentation, and nothing else, added."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    for name in (MODULE, SETTINGS, TEST):
        (folder / name).write_text(documented(name), encoding="utf-8")
    return folder


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
        TEST,
        "-k",
        "modulo or every_method",
    )
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 30


def test_it_is_a_layer_of_ones_own_model(project: Path) -> None:
    code = (
        "import numpy as np; from bench.embeddings import ModuloEmbedding; "
        "print(ModuloEmbedding(50, 8, num_rows=5)(np.array([[1, 49]])).shape)"
    )
    assert "(1, 2, 8)" in python(project, "-c", code).stdout


def test_its_constructor_is_written_for_editors(project: Path) -> None:
    done = python(project, "-m", "bench.embeddings.stubs")
    assert done.returncode == 0, done.stderr
    text = (project / "bench/embeddings/__init__.pyi").read_text(encoding="utf-8")
    assert "def ModuloEmbedding(" in text and "num_rows: Rows of the table, at most one an id." in text
    tested = python(project, "-m", "pytest", "-p", "no:cacheprovider", "tests/embeddings/test_constructors.py",
                    "-k", "modulo or stub")  # fmt: skip
    assert tested.returncode == 0, tested.stdout
