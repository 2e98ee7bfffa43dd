"""A slip in the files of a model or a data set is one line that names the file: each slip in a copied project."""

from __future__ import annotations

import re

import pytest
from commands import ROOT
from copied import copy_project, said, slipped

PY, YAML, DATA = "bench/models/sums.py", "conf/model/sums.yaml", "conf/dataset/books.yaml"
OWNER = f"Settings in {PY}"

# What is slipped: the file, what it says and what it says instead (None: the whole of it; no text at all: the file is
# missing). Then the line that the command gives.
SLIPS: dict[str, tuple[str, str | None, str | None, str]] = {
    # a model's settings file
    "another default": (
        YAML, "width: 32 ", "width: 64 ", f"{YAML}: width: its default is 64, and 32 in {OWNER}; give both the same"),
    "a setting that the file lacks": (YAML, "width: 32 ", "#", f"{YAML}: width is missing; add width: 32"),
    "a line that the class lacks": (
        YAML, "width: 32 ", "wdith: 32 ", f"{YAML}: wdith: {OWNER} has no such setting; did you mean width?"),
    "another name": (YAML, "name: sums ", "name: summs ", f"{YAML}: name: summs: not the file's name; give name: sums"),
    "no name": (YAML, "name: sums ", "#", f"{YAML}: name is missing; give name: sums"),
    "a list": (YAML, None, "- width\n", f"{YAML}: holds no settings; write a line NAME: VALUE for each"),
    "an empty file": (YAML, None, "", f"{YAML}: holds no settings; write a line NAME: VALUE for each"),
    "no valid YAML": (YAML, "name: sums", "name: sums: 1", "cannot be read as YAML: mapping values"),
    # its module
    "no build": (PY, "def build(", "def built(", f"{PY}: the function build is missing; write def build(fields,"),
    "no settings class": (PY, "class Settings", "class Setings", f"{PY}: the dataclass Settings is missing; write one"),
    "no dataclass": (PY, "@dataclass\n", "", f"{PY}: Settings is no dataclass; write @dataclass above it"),
    "a bracket not closed": (PY, "def build(", "def build((", f"{PY}, line 26: '(' was never closed"),
    "a wrong import": (PY, "import inputs, scaled", "import input, scaled", f"{PY}, line 10: ImportError: cannot"),
    "no module": (PY, None, None, f"{YAML}: its module {PY} is missing; write it, or remove the file"),
    # a data set's file
    "a slot misspelt": (
        DATA, "embeddings.city", "embeddings.ctiy",
        f"{DATA}: the slot embedding@embeddings.ctiy is of no field; did you mean embedding@embeddings.city?"),
    "no split": (DATA, "  - split: default", "#", f"{DATA}: split is missing; add `- split: default` to its defaults"),
    "a split misspelt": (DATA, "split: default", "split: defualt", "called defualt; did you mean default"),
    "a kind misspelt": (DATA, "kind: table", "kind: tabel", f"{DATA}: dataset.kind=tabel: choose one of synthetic,"),
    "no defaults": (DATA, None, "kind: table\npath: books.csv\n", f"{DATA}: has no defaults, which bring the settings"),
    "no kind": (DATA, "kind: table ", "#", f"{DATA}: kind is missing; add kind: table, or that of another file"),
    "no path": (DATA, "path: books.csv", "#", f"{DATA}: path is missing; add path: VALUE"),
    "a wrong choice": (DATA, "bad_rows: refuse", "bad_rows: ignore", f"{DATA}: the default: bad_rows=ignore: give"),
    "a name misspelt": (
        DATA, "columns: ", "colums: ", f"{DATA}: colums: TableSettings in bench/data/table_settings.py has no such"),
    "a data set that is a list": (DATA, None, "- path\n", f"{DATA}: holds no settings; write a line NAME: VALUE"),
}  # fmt: skip


def right() -> dict[str, str]:
    """The three files as CONTRIBUTING.md shows them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    data, settings = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (module,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def build(" in code)
    return {PY: module, YAML: settings, DATA: data}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and output by slip."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    files = [right(), *(slipped(right(), name, old, new) for name, old, new, _ in SLIPS.values())]
    found = said(project, files, ["dataset=books", "model=sums", "--cfg", "job"])
    return dict(zip(["none", *SLIPS], found, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_with_the_file(slip: str, judged: dict[str, tuple[int, str]]) -> None:
    code, text = judged[slip]
    assert (
        (code, len(text.splitlines())) == (2, 1) and text.startswith("error: ") and SLIPS[slip][3] in text
    ), text


@pytest.mark.slow
def test_without_a_slip_they_are_taken(judged: dict[str, tuple[int, str]]) -> None:
    code, text = judged["none"]
    assert code == 0 and "name: sums" in text and "name: books" in text, text
