"""What is printed to be copied is read back as it was meant, by the shell and by Hydra."""

from __future__ import annotations

import math
import shlex
import string
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from bench.config.quoting import command, override, text

ODD = "'\"\\$`{}[](),:=;&|<>*?!#~%+@^ \t\nàé±\N{SNOWMAN}"
"""Letters that a shell, Hydra's grammar or OmegaConf reads in a way of its own."""

TEXTS = st.text(
    st.sampled_from(ODD + string.ascii_letters + string.digits + "_-./"), max_size=12
) | st.sampled_from(
    [
        "",
        "null",
        "True",
        "1e3",
        "0x1",
        "1_000",
        "-inf",
        "NaN",
        "${seed}",
        r"\${seed}",
        r"\\${oc.env:HOME}",
        "$" + "{",
    ]
)
KEYS = st.from_regex(r"k[a-z :=,()\\[\]]{0,4}k", fullmatch=True)
VALUES = st.recursive(
    TEXTS | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def read(printed: str) -> Any:
    """The value that a shell and Hydra make of a printed command with one override."""
    words = shlex.split(printed)
    assert words[:3] == ["python", "-m", "bench.run"] and len(words) == 4
    parsed = OverridesParser.create().parse_override(words[3])
    assert parsed.key_or_group == "name" and not parsed.is_sweep_override()
    cfg = OmegaConf.create({"seed": 3})
    OmegaConf.update(cfg, "name", parsed.value(), force_add=True)  # as Hydra does
    return OmegaConf.to_container(cfg, resolve=True)["name"]  # type: ignore[index,call-overload]


@given(VALUES)
def test_a_printed_command_gives_the_same_values(value: Any) -> None:
    assert read(command("bench.run", [override("name", value)])) == value


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("movielens_1m", "movielens_1m"), ("run=3 (old)", "'run=3 (old)'"), ("it's", r"'it\'s'"), ("true", "'true'"),
        (True, "true"), (None, "null"), (0.1, "0.1"), (math.inf, "inf"),
        ([1, "a b"], "[1,'a b']"), ({"a": "b"}, "{a:b}"),
    ],
)  # fmt: skip
def test_plain_values_stay_plain(value: Any, printed: str) -> None:
    assert text(value) == printed


def test_a_whole_command() -> None:
    words = ["-m", override("strategy", "qr"), override("dataset.path", "my data.csv"), "seed=0,1"]
    assert command("bench.run", words) == (
        """python -m bench.run -m strategy=qr 'dataset.path='"'"'my data.csv'"'"'' seed=0,1"""
    )
