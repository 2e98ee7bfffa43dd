"""What editors, type checkers and ``help`` say of the layers' constructors, and whether it is true."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

import bench.embeddings
from bench.embeddings import base, find, names
from bench.embeddings.constructors import constructor_name, docstring, setting_docstrings, signature
from bench.embeddings.layer import CompressedEmbedding
from bench.embeddings.stubs import FILE, stub
from bench.errors import RequestError

every_method = pytest.mark.parametrize("name", names())


def run_examples(text: str, name: str) -> int:
    """Runs the examples of a docstring; returns how many there are."""
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)
    return len(test.examples)


@pytest.mark.slow
@every_method
def test_the_docstring_has_a_running_example_and_a_reference(name: str) -> None:
    text = getattr(bench.embeddings, constructor_name(name)).__doc__
    assert run_examples(text, name) >= 3
    assert constructor_name(name) in text.split("Example:")[1]
    assert len(re.findall(r"Reference:\n    \S", text)) == 1


@pytest.mark.parametrize("documented", [CompressedEmbedding, base.Method])
def test_other_examples_run(documented: type) -> None:
    assert run_examples(inspect.cleandoc(documented.__doc__ or ""), documented.__name__) >= 3


@every_method
def test_every_setting_is_described(name: str) -> None:
    settings = find(name).Settings
    described = setting_docstrings(settings)
    missing = [key for key in inspect.signature(settings).parameters if not described.get(key)]
    assert not missing, f"{settings.__name__}: write a docstring below {', '.join(missing)}"
    assert "Not described" not in docstring(name)


@every_method
def test_the_constructor_takes_the_method_s_settings(name: str) -> None:
    constructor = getattr(bench.embeddings, constructor_name(name))
    taken = inspect.signature(constructor).parameters
    assert list(taken)[:7] == ["vocabulary_size", "embedding_dim", "counts", "field", "seed", "name", "dtype"]
    assert list(taken)[7:] == list(inspect.signature(find(name).Settings).parameters)
    assert constructor.__name__ == constructor_name(name) and constructor_name(name) in dir(bench.embeddings)


def test_types_are_those_of_the_settings() -> None:
    taken = signature("md").parameters
    assert (taken["block_splits"].default, taken["alpha"].annotation) == ([0.108, 0.4587], float | None)
    with pytest.raises(RequestError, match=r"num_rows=4: too large for ids \(at most 3\)"):
        bench.embeddings.HashEmbedding(3, 8, num_rows=4)


def test_the_stub_is_what_the_methods_say() -> None:
    assert FILE.read_text(encoding="utf-8") == stub(), "run python -m bench.embeddings.stubs"


USER_FILE = """\
import numpy as np

from bench.embeddings import CompressedEmbedding, HashEmbedding, MDEmbedding, QREmbedding, names

layer: CompressedEmbedding = QREmbedding(6040, 64, num_buckets=120, combine="sum", seed=0)
other = MDEmbedding(3706, counts=np.ones(3706), block_splits=(400, 1700), block_dims=[64, 32, 16])
listed: list[str] = names()
size: int = HashEmbedding(vocabulary_size=10, num_rows=5).method.nbytes
"""

WRONG = {
    'QREmbedding(6040, 64, combine="mean")': 'Argument "combine" to "QREmbedding" has incompatible type',
    "QREmbedding(6040, 64, num_bucket=120)": 'Unexpected keyword argument "num_bucket" for "QREmbedding"',
    'HashEmbedding(10, num_rows="5")': 'Argument "num_rows" to "HashEmbedding" has incompatible type "str"',
    "HashEmbedding(10).method.nbytes(1)": '"int" not callable',
    "HashEmbedding()": 'Missing positional argument "vocabulary_size"',
    "from bench.embeddings import NosuchEmbedding": '"bench.embeddings" has no attribute "NosuchEmbedding"',
}


@pytest.mark.slow
def test_a_type_checker_sees_the_constructors(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(USER_FILE)
    (tmp_path / "wrong.py").write_text("\n".join([USER_FILE.splitlines()[2], *WRONG]))
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), "right.py", "wrong.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line.split(":")[0] for line in errors] == ["wrong.py"] * len(WRONG), done.stdout + done.stderr
    for line, (number, words) in zip(errors, enumerate(WRONG.values(), start=2), strict=True):
        assert line.startswith(f"wrong.py:{number}: error: ") and words in line
