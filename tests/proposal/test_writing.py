"""Texts in the settings file."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from bench.proposal.writing import scalar


@pytest.mark.parametrize("text", [
    "plain", "a b", "true", "no", "null", "~", "1", "1e3", "2024-01-01", "a: b", "a #b", "- a", "[a]", "{a}", "'", '"',
    "a,b", "*a", "&a", "!a", "%a", "@a", "ü", "", " a ", "a\tb", "a\nb", "\x7f", "\u2028", "${x}", "\\${x}", "\\",
    "a\\", "${oc.env:HOME}", "y", ".inf", "a-", "\udcff",
])  # fmt: skip
def test_a_text_is_read_as_it_was(text: str) -> None:
    check(text)


@given(st.text())
def test_any_text_is_read_as_it_was(text: str) -> None:
    check(text)


def check(text: str) -> None:
    for document in (f"value: {scalar(text)}  # why", f"value: [{scalar(text)}, b]"):
        value = OmegaConf.create(yaml.safe_load(document)).value
        assert (value if isinstance(value, str) else value[0]) == text
