"""Cells of CSV files."""

import pytest

from bench.records.cells import cell


@pytest.mark.parametrize("text", ["=1+2", "+cmd|x", "-x", "@SUM(A1)", "\tx", "-", "=", "+1 user"])
def test_formulas_are_texts(text):
    assert cell(text) == "'" + text


@pytest.mark.parametrize("value", [-0.5, 3, None, True, "-0.5", "+1e-3", "-inf", "plain", "a=b", "", "'=x"])
def test_all_else_stays(value):
    assert cell(value) is value
