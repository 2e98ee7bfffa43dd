from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config.typed import UNITS, Bytes, Range, build, checked, convert, number_of_bytes, shown, sizes
from bench.errors import RequestError

Size = Annotated[int, Range(low=1)]

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        ("3", int, 3),
        (3, float, 3.0),
        ("0.5", float, 0.5),
        (True, bool, True),
        ("x", str, "x"),
        (5, str, "5"),
        (None, int | None, None),
        (7, Size | None, 7),
        ([1, "2"], list[int], [1, 2]),
        ([64, 32], list[Size] | None, [64, 32]),
        ("a", Literal["a", "b"], "a"),
        ({"beta_1": 0.8}, dict[str, Any], {"beta_1": 0.8}),
        ({}, dict[str, Any], {}),
    ],
)
def test_takes(value: Any, hint: Any, expected: Any) -> None:
    converted = convert(value, hint)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (3.0, int),
        (True, int),
        ("ten", int),
        (None, int),
        (0, Size),
        (math.nan, float),
        (math.inf, float),
        ("nan", float),
        (1, bool),
        ("yes", bool),
        ("", str),
        (" ", str),
        ([1], str),
        ([], list[int]),
        (3, list[int]),
        ([64, 0], list[Size]),
        ("c", Literal["a", "b"]),
        (True, Literal[1, 2]),
        ({"beta_1": math.nan}, dict[str, Any]),
        ([1, math.inf], Any),
        (3, dict[str, Any]),
    ],
)
def test_refuses(value: Any, hint: Any) -> None:
    with pytest.raises(ValueError):
        convert(value, hint)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("B", 1), ("KB", 1000), ("MB", 1000**2), ("GB", 1000**3), ("TB", 1000**4),
     ("KiB", 1024), ("MiB", 1024**2), ("GiB", 1024**3), ("TiB", 1024**4)],
)  # fmt: skip
def test_units_of_bytes(unit: str, factor: int) -> None:
    assert number_of_bytes(f"1.5 {unit}") == convert(f"1.5{unit.lower()}", Bytes) == round(1.5 * factor)
    assert unit.upper() in UNITS and len(UNITS) == 9


@given(PLAIN, st.sampled_from([int, float, bool, str, Size | None, list[int], Literal["a"], dict[str, Any]]))
def test_any_value_is_taken_or_refused_in_one_line(value: Any, hint: Any) -> None:
    try:
        checked("name", value, hint)
    except RequestError as error:
        assert str(error).startswith("name=")
        assert str(error).isprintable()


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5))
def test_range_bounds(value: int, low: int, high: int) -> None:
    assert Range(low=low, high=high).holds(value) == (low <= value <= high)
    assert Range(above=low, below=high).holds(value) == (low < value < high)


def test_message_names_setting_value_and_what_works() -> None:
    with pytest.raises(RequestError) as error:
        checked("num_buckets", 0, Size | None)
    assert str(error.value) == "num_buckets=0: give a whole number, at least 1, or null"
    with pytest.raises(RequestError, match=r"kind=rando: give random or last; did you mean random\?"):
        checked("kind", "rando", Literal["random", "last"])


@dataclass(frozen=True)
class Inner:
    rate: Annotated[float, Range(above=0)]


@dataclass(frozen=True)
class Outer:
    count: int
    inner: Inner
    dims: list[int] = field(default_factory=lambda: [64, 32])

    def __post_init__(self) -> None:
        if self.count == 13:
            raise ValueError("count=13: give another")


def test_build_nests_and_keeps_defaults() -> None:
    assert build(Outer, {"count": "3", "inner": {"rate": 1}}) == Outer(3, Inner(1.0), [64, 32])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 3, "inner": {"rate": 0}}, r"^inner.rate=0: give a number, above 0$"),
        ({"count": 3, "inner": {"rat": 1}}, r"^inner.rat=1: no such setting; did you mean inner.rate\?"),
        ({"count": 3, "inner": 1}, r"^inner=1: a group of settings"),
        ({"count": 3}, r"^inner: not set"),
        ({"count": 13, "inner": {"rate": 1}}, r"^count=13: give another$"),
        ({"count": 3, "inner": {"rate": 1}, "dim": 3}, r"^dim=3: no such setting; did you mean dims\?"),
    ],
)
def test_build_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        build(Outer, values)


def test_sizes_are_at_least_one_unless_a_range_says_otherwise() -> None:
    assert sizes(int | None) == Size | None
    assert sizes(list[int]) == list[Size]
    assert sizes(Annotated[int, Range(low=0)]) == Annotated[int, Range(low=0)]
    assert sizes(float) is float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("", "''"),
        ("a\nb", r"'a\nb'"),
        ([1, None], "[1, null]"),
        ({"a": 1}, "{a: 1}"),
    ],
)
def test_shown(value: Any, text: str) -> None:
    assert shown(value) == text
