"""What is built from the project: the wheel, its commands where it is installed, the sdist, the editable install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import ROOT, SET_BY_USERS, SMALL, output_folders, result_in

from bench.config.files import CONF, settings_folder

BUILD = (sys.executable, "-m", "hatchling", "build")
EDITABLE = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"

ALONE = """
import os, sys

# An environment of developers has a checkout on the path, too.
for place in sys.path[:]:
    if place != {site!r} and any(os.path.isdir(os.path.join(place, name)) for name in ("bench", "hydra_plugins")):
        sys.path.remove(place)
"""
"""``sitecustomize.py`` of the commands: it leaves no ``bench`` on the path but the installed one."""

WHERE = """
import importlib.util, json
import bench, hydra_plugins
from bench.config import CONF
from bench.records.fingerprint import code_digest

print(json.dumps([bench.__file__, list(hydra_plugins.__path__), str(CONF), code_digest()]))
"""


def ran(*command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in (*SET_BY_USERS, "PYTHONPATH")}
    environment = {**kept, "COLUMNS": "120", **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def built(*command: str, cwd: Path, folder: Path) -> Path:
    """The one file that a build writes into ``folder``; it needs no index and no environment of its own."""
    folder.mkdir()
    done = ran(*command, str(folder), cwd=cwd, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stderr
    (made,) = folder.iterdir()
    return made


def content(wheel: Path) -> dict[str, bytes]:
    """The files in a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def below(folder: Path) -> dict[str, bytes]:
    """The files in a folder that belong to the project."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(*BUILD, "-t", "wheel", "-d", cwd=ROOT, folder=tmp_path_factory.mktemp("wheel") / "dist")


def test_wheel_puts_two_packages_beside_others(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in content(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bench", "hydra_plugins"}


def test_wheel_has_every_file_once(wheel: Path) -> None:
    inside = {name: data for name, data in content(wheel).items() if ".dist-info/" not in name}
    settings = {f"bench/conf/{name}": data for name, data in below(ROOT / "conf").items()}
    assert len(settings) > 70
    plugins = {f"hydra_plugins/{name}": data for name, data in below(ROOT / "hydra_plugins").items()}
    code = {f"bench/{name}": data for name, data in below(ROOT / "bench").items()}
    assert inside == {**code, **settings, **plugins}


def test_sdist_builds_an_equal_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = built(*BUILD, "-t", "sdist", "-d", cwd=ROOT, folder=tmp_path / "sdist")
    with tarfile.open(sdist) as opened:
        opened.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert below(source / "conf") == below(ROOT / "conf") and not (source / "bench" / "conf").exists()
    again = built(*BUILD, "-t", "wheel", "-d", cwd=source, folder=tmp_path / "again")
    assert (again.name, content(again)) == (wheel.name, content(wheel))


def test_editable_install_reads_the_checkout(tmp_path: Path) -> None:
    files = content(built(sys.executable, "-c", EDITABLE, cwd=ROOT, folder=tmp_path / "editable"))
    paths = [name for name in files if ".dist-info/" not in name]  # copies of settings would grow old
    assert len(paths) == 1 and paths[0].endswith(".pth"), paths
    assert set(files[paths[0]].decode().splitlines()) == {str(ROOT)}
    assert CONF == ROOT / "conf"


def test_place_of_the_code_decides_whose_settings_are_read(tmp_path: Path) -> None:
    package = tmp_path / "bench"
    (tmp_path / "conf").mkdir()
    assert settings_folder(package) == tmp_path / "conf"
    (package / "conf").mkdir(parents=True)
    assert settings_folder(package) == package / "conf"


# Commands of the installed wheel


@dataclass(frozen=True)
class Installed:
    """The wheel's files in a folder, beside a package of others' that is called ``conf``.

    Attributes:
        site: the folder.
        alone: the folder of ``sitecustomize.py``.
        data: the folder of prepared data.
    """

    site: Path
    alone: Path
    data: Path

    def python(self, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs Python with the wheel's files, and no other copy of the project's, on the path."""
        path = os.pathsep.join(map(str, (self.alone, self.site)))
        own = {"PYTHONPATH": path, "BENCH_DATA_DIR": str(self.data), **variables}
        return ran(sys.executable, *arguments, cwd=cwd, **own)

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs ``python -m bench.run ARGUMENTS``."""
        return self.python("-m", "bench.run", *arguments, cwd=cwd)


def mislead(folder: Path) -> None:
    """Puts a folder ``conf/`` there that no command may read."""
    (folder / "conf").mkdir()
    (folder / "conf" / "__init__.py").write_text("raise ImportError('of others')\n")
    for name in ("config.yaml", "report.yaml"):
        (folder / "conf" / name).write_text("of: strangers\n")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    site, alone = folder / "site packages", folder / "alone"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index")
    done = ran(*pip, "--no-deps", "--target", str(site), str(wheel), cwd=folder)
    assert done.returncode == 0, done.stderr
    mislead(site)
    alone.mkdir()
    (alone / "sitecustomize.py").write_text(ALONE.format(site=str(site)))
    return Installed(site, alone, data_dir)


Place = Callable[[str], Path]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Makes a folder to start commands in: empty, with a ``conf/`` of the user's own, or a checkout's."""

    def make(kind: str) -> Path:
        folder = tmp_path / kind
        folder.mkdir()
        if kind == "own":
            mislead(folder)
        return folder

    return make


def test_only_the_installed_files_are_found(installed: Installed, place: Place) -> None:
    done = installed.python("-c", WHERE, cwd=place("empty"))
    assert done.returncode == 0, done.stderr
    bench, plugins, conf, digest = json.loads(done.stdout)
    site = installed.site
    assert bench == str(site / "bench" / "__init__.py") and conf == str(site / "bench" / "conf")
    assert plugins == [str(site / "hydra_plugins")]
    here = ran(sys.executable, "-c", WHERE, cwd=ROOT, PYTHONPATH=str(ROOT))
    assert here.returncode == 0, here.stderr
    assert json.loads(here.stdout)[2:] == [
        str(ROOT / "conf"),
        digest,
    ]  # a checkout's runs have equal fingerprints


@pytest.mark.slow
def test_help_and_settings_where_it_is_installed(installed: Installed, place: Place) -> None:
    folder = place("own")
    before = below(folder)
    for arguments in (["--help"], ["--cfg", "job", "experiment=recipe_memory_efficient"]):
        done = installed.run(*arguments, cwd=folder)
        here = ran(sys.executable, "-m", "bench.run", *arguments, cwd=folder, PYTHONPATH=str(ROOT))
        assert (done.returncode, done.stdout, done.stderr) == (0, here.stdout, here.stderr), done.stderr
        assert "strangers" not in done.stdout
    done = installed.python("-m", "bench.report", "--help", cwd=folder)
    assert done.returncode == 0 and "strangers" not in done.stdout, done.stderr
    assert below(folder) == before


def test_installed_command_does_not_read_a_checkout_around_it(installed: Installed) -> None:
    done = installed.python("-P", "-m", "bench.run", "--cfg", "job", "-p", "seed", cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    done = installed.python("-P", "-c", WHERE, cwd=ROOT)
    assert json.loads(done.stdout)[2] == str(installed.site / "bench" / "conf"), done.stderr


def test_faults_in_settings_are_named_alike(installed: Installed, place: Place) -> None:
    broken = installed.site / "bench" / "conf" / "model" / "broken.yaml"
    broken.write_text("# a model without a name\nwidth: 3\n")
    try:
        done = installed.run("model=broken", cwd=place("empty"))
    finally:
        broken.unlink()
    assert done.returncode == 2
    assert done.stderr == "error: conf/model/broken.yaml: name is missing; give name: broken\n"


@pytest.mark.slow
def test_works_where_it_is_installed(installed: Installed, place: Place) -> None:
    folder = place("own")
    wanted = (*SMALL, "training.epochs=1", "strategy=qr", "num_buckets=20")
    done = installed.run(*wanted, cwd=folder)
    assert done.returncode == 0, done.stderr
    (one,) = output_folders(folder)
    assert result_in(one)["status"] == "finished"
    # the checkout takes the installed command's run for its own
    here = ran(
        sys.executable, "-m", "bench.run", *wanted, cwd=folder,
        PYTHONPATH=str(ROOT), BENCH_DATA_DIR=str(installed.data),
    )  # fmt: skip
    assert here.returncode == 0, here.stderr
    (two,) = output_folders(folder) - {one}
    assert result_in(two)["fingerprint"] == result_in(one)["fingerprint"]
    assert len(list((folder / "outputs" / "results").glob("*/result.json"))) == 1


@pytest.mark.slow
def test_sweep_where_it_is_installed(installed: Installed, place: Place) -> None:
    folder = place("empty")
    swept = ("strategy=qr", "num_buckets=20,30", "training.epochs=1", "hydra/launcher=workers")
    done = installed.run("-m", *SMALL, *swept, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = [result_in(path) for path in output_folders(folder)]
    assert [one["status"] for one in found] == ["finished", "finished"]
    assert len({one["fingerprint"] for one in found}) == 2
