from __future__ import annotations

import pytest

from bench.cli import keeping
from bench.errors import RequestError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 0), ("90s", 90), ("1.5m", 90), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)],
)
def test_ages(text: str, seconds: float) -> None:
    assert keeping.age(text) == seconds


@pytest.mark.parametrize("text", ["30", "d", "-1d", "1 d", "1M", "1d1h"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(RequestError, match=f"--older-than {text}: give a number and a unit, as 90s"):
        keeping.age(text)


@pytest.mark.parametrize(
    ("answer", "is_yes"),
    [("y", True), (" YES ", True), ("", False), ("n", False), ("no", False), ("yes, but", False)],
)
def test_only_a_yes_removes(answer: str, is_yes: bool, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []
    assert keeping.agreed("2 records", False, lambda text: asked.append(text) or answer) == is_yes
    assert asked == ["Remove 2 records? [y/N] "]
    assert capsys.readouterr().out == ("" if is_yes else "nothing was removed\n")


def test_what_was_said_before_is_not_asked() -> None:
    assert keeping.agreed("2 records", True, lambda text: pytest.fail(text))
