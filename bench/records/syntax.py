"""A reader of modules: gives the code of a module as text, without the parts that change no number.

The text stays equal if only comments, docstrings, messages or the formatting change.
"""

from __future__ import annotations

import ast
import json
from typing import Any, TypeGuard

TYPING = ("__future__", "typing", "collections.abc")
"""Modules whose imports serve annotations, and so are left out. If code uses a name from them, the use stays."""

SPEAKERS = ("log", "logger", "logging", "warnings")
"""Names through which code logs and warns."""

SAYS = ("debug", "info", "warning", "error", "exception", "critical", "log", "warn", "warn_explicit")
"""The methods of ``SPEAKERS`` that log or warn."""


def what_it_does(source: bytes) -> str:
    """Gives a module's syntax tree as text, without the parts that change no number.

    These parts are left out:

    - comments, formatting, docstrings, ``pass`` and all other constants that stand alone;
    - texts in ``raise`` and ``assert``, because these statements end the run. Other values in ``raise`` stay, since an
      exception can carry a number;
    - logging calls and warnings. Calls among their arguments stay, since the run continues after them;
    - annotations outside class bodies, blocks under ``TYPE_CHECKING``, and imports of ``TYPING``. Annotations in class
      bodies stay: dataclasses and the check of settings read them.

    Args:
        source: the source code of a module.

    Returns:
        Text that does not depend on the version of Python that reads the source.

    Raises:
        SyntaxError: the source is not Python.
        ValueError: the source has null bytes.
    """
    written: list[str] = []
    _write(_Reduced().visit(ast.parse(source)), written)
    return "".join(written)


def _write(value: Any, to: list[str]) -> None:
    # The output of ast.dump and the fields of nodes differ between versions of Python. Empty fields are left out. So a
    # field that only some versions have writes nothing.
    if isinstance(value, ast.Constant):
        to.append(f"({_constant(value.value)})")
    elif isinstance(value, ast.AST):
        to.append(f"({type(value).__name__}")
        for name, part in ast.iter_fields(value):
            if part is not None and part != [] and name not in ("ctx", "type_comment", "type_ignores"):
                to.append(f" {name}=")
                _write(part, to)
        to.append(")")
    elif isinstance(value, list):
        to.append("[")
        for part in value:
            _write(part, to)
        to.append("]")
    else:
        to.append(_constant(value))


def _constant(value: object) -> str:
    # repr of a text depends on the Unicode tables of Python's version; repr of an int has a limit
    if isinstance(value, str):
        return json.dumps(value)
    return f"{type(value).__name__} {hex(value) if isinstance(value, int) else repr(value)}"


class _Reduced(ast.NodeTransformer):
    """Removes from a tree the parts that ``what_it_does`` leaves out."""

    def __init__(self) -> None:
        self._in_class = False

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._inside(node, in_class=True)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._inside(node, in_class=False)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._inside(node, in_class=False)

    def _inside(self, node: ast.AST, in_class: bool) -> ast.AST:
        outside, self._in_class = self._in_class, in_class
        self.generic_visit(node)
        self._in_class = outside
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if self._in_class:
            return self.generic_visit(node)
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module in TYPING and not node.level else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if _last_name(node.test) == "TYPE_CHECKING":
            node.body = []
        return self.generic_visit(node) if node.body or node.orelse else None

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.AST] | None:
        if isinstance(node.value, ast.Constant):
            return None
        if not _says_something(node.value):
            return self.generic_visit(node)
        parts = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
        return [ast.Expr(_Silent().visit(call)) for part in parts for call in _calls(part)]

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        node.exc, node.cause = node.exc and _Silent().visit(node.exc), None
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)


class _Silent(ast.NodeTransformer):
    """Empties the texts of an expression."""

    def visit(self, node: ast.AST) -> Any:
        return ast.Constant("") if _is_text(node) else super().visit(node)


def _is_text(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()):
            return True
        case ast.BinOp(left, ast.Add() | ast.Mod(), right):
            return _is_text(left) or _is_text(right)
        case ast.Call(ast.Attribute(joined)):  # " ".join(...), "...".format(...)
            return _is_text(joined)
        case ast.IfExp(_, one, other):
            return _is_text(one) and _is_text(other)
    return False


def _says_something(node: ast.AST) -> TypeGuard[ast.Call]:
    match node:
        case ast.Call(ast.Attribute(speaker, method)):
            return method in SAYS and _last_name(speaker) in SPEAKERS
    return False


def _last_name(node: ast.AST) -> str | None:
    match node:
        case ast.Name(name) | ast.Attribute(_, name):
            return name
    return None


def _calls(node: ast.AST) -> list[ast.expr]:
    """Gives the outermost parts of an expression that may do more than give a value."""
    if isinstance(node, ast.Call | ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
        return [node]
    return [call for part in ast.iter_child_nodes(node) for call in _calls(part)]
