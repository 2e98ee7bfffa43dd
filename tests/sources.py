"""The source files of the package, and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from commands import ROOT

BENCH = ROOT / "bench"


@cache
def modules() -> dict[str, Path]:
    """All modules of ``bench`` by name: ``embeddings.methods.qr``; ``embeddings`` for its ``__init__.py``."""
    found = {}
    for path in sorted(BENCH.rglob("*.py")):
        parts = path.relative_to(BENCH).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree, to be left as it is."""
    return ast.parse(path.read_bytes())


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a file imports, inside functions and by ``importlib`` too.

    ``from bench import data`` gives ``bench.data``, ``from bench.data import load`` gives ``bench.data.load``.
    """
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{module}.{name.name}") for name in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
            "import_module",
            "__import__",
        ):
            match node.args[0]:
                case ast.Constant(str(name)):
                    yield node.lineno, name
                case ast.JoinedStr([ast.Constant(str(beginning)), *_]):
                    yield node.lineno, beginning.rstrip(".")
