"""What is wrong in a method's two files is said in one line with the file's name: each slip in a copied project."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
from copied import MODULE, SETTINGS, copy_project, documented, python, said, slipped

PY, YAML = MODULE, SETTINGS
SETTING = "num_rows: ${oc.select:num_rows,null}"
OWNER = f"ModuloSettings in {PY}"

END = "return cls(vocabulary, embedding_dim, settings).within(budget_bytes)\n"

# What is slipped: the file, what it says and what it says instead (None: the whole of it; no text at all: the file is
# missing). Then the line that the command gives.
SLIPS: dict[str, tuple[str, str | None, str | None, str]] = {
    # the settings file
    "a line that the class lacks": (
        YAML, SETTING, SETTING + "\nnum_row: ${oc.select:num_row,3}",
        f"{YAML}: num_row: {OWNER} has no such setting; did you mean num_rows?"),
    "a setting that the file lacks": (
        YAML, SETTING, "",
        f"{YAML}: num_rows is missing; add num_rows: ${{oc.select:num_rows,null}}"),
    "another default": (
        YAML, "num_rows,null", "num_rows,50",
        f"{YAML}: num_rows: its default is 50, and null in {OWNER}; give both the same"),
    "a default of the wrong type": (
        YAML, "num_rows,null", "num_rows,ten",
        f"{YAML}: the default: num_rows=ten: give a whole number, at least 1, or null"),
    "a default out of range": (
        YAML, "num_rows,null", "num_rows,0",
        f"{YAML}: the default: num_rows=0: give a whole number, at least 1, or null"),
    "a value in place of the interpolation": (
        YAML, SETTING, "num_rows: null", f"{YAML}: num_rows: null: give ${{oc.select:num_rows,null}}"),
    "a number in place of the interpolation": (
        YAML, SETTING, "num_rows: 64", f"{YAML}: num_rows: 64: give ${{oc.select:num_rows,64}}"),
    "another root name": (
        YAML, "select:num_rows,", "select:num_hashes,",
        f"{YAML}: num_rows: ${{oc.select:num_hashes,null}}: give ${{oc.select:num_rows,null}}"),
    "a plain interpolation": (
        YAML, SETTING, "num_rows: ${num_rows}",
        f"{YAML}: num_rows: ${{num_rows}}: give ${{oc.select:num_rows,DEFAULT}}"),
    "an interpolation without a default": (
        YAML, SETTING, "num_rows: ${oc.select:num_rows}",
        f"{YAML}: num_rows: ${{oc.select:num_rows}}: give ${{oc.select:num_rows,DEFAULT}}"),
    "an interpolation that is not closed": (
        YAML, SETTING, "num_rows: ${oc.select:num_rows,null",
        f"{YAML}: num_rows: ${{oc.select:num_rows,null: give ${{oc.select:num_rows,DEFAULT}}"),
    "a default that is no value": (
        YAML, "num_rows,null", "num_rows,[1,}", f"{YAML}: num_rows: ${{oc.select:num_rows,[1,}}}}: no valid default ("),
    "no method": (YAML, "method: modulo ", "", f"{YAML}: method: missing; give method: modulo"),
    "another method": (
        YAML, "method: modulo ", "method: hash ", f"{YAML}: method: hash: not the file's name; give method: modulo"),
    "no valid YAML": (YAML, "method: modulo", "method: modulo: 1", f"{YAML}, line 2: no valid YAML ("),
    "a tab": (YAML, "num_rows: $", "\tnum_rows: $", f"{YAML}, line 3: no valid YAML ("),
    "a setting twice": (YAML, SETTING, f"{SETTING}\n{SETTING}", f"{YAML}, line 4: no valid YAML (found duplicate key"),
    "a list": (YAML, None, "- num_rows\n", f"{YAML}: no lines of the form NAME: VALUE; begin with method: modulo"),
    "an empty file": (YAML, None, "", f"{YAML}: method: missing; give method: modulo"),
    "a name that every run has": (
        YAML, SETTING, "seed: ${oc.select:seed,0}",
        f"{YAML}: seed: the name is taken by a setting of every run or of every layer; choose another one"),
    "no settings file": (
        YAML, None, None, f"{PY}: its settings file {YAML} is missing; add it"),
    # the module
    "no module": (
        PY, None, None, f"{YAML}: its module {PY} is missing; write it, or remove the file"),
    "a syntax error": (PY, "def resolve(self, settings: ModuloSettings)", "def resolve(self", f"{PY}, line "),
    "an indentation error": (PY, "    Settings = Mod", "   Settings = Mod", f"{PY}, line "),
    "an import error": (
        PY, "import Array, Arrays", "import Arry, Arrays",
        f"{PY}, line 8: ImportError: cannot import name 'Arry' from 'bench.embeddings.base'"),
    "a missing package": (
        PY, "from typing", "import nosuch\nfrom typing",
        f"{PY}, line 6: ModuleNotFoundError: No module named 'nosuch'"),
    "a name that is missing": (
        PY, "Settings = ModuloSettings", "Settings = ModulSettings",
        "NameError: name 'ModulSettings' is not defined"),
    "no method in the module": (
        PY, "class Modulo(Method[ModuloSettings])", "class Modulo",
        f"{PY}: no subclass of Method; write class Modulo(Method[...])"),
    "two methods in the module": (
        PY, "class Modulo(Method[ModuloSettings])",
        "class First(Method[ModuloSettings]):\n    pass\n\n\nclass Second(Method[ModuloSettings])",
        f"{PY}: several methods (First, Second); name one of them Modulo"),
    "no settings in the class": (
        PY, "    Settings = ModuloSettings\n", "",
        f"{PY}: Modulo has no Settings; write a dataclass ModuloSettings, and Settings = ModuloSettings in the class"),
    "no dataclass": (
        PY, "@dataclass\n", "",
        f"{PY}: ModuloSettings is no dataclass; write @dataclass above it"),
    "a setting without a default": (
        PY, "num_rows: int | None = None", "num_rows: int | None",
        f"{PY}: ModuloSettings.num_rows: no default; give one"),
    "a default that is not of its type": (
        PY, "num_rows: int | None = None", "num_rows: int = None",
        f"{PY}: ModuloSettings: the default num_rows=null: give a whole number, at least 1"),
    "a type that no setting has": (
        PY, "num_rows: int | None = None", "num_rows: complex = 1",
        f"{PY}: ModuloSettings.num_rows: a setting cannot be a <class 'complex'>; use int, float,"),
    "a type that is missing": (
        PY, "num_rows: int | None = None", "num_rows: Rows = None", f"{PY}: ModuloSettings: a type cannot be read ("),
    "a list as a default": (
        PY, "num_rows: int | None = None", "num_rows: list[int] = []", f"{PY}, line 11: ValueError: mutable default"),
    "no lookups": (PY, "def lookups", "def lookup", f"{PY}: Modulo lacks lookups; every method has them"),
    "no fit": (PY, "def fit", "def fits", f"{PY}: Modulo lacks fit; every method has them"),
    "fit without classmethod": (
        PY, "    @classmethod\n", "",
        f"{PY}: Modulo.fit: takes (cls, vocabulary, embedding_dim, settings, budget_bytes), and is called with "
        "(vocabulary, embedding_dim, settings, budget_bytes)"),
    "an argument forgotten": (
        PY, "(self, ids: Any, maps: Arrays, xp: Any)", "(self, ids: Any, maps: Arrays)",
        f"{PY}: Modulo.lookups: takes (self, ids, maps), and is called with (self, ids, maps, xp)"),
    "tables as a property": (
        PY, "    def tables(self)", "    @property\n    def tables(self)",
        f"{PY}: Modulo.tables: not a method; write def tables(self)"),
    # what the module does
    "lookups of another table": (
        PY, 'return {"table": int32', 'return {"tabel": int32',
        f"{PY}: lookups() gives no rows of the table table; it gives tabel; did you mean tabel?"),
    "lookups that are no dict": (
        PY, 'return {"table": int32(ids, xp) % self.num_rows}', "return int32(ids, xp) % self.num_rows",
        f"{PY}: lookups() gives ndarray; give a dict by table name"),
    "rows beyond the table": (
        PY, "int32(ids, xp) % self.num_rows}", "int32(ids, xp)}",
        f"{PY}: lookups(): table: row 39 of a table of 4 rows"),
    "rows that are no int32": (
        PY, "int32(ids, xp) % self.num_rows}", "ids % self.num_rows}",
        f"{PY}: lookups(): table: row numbers of type int64; give int32, by bench.embeddings.base.int32"),
    "rows of another shape": (
        PY, "int32(ids, xp) % self.num_rows}", "int32(ids, xp)[0] % self.num_rows}",
        f"{PY}: lookups(): table: the shape (3,) for ids of shape (2, 3); give the ids' shape,"),
    "a table that combine does not find": (PY, 'return rows["table"]', 'return rows["tabel"]', "KeyError: 'tabel'"),
    "another width": (
        PY, 'return rows["table"]', 'return rows["table"][..., :-1]',
        f"{PY}: combine() gives the shape (2, 3, 7); its last axis must be embedding_dim=8"),
    "an axis lost": (
        PY, 'return rows["table"]', 'return xp.mean(rows["table"], axis=0)',
        f"{PY}: combine() gives the shape (3, 8) for ids of shape (2, 3) and embedding_dim=8; give (2, 3, 8)"),
    "no vectors": (
        PY, 'return rows["table"]', 'rows["table"]',
        f"{PY}: combine() gives NoneType; its last axis must be embedding_dim=8"),
    "a table's name twice": (
        PY, 'return (Array("table", (self.num_rows, self.embedding_dim)),)',
        'return (Array("table", (9, 9)), Array("table", (9, 9)))',
        f"{PY}: tables(): two arrays are called table; give each its own name"),
    "a comma forgotten": (
        PY, "self.embedding_dim)),)", "self.embedding_dim)))",
        f"{PY}: tables() gives Array; give a tuple of Array, of one as (Array(...),)"),
    "a table of one axis": (
        PY, '(Array("table", (self.num_rows, self.embedding_dim)),)', '(Array("table", (self.num_rows,)),)',
        f"{PY}: tables(): table has the shape (4,); give (rows, width)"),
    "resolve without return": (
        PY, "return replace(settings, num_rows=max", "replace(settings, num_rows=max",
        f"{PY}: resolve() gives None; give a ModuloSettings"),
    "fit without return": (
        PY, "return cls(vocabulary, embedding_dim, settings).within", "cls(vocabulary, embedding_dim, settings).within",
        f"{PY}: fit() gives None; give a ModuloSettings"),
    "an attribute that is missing": (
        PY, "size = self.vocabulary.size", "size = self.vocabulary.length",
        "AttributeError: 'Vocabulary' object has no attribute 'length'"),
    "a kind that is none": (
        PY, "self.embedding_dim)),)", 'self.embedding_dim), kind="table"),)',
        f"{PY}: tables(): table: kind='table'; give one of bench.embeddings.base.Kind"),
    "a table without rows": (
        PY, '(self.num_rows, self.embedding_dim)),)', "(0, 8)),)",
        f"{PY}: tables(): table has the shape (0, 8); give whole numbers above 0"),
    "a type of arrays that is none": (
        PY, "self.embedding_dim)),)", 'self.embedding_dim), dtype="float23"),)',
        "TypeError: data type 'float23' not understood"),
    "maps that are not made": (
        PY, END, END + "\n    def maps(self):\n        return (Array('rank', (3,), 'int32'),)\n\n"
        "    def build_maps(self):\n        return {}\n",
        f"{PY}: build_maps() lacks rank; it gives nothing"),
    "maps of another type": (
        PY, END, END + "\n    def maps(self):\n        return (Array('rank', (3,), 'int32'),)\n\n"
        "    def build_maps(self):\n        import numpy as np\n        return {'rank': np.zeros(3)}\n",
        f"{PY}: build_maps() gives rank as float64 of shape (3,); it is described as int32 of shape (3,)"),
    "maps that are not described": (
        PY, END, END + "\n    def build_maps(self):\n        return {'rank': 1}\n",
        f"{PY}: build_maps() gives rank; its arrays are nothing"),
    "a penalty for each id": (
        PY, END, END + "\n    def penalty(self, rows, indices, weights, xp):\n"
        '        return xp.sum(rows["table"], axis=-1)\n',
        f"{PY}: penalty() gives the shape (2, 3); give a scalar"),
    "is_due without change": (
        PY, END, END + "\n    def is_due(self, progress):\n        return True\n",
        f"{PY}: Modulo has is_due and lacks change; write both"),
    "rounded without after_update": (
        PY, END, END + '\n    def rounded(self):\n        return ("table",)\n',
        f"{PY}: Modulo has rounded and lacks after_update; write both"),
    "served without serve": (
        PY, END, END + "\n    def served(self):\n        return self\n",
        f"{PY}: Modulo has served and lacks serve; write both"),
    "rounded rows of another table": (
        PY, END, END + '\n    def rounded(self):\n        return ("tabel",)\n'
        "\n    def after_update(self, table, rows, noise, xp):\n        return rows\n",
        f"{PY}: rounded() names tabel; the trainable tables are table"),
    "rounded rows of another shape": (
        PY, END, END + '\n    def rounded(self):\n        return ("table",)\n'
        "\n    def after_update(self, table, rows, noise, xp):\n        return rows[:, 1:]\n",
        f"{PY}: after_update() gives the shape (3, 7) for rows of shape (3, 8)"),
    "a parent's name": (
        PY, END, END + '\n    def parent(self):\n        return "full"\n',
        f"{PY}: parent() gives 'full'; give a method"),
}  # fmt: skip


@functools.cache
def right() -> dict[str, str]:
    """The two files as they are documented."""
    return {file: documented(file) for file in (PY, YAML)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


def all_said(project: Path, *arguments: str) -> dict[str, tuple[int, str]]:
    """Exit code and output by slip."""
    files = [slipped(right(), name, old, new) for name, old, new, _ in SLIPS.values()]
    return dict(zip(SLIPS, said(project, files, arguments), strict=True))


@pytest.fixture(scope="module")
def judged(project: Path) -> dict[str, tuple[int, str]]:
    return all_said(project)


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_line_with_the_file(slip: str, judged: dict[str, tuple[int, str]]) -> None:
    text = judged[slip][1]
    assert len(text.splitlines()) == 1 and SLIPS[slip][3] in text, text
    assert text.startswith((f"error: {PY}", f"error: {YAML}")), text


@pytest.mark.slow
def test_a_command_says_the_same(project: Path, judged: dict[str, tuple[int, str]]) -> None:
    for slip, (code, text) in all_said(project, "strategy=modulo", "--cfg", "job").items():
        assert (slip, code, text) == (slip, 2, judged[slip][1])


@pytest.mark.slow
def test_without_a_slip_it_is_taken(project: Path) -> None:
    for name, text in right().items():
        (project / name).write_text(text)
    done = python(project, "-m", "bench.run", "strategy=modulo", "num_rows=64", "--cfg", "job")
    assert done.returncode == 0 and "num_rows: 64" in done.stdout, done.stderr


@pytest.fixture
def broken(project: Path) -> Iterator[Path]:
    """A project in which a method that nobody chooses is broken."""
    (project / YAML).write_text("method: modulo: 1\n\tnum_rows")
    (project / PY).write_text("def def")
    yield project
    (project / YAML).unlink()
    (project / PY).unlink()


@pytest.mark.slow
def test_only_the_chosen_method_is_judged(broken: Path) -> None:
    for arguments in (["strategy=qr", "--cfg", "job"], ["--help"]):
        done = python(broken, "-m", "bench.run", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
    done = python(broken, "-m", "bench.run", "embedding@embeddings.item=modulo")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(
        f"error: {YAML}, line 1: no valid YAML (mapping values are not allowed here"
    )
    done = python(broken, "-m", "bench.run", "strategy=qr", "num_hashes=3")
    assert "choose strategy=bloom or dhe or hash_embedding" in done.stderr
    done = python(broken, "-m", "bench.run", "-m", "strategy=qr,modulo")
    assert (done.returncode, done.stderr.startswith(f"error: {YAML}, line 1: ")) == (2, True)
