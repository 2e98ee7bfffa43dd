"""Which code decides a result: tried in copies of the package, in which one thing is changed."""

from __future__ import annotations

import ast
import os
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from marks import slow_but
from sources import BENCH, imports, modules

from bench.records.fingerprint import DECIDES, DECIDES_NOTHING, code_digest, decides, module_name
from bench.records.syntax import what_it_does

DECIDING = sorted(name for name in modules() if decides(name))
OTHERS = sorted(name for name in modules() if not decides(name))
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "bench"
    shutil.copytree(BENCH, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def digest(package: Path) -> str:
    code_digest.cache_clear()
    return code_digest(package)


def path_in(package: Path, module: str) -> Path:
    return package / modules()[module].relative_to(BENCH)


# The lists


def names_above(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def test_every_module_is_in_one_list() -> None:
    neither = [name for name in modules() if not {*DECIDES, *DECIDES_NOTHING} & {*names_above(name)}]
    assert not neither, "say in bench/records/fingerprint.py whether these decide a result"
    assert not {*DECIDES} & {*DECIDES_NOTHING}
    assert len({*DECIDES, *DECIDES_NOTHING}) == len([*DECIDES, *DECIDES_NOTHING])


def test_the_lists_name_nothing_that_is_gone() -> None:
    assert {*DECIDES, *DECIDES_NOTHING} <= modules().keys()


def test_the_longer_name_counts() -> None:
    assert decides("training") and decides("training.loop") and not decides("training.progress")
    assert decides("measure.metrics") and not decides("measure.timing")
    assert not decides("tracking.run") and not decides("run") and decides("backend")


def test_a_module_in_neither_list_decides() -> None:
    assert decides("new") and decides("new.part") and decides("runs")


def test_modules_are_named_alike() -> None:
    assert [module_name(path.relative_to(BENCH)) for path in modules().values()] == [*modules()]


@pytest.mark.parametrize("module", [name for name in DECIDING if name != "experiment"])
def test_what_decides_gets_its_numbers_from_what_decides(module: str) -> None:
    # else a change that decides a result would not count
    known = (
        "errors",
        "config",
        "measure",
        "compiled",
    )  # end a run; are in the settings; give times; keep programs
    for line, name in imports(modules()[module]):
        if name.startswith("bench."):
            found = next(above for above in names_above(name.removeprefix("bench.")) if above in modules())
            assert decides(found) or found.split(".")[0] in known, (line, name)


# What does not count


def messages(tree: ast.Module) -> Iterator[ast.expr]:
    """The texts that are given to an exception that is raised, to a logger or to a warning."""
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and (
            isinstance(node, ast.Raise) or re.match(r"log\.\w+$|warnings\.warn$", ast.unparse(call.func))
        ):
            yield from (
                text
                for text in call.args
                if isinstance(text, ast.JoinedStr)
                or (isinstance(text, ast.Constant) and isinstance(text.value, str))
            )


def said_otherwise(source: str) -> tuple[str, int]:
    """The source with other messages, docstrings and comments, and how many messages it has."""
    rows = source.encode().splitlines(keepends=True)
    found = sorted(messages(ast.parse(source)), key=lambda node: (node.lineno, node.col_offset), reverse=True)
    for node in found:
        assert node.end_lineno is not None and node.end_col_offset is not None
        before, after = (
            rows[node.lineno - 1][: node.col_offset],
            rows[node.end_lineno - 1][node.end_col_offset :],
        )
        rows[node.lineno - 1 : node.end_lineno] = [before + b'f"other, {0}" " words"' + after]
    text = b"".join(rows).decode()
    text = re.sub(r'^( *)"""(?=\w)', r'\1"""Says: ', text, flags=re.MULTILINE)
    return "# A new first line.\n\n" + re.sub(r"(?<=\S)\n\n\n", "  # here\n\n\n\n# there\n\n", text), len(
        found
    )


def test_what_is_said_does_not_count(copied: Path) -> None:
    before, count = digest(copied), 0
    for name in DECIDING:
        path = path_in(copied, name)
        text = path.read_text(encoding="utf-8")
        changed, messages_in_it = said_otherwise(text)
        assert changed != text
        count += messages_in_it
        path.write_text(changed, encoding="utf-8")
    assert count > 50
    try:
        assert digest(copied) == before == digest(BENCH)
    finally:
        for name in DECIDING:
            shutil.copy(modules()[name], path_in(copied, name))


def test_code_that_shows_and_stores_does_not_count(copied: Path) -> None:
    before = digest(copied)
    for name in OTHERS:
        with path_in(copied, name).open("a", encoding="utf-8") as file:
            file.write("\n\ndef new(value):\n    return value + 1\n")
    for new in ("reporting/new.py", "reporting/templates/new.html", "embeddings/methods/new.txt"):
        (copied / new).write_text("1 + 1\n", encoding="utf-8")
    assert digest(copied) == before


# What counts


def mutants(tree: ast.Module) -> Iterator[tuple[int, ast.AST, str, object]]:
    """Line, node, attribute and new value of each change of an operator or of a number that is no message's."""
    told = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Raise | ast.Assert | ast.Expr)
            for part in ast.walk(node)}  # fmt: skip
    hints = {id(part) for node in ast.walk(tree)
             for hint in (getattr(node, "annotation", None), getattr(node, "returns", None)) if hint
             for part in ast.walk(hint)}  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in told | hints:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield (
                node.lineno,
                node,
                "value",
                (not node.value if isinstance(node.value, bool) else node.value + 1),
            )
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
            yield node.lineno, node, "op", OPERATORS[type(node.op)]()
        elif isinstance(node, ast.Compare):
            yield node.lineno, node, "ops", [OPERATORS[type(node.ops[0])](), *node.ops[1:]]


@pytest.mark.parametrize("module", slow_but(DECIDING[::3], DECIDING))
def test_every_operator_and_number_counts(module: str) -> None:
    source = modules()[module].read_bytes()
    tree = ast.parse(source)
    before = what_it_does(source)
    assert what_it_does(ast.unparse(tree).encode()) == before
    found = list(mutants(tree))
    for line, node, attribute, value in random.Random(module).sample(found, min(6, len(found))):
        kept = getattr(node, attribute)
        setattr(node, attribute, value)
        assert what_it_does(ast.unparse(tree).encode()) != before, f"line {line}"
        setattr(node, attribute, kept)


@pytest.mark.parametrize(
    "module",
    ["embeddings.methods.qr", "embeddings.served.codes", "embeddings.hashing", "training.loop", "training.optimizers",
     "data.split", "data.table", "measure.metrics", "measure.memory", "tasks.rating", "models.neumf", "experiment"],
)  # fmt: skip
def test_one_operator_in_a_copy(copied: Path, module: str) -> None:
    path = path_in(copied, module)
    source = path.read_text(encoding="utf-8")
    before = digest(copied)
    tree = ast.parse(source)
    _, node, attribute, value = next(found for found in mutants(tree) if found[2] != "value")
    setattr(node, attribute, value)
    path.write_text(ast.unparse(tree), encoding="utf-8")
    changed = digest(copied)
    path.write_text(source, encoding="utf-8")
    assert changed != before == digest(copied)


@pytest.mark.parametrize(
    "new", ["models/new.py", "embeddings/methods/new.py", "new.py", "tasks/new/__init__.py"]
)
def test_a_new_module_counts(copied: Path, new: str) -> None:
    before = digest(copied)
    (copied / new).parent.mkdir(exist_ok=True)
    (copied / new).write_text("", encoding="utf-8")
    added = digest(copied)
    renamed = (copied / new).rename((copied / new).with_name("newer.py"))
    moved = digest(copied)
    renamed.unlink()
    assert len({before, added, moved}) == 3
    assert digest(copied) == before


def test_a_method_that_is_being_written_stops_nothing(copied: Path) -> None:
    path = copied / "embeddings" / "methods" / "unfinished.py"
    path.write_text("def lookups(:\n", encoding="utf-8")
    before = digest(copied)
    path.write_text("def lookup(:\n", encoding="utf-8")
    assert digest(copied) != before
    path.unlink()


# The kept digest


def test_a_kept_digest_is_used_for_the_same_sources_only(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(copied)
    with monkeypatch.context() as patch:
        patch.setattr("bench.records.syntax.what_it_does", None)
        assert digest(copied) == before
    path = copied / "backend.py"
    source, status = path.read_bytes(), path.stat()
    path.write_bytes(source.replace(b"gc.freeze", b"os.freeze"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert digest(copied) != before
    path.write_bytes(source)
    assert digest(copied) == before


@pytest.mark.parametrize("damage", ["", "x", "0" * 64 + " " + "0" * 64, "\u00e9", None])
def test_a_damaged_digest_is_made_again(copied: Path, damage: str | None) -> None:
    before = digest(copied)
    (kept,) = (copied / "__pycache__").glob("code_digest.*")
    whole = kept.read_text(encoding="ascii")
    bad = whole.replace(whole[0], "1" if whole[0] == "0" else "0", 1) if damage is None else damage
    kept.write_text(bad, encoding="utf-8")
    assert digest(copied) == before
    assert kept.read_text(encoding="ascii") == whole


def test_a_package_that_cannot_be_written_to(copied: Path) -> None:
    before = digest(copied)
    shutil.rmtree(copied / "__pycache__")
    (copied / "__pycache__").write_text("not a folder", encoding="utf-8")
    assert digest(copied) == before
    (copied / "__pycache__").unlink()
