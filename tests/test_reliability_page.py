"""The page of faults names tests that there are."""

from __future__ import annotations

import ast
import re

import pytest
from commands import ROOT
from sources import tree

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)


def test_every_fault_names_a_test_or_says_that_there_is_none() -> None:
    faults = [row for row in ROWS if row[2] != "shown by" and not row[0].startswith("---")]
    assert len(faults) > 60 and len(NAMED) > 80
    for fault, happens, shown in faults:
        assert happens and ("::" in shown or shown.startswith("not tested")), fault


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_the_named_tests_are_there(file: str) -> None:
    functions = {node.name for node in ast.walk(tree(ROOT / file)) if isinstance(node, ast.FunctionDef)}
    named = {name for other, name in NAMED if other == file}
    assert named <= {name for name in functions if name.startswith("test_")}, named - functions
