"""The list of mutants is in order, its command works, and six of them are caught."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ROOT

from bench.errors import RequestError
from mutants.__main__ import chosen, main
from mutants.changes import MUTANTS
from mutants.mutant import SIX, Mutant, rotated
from mutants.trial import Outcome, try_all

ROOMS = {"config", "data", "measure", "embeddings", "training", "models", "tasks", "records", "tradeoff", "reporting",
         "sweeps", "serving", "server", "exporting", "compressing", "tracking", "cli"}  # fmt: skip


def test_there_are_sixty_of_different_names_in_all_rooms() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 60
    assert {mutant.room for mutant in MUTANTS} >= ROOMS


def wrong(mutant: Mutant) -> str:
    """Says what is wrong with a mutant, or nothing."""
    file, _, name = mutant.test.partition("::")
    try:
        compile(mutant.changed((ROOT / mutant.file).read_text(encoding="utf-8")), mutant.file, "exec")
        there = f"def {name}(" if name else "def test_"
        return (
            ""
            if there in (ROOT / file).read_text(encoding="utf-8")
            else f"{mutant.name}: {there} is not in {file}"
        )
    except (OSError, SyntaxError, ValueError) as error:
        return f"{mutant.name}: {error}"


def test_each_finds_its_text_once_and_its_test() -> None:
    assert [*filter(None, map(wrong, MUTANTS))] == []


def test_a_wrong_one_is_found() -> None:
    (one, *_) = MUTANTS
    for changed in ({"old": "no such text"}, {"old": "the"}, {"new": one.old}, {"new": "("}, {"file": "bench/gone.py"},
                    {"test": "tests/test_gone.py"}, {"test": f"{one.test}::test_gone"}):  # fmt: skip
        assert wrong(replace(one, **changed)).startswith(f"{one.name}: "), changed


def test_rotations_share_all_mutants() -> None:
    shares = [rotated(MUTANTS, number) for number in range(len(MUTANTS) // SIX)]
    assert sorted(one.name for share in shares for one in share) == sorted(one.name for one in MUTANTS)
    assert {len(share) for share in shares} <= {SIX, SIX + 1}
    assert rotated(MUTANTS, len(shares) + 1) == shares[1]
    assert rotated(MUTANTS[:2], 5) == [*MUTANTS[:2]]


def test_names_choose_mutants() -> None:
    first, second, *_ = MUTANTS
    assert chosen([second.name, first.name, second.name], None) == [second, first]
    assert chosen([], None) == [*MUTANTS] and chosen([], 1) == rotated(MUTANTS, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kilobytes-of-1000"], "kilobytes-of-1000: no such mutant; did you mean kilobytes-of-1024?"),
        (["kilobytes-of-1024", "rotation=1"], "rotation=1: chooses among all mutants"),
        (["rotation=-1"], "rotation=-1: give a whole number, at least 0"),
        (["processes=0"], "processes=0: give a whole number, at least 1"),
    ],
)
def test_wrong_requests(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("status", "code", "counts"),
    [
        ("caught", 0, "2 caught, 0 survived, 0 invalid"),
        ("survived", 1, "1 caught, 1 survived, 0 invalid"),
        ("invalid", 1, "1 caught, 0 survived, 1 invalid"),
    ],
)
def test_one_that_is_not_caught_is_told(
    status: str, code: int, counts: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tried(
        root: Path, folder: Path, mutants: list[Mutant], processes: int, told: Callable[[Outcome], object]
    ):
        found = [Outcome(mutants[0], "caught", 1.25, "", "out"), Outcome(mutants[1], status, 2.0, "", "out")]
        [told(one) for one in found]
        return found

    monkeypatch.setattr("mutants.__main__.try_all", tried)
    first, second, *_ = MUTANTS
    assert main([first.name, second.name]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["caught", first.room, first.name, "1.2", "s", first.test]
    assert lines[1].split()[0] == status and lines[-1].startswith(f"2 mutants: {counts}; ")


# A project of one module and three tests: every outcome that there is.

CODE = "def double(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n"
TESTS = "from bench.small import double, half\n\n\ndef test_double():\n    assert double(3) == 6\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name, text in {"bench/__init__.py": "", "bench/small.py": CODE, "tests/test_small.py": TESTS}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def small(name: str, old: str, new: str, test: str = "tests/test_small.py") -> Mutant:
    return Mutant(name, "bench/small.py", old, new, test)


def digest(root: Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return hashlib.sha256(b"\0".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.mark.slow
def test_each_is_tried_alone_and_the_project_stays(project: Path, tmp_path: Path) -> None:
    before, told = digest(project), list[Outcome]()
    mutants = [
        small("wrong", "2 * x", "3 * x"),
        small("untested", "x / 2", "x / 3"),
        small("broken", "def half(x):", "half = missing\n\n\ndef other(x):"),
        small("nowhere", "x / 2", "x / 4", "tests/test_small.py::test_double"),
    ]
    found = try_all(project, tmp_path, mutants, 2, told.append)
    assert [(one.mutant.name, one.status) for one in found] == [
        ("wrong", "caught"), ("untested", "survived"), ("broken", "invalid"), ("nowhere", "survived"),
    ]  # fmt: skip
    assert found[2].reason == "the changed module cannot be imported"
    assert sorted(one.mutant.name for one in told) == sorted(one.name for one in mutants)
    assert digest(project) == before
    copies = [tmp_path / number / "project" / "bench" / "small.py" for number in ("0", "1")]
    assert [path.read_text() for path in copies] == [CODE, CODE]


@pytest.mark.slow
def test_a_module_that_tests_import_late_must_be_importable_too(project: Path, tmp_path: Path) -> None:
    (project / "tests" / "test_small.py").write_text("def test_late():\n    import bench.small\n")
    (one,) = try_all(
        project, tmp_path, [small("late", "def half(x):", "half = missing\ndef other(x):")], 1, print
    )
    assert (one.status, one.reason) == ("invalid", "the changed module cannot be imported")


@pytest.mark.slow
def test_tests_that_fail_anyway_catch_nothing(project: Path, tmp_path: Path) -> None:
    (project / "tests" / "test_small.py").write_text(TESTS.replace("== 6", "== 7"))
    with pytest.raises(RequestError, match="without any change"):
        try_all(project, tmp_path, [small("wrong", "2 * x", "3 * x")], 1, print)


def test_a_text_that_is_not_there_once_is_refused_before_anything_is_run(
    project: Path, tmp_path: Path
) -> None:
    for old in ("4 * x", "return"):
        with pytest.raises(RequestError, match=r"bench/small.py has [02] times"):
            try_all(project, tmp_path, [small("gone", old, "x")], 1, print)
    assert not (tmp_path / "0").exists()


# The mutants themselves


def rotation() -> int:
    """A number that is another for another commit, or without Git for another day."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(done.stdout, 16) % 1000 if done.returncode == 0 else int(time.time() // 86400)


@pytest.mark.slow
def test_six_of_them_are_caught() -> None:
    command = [sys.executable, "-m", "tests.mutants", f"rotation={rotation()}", "processes=2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"{SIX} mutants: {SIX} caught, " in done.stdout
        or f"{SIX + 1} mutants: {SIX + 1} caught, " in done.stdout
    )
