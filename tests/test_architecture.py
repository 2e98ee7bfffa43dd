"""How the package is laid out: who may import whom, and how large its parts may be."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import imports, modules, tree

ORDER = (
    "errors",
    "config",
    "measure",
    "data",
    "compiled",
    "backend",
    "embeddings",
    "models",
    "serving",
    "server",
    "sizing",
    "tasks",
    "training",
    "records",
    "proposal",
    "trained",
    "tracking",
    "experiment",
    "exporting",
    "compressing",
    "tradeoff",
    "reporting",
    "sweeps",
    "cli",
    "api",
)
"""Packages and modules of ``bench``: each imports only what stands before it."""

DOORS = ("compress", "export", "init", "prepared", "report", "results", "run", "serve", "track")
"""Modules for ``python -m``: they may import everything, and nothing imports them."""

PRIVATE = {"hydra": "_internal", "keras": "src", "mlflow": "store", "submitit": "core", "ray": "_private"}
"""The part of a library that its makers may change in any release. So may everything that begins with ``_``."""

PRIVATE_ATTRIBUTES = {"_flatten_layers": "keras", "_trainable_variables": "keras", "_run_job": "ray",
    "_value": "hydra", "_apply_overrides_to_config": "hydra",
}  # fmt: skip
"""Private attributes of other people's objects that are used, and whose they are."""

PUBLIC = ("os._exit", "_target_", "._replace")
"""What begins with ``_`` and is documented all the same."""

DICTS = re.compile(r"\b(?:dict|Mapping)\[str, Any\]")
MOST_DICTS, MOST_PARAMETERS, MOST_LINES_OF_A_FUNCTION, MOST_LINES_OF_A_FILE = 110, 7, 60, 400
MOST_LINES_OF_A_DOOR = 12


def room(name: str) -> str:
    """The package or module of ``bench`` that a dotted name belongs to: ``data`` for ``bench.data.load``."""
    _, *parts = name.split(".")
    return parts[0] if parts and parts[0] in modules() else "bench"


def rooms() -> set[str]:
    return {name.split(".")[0] for name in modules()} - {"__init__"}


def of_room(own: str) -> Iterator[tuple[str, Path]]:
    return ((name, path) for name, path in modules().items() if name.split(".")[0] == own)


# Who knows whom


def test_every_room_has_its_place() -> None:
    assert sorted(rooms()) == sorted((*ORDER, *DOORS))


@pytest.mark.parametrize("own", sorted(rooms()))
def test_imports_go_one_way(own: str) -> None:
    known = ("bench", *(ORDER if own in DOORS else ORDER[: ORDER.index(own)]), own)
    wrong = [
        f"bench.{module}, line {line}: {name}"
        for module, path in of_room(own)
        for line, name in imports(path)
        if name.split(".")[0] == "bench" and room(name) not in known
    ]
    assert not wrong, "\n".join([f"{own} may import {', '.join(known)}, but:", *wrong])


def test_doors_hold_nothing_else() -> None:
    for name in DOORS:
        code = modules()[name].read_text(encoding="utf-8")
        assert code.count("\n") <= MOST_LINES_OF_A_DOOR, name
        assert not re.search(r"^(def|class) ", code, re.MULTILINE), name


def test_only_tracking_knows_mlflow() -> None:
    wrong = [
        f"bench.{module}, line {line}: {name}"
        for module, path in modules().items()
        for line, name in imports(path)
        if name.split(".")[0] == "mlflow"
        and not module.startswith("tracking")
        and module != "serving.pyfunc"  # which MLflow calls
    ]
    assert not wrong, "\n".join(wrong)


# Other people's insides


def private_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Library and use of private parts that a file imports."""
    for line, name in imports(path):
        library, *parts = name.split(".")
        private = any(part == PRIVATE.get(library) or re.match(r"_(?!_)", part) for part in parts)
        if private and library != "bench":
            yield library, f"line {line}: {name}"


def private_attributes(path: Path) -> Iterator[tuple[str, str]]:
    """Library and use of private attributes that the file itself defines nowhere."""
    nodes = [*ast.walk(tree(path))]
    named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    own = {node.name for node in nodes if isinstance(node, named)}
    own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and _is_set_on_self(node)}
    own |= {
        node.target.id
        for node in nodes
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_)", node.attr) and node.attr not in own:
            used = ast.unparse(node)
            if not used.endswith(PUBLIC):
                yield PRIVATE_ATTRIBUTES.get(node.attr, "a library to name"), f"line {node.lineno}: {used}"


def _is_set_on_self(node: ast.Attribute) -> bool:
    return ast.unparse(node.value) in ("self", "cls") and isinstance(node.ctx, ast.Store)


def test_private_parts_of_a_library_are_used_in_one_module() -> None:
    used: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for module, path in modules().items():
        for library, use in (*private_imports(path), *private_attributes(path)):
            used[library][module].append(use)
    several = {library: dict(found) for library, found in used.items() if len(found) > 1}
    assert not several
    assert "a library to name" not in used, "say in PRIVATE_ATTRIBUTES whose it is"


def test_no_private_attribute_is_listed_that_is_not_used() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules().values())
    assert [name for name in PRIVATE_ATTRIBUTES if name not in code] == []


# Sizes


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for module, path in modules().items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"bench.{module}, line {node.lineno}: {node.name}", node


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a function has, without ``self`` or ``cls``, ``*args`` and ``**kwargs``."""
    found = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len(found) - (bool(found) and found[0].arg in ("self", "cls"))


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines a function has from ``def`` to its end, without the docstring."""
    assert node.end_lineno is not None
    match node.body[0]:
        case ast.Expr(ast.Constant(str())) as doc:
            assert doc.end_lineno is not None
            return node.end_lineno - node.lineno - (doc.end_lineno - doc.lineno)
    return node.end_lineno - node.lineno + 1


def test_no_function_has_too_many_parameters() -> None:
    found = {name: parameters(node) for name, node in functions() if parameters(node) > MOST_PARAMETERS}
    assert not found


def test_no_function_is_too_long() -> None:
    found = {name: lines(node) for name, node in functions() if lines(node) > MOST_LINES_OF_A_FUNCTION}
    assert not found


def test_no_file_is_too_long() -> None:
    found = {name: path.read_text(encoding="utf-8").count("\n") for name, path in modules().items()}
    assert not {name: count for name, count in found.items() if count > MOST_LINES_OF_A_FILE}


def test_few_mappings_of_anything() -> None:
    found = {name: len(DICTS.findall(path.read_text(encoding="utf-8"))) for name, path in modules().items()}
    most = sorted(found.items(), key=lambda one: -one[1])[:10]
    assert sum(found.values()) <= MOST_DICTS, f"{sum(found.values())}, most of them in {most}"


def test_lines_are_counted_as_said() -> None:
    source = 'def f(self, a, *b, c=1, **d):\n    """One.\n\n    Two.\n    """\n    a = 1\n\n    return a\n'
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef) and (lines(node), parameters(node)) == (4, 2)
    (bare,) = ast.parse("@g\ndef f():\n    return 1\n").body
    assert isinstance(bare, ast.FunctionDef) and (lines(bare), parameters(bare)) == (2, 0)
