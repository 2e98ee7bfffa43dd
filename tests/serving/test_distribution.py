"""``embedding-bench-serving``: the part that serves, as a package of its own that needs NumPy alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import exports_made as made
import numpy as np
import pytest
from commands import ROOT, SET_BY_USERS

from bench import __version__
from bench.embeddings import find, names
from bench.embeddings.base import Vocabulary
from bench.serving import heads, load

SIZE, DIM = 60, 8
ASKED = [5, 64, 30, 5]

ANSWER = """
import json, sys
from pathlib import Path
from bench.serving import load, pyfunc, compare

found = {}
for folder in sorted(Path(sys.argv[1]).iterdir()):
    tables = load(folder, verify=True)
    found[folder.name] = {"user": tables.lookup("user", ASKED).tolist()}
    if tables.described.head is not None:
        found[folder.name]["predictions"] = tables.predict({"user": ASKED, "item": ASKED}).tolist()
beside = sorted({name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"__main__"})
print(json.dumps([found, [name for name in beside if not name.startswith("_")]]))
""".replace("ASKED", str(ASKED))


def ran(*command: str, cwd: Path, code: int = 0) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in (*SET_BY_USERS, "PYTHONPATH")}
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serving-wheel")
    ran(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder),
        cwd=ROOT / "packaging" / "serving",
    )  # fmt: skip
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of each method, and of each model over full tables."""
    folder = tmp_path_factory.mktemp("exports")
    ids = made.integers(range(5, 5 + SIZE))
    for name in names():
        counts = np.arange(SIZE, 0, -1)
        method = find(name)(Vocabulary("user", SIZE, counts), DIM)
        made.write(folder / f"method {name}", {"user": method}, {"user": ids})
    full = find("full")
    for name in heads.HEADS:
        dim = 1 if name == "lr" else DIM
        methods = {field: full(Vocabulary(field, SIZE), dim) for field in ("user", "item")}
        made.write(folder / f"model {name}", methods, {"user": ids, "item": ids}, model=(name, {}))
    return folder


def expected(exports: Path) -> Any:
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted(exports.iterdir()):
        tables = load(folder)
        found[folder.name] = {"user": tables.lookup("user", ASKED).tolist()}
        if tables.described.head is not None:
            found[folder.name]["predictions"] = tables.predict({"user": ASKED, "item": ASKED}).tolist()
    return found


def test_it_holds_the_code_and_the_settings_as_they_are(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        inside = {name: opened.read(name) for name in opened.namelist()}
    about = next(data.decode() for name, data in inside.items() if name.endswith("METADATA"))
    assert f"Version: {__version__}\n" in about
    assert [line for line in about.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: numpy>=2.0"
    ]
    for name, data in inside.items():
        if ".dist-info/" in name or name.endswith("LICENSE"):
            continue
        source = ROOT / (name.removeprefix("bench/") if name.startswith("bench/conf/") else name)
        assert source.read_bytes() == data, name
    serving = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bench" / "serving").glob("*.py")}
    assert serving <= inside.keys()


def test_every_export_is_served_where_only_numpy_is(wheel: Path, exports: Path, tmp_path: Path) -> None:
    ran(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env"), cwd=tmp_path)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(site)
    package = Path(np.__file__).parent
    for there in (package, package.parent / "numpy.libs"):
        if there.exists():
            (site / there.name).symlink_to(there)
    python = str(tmp_path / "env" / "bin" / "python")
    found, beside = json.loads(ran(python, "-c", ANSWER, str(exports), cwd=tmp_path))
    assert found == expected(exports) and len(found) == len(names()) + len(heads.HEADS)
    assert beside == ["bench", "numpy"]


@pytest.mark.slow
@pytest.mark.network
def test_pip_installs_it_into_an_empty_environment(wheel: Path, exports: Path, tmp_path: Path) -> None:
    ran(sys.executable, "-m", "venv", str(tmp_path / "env"), cwd=tmp_path)
    python = str(tmp_path / "env" / "bin" / "python")
    ran(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel), cwd=tmp_path)
    listed = json.loads(
        ran(python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check", cwd=tmp_path)
    )
    own = {one["name"] for one in listed} - {"pip", "setuptools", "wheel"}
    assert own == {"embedding-bench-serving", "numpy"}
    found, _ = json.loads(ran(python, "-c", ANSWER, str(exports), cwd=tmp_path))
    assert found.keys() == expected(exports).keys()
