"""Who is served how well, as a result holds it and as it is printed."""

import io
import re

import pytest
from results_made import VALUES

from bench.records import popularity
from bench.records.result import Result
from bench.records.showing import show

USERS = [0.7, 0.71, None, 0.73, 0.74, 0.75, 0.76, 0.77, 0.78, 0.9]
BAD = "[bold] " + "x" * 60


def served(one, error=1.5, rows=1234, training_rows=7):
    return {"id": one, "error": error, "rows": rows, "training_rows": training_rows}


def result(**changed):
    items = VALUES["val_mae_by_decile"]
    return Result.of(**{
        **VALUES, "val_mae_by_field": {"user": USERS, "item": items},
        "val_mae_worst_ids": {"user": [served("Ann\nLee", 2), served(None), served(7), served(8)], "item": []},
        **changed,
    })  # fmt: skip


def test_read_again_it_is_the_same():
    read = Result.from_json(result().to_json(), "x")
    assert read == result()
    assert popularity.tenths(read) == {"user": USERS, "item": [0.71, None, 0.8]}
    assert popularity.worst(read)["user"][0] == popularity.Worst("Ann\nLee", 2, 1234, 7)


def test_an_earlier_result_has_the_items_alone():
    old = Result.of(**VALUES)
    assert (old.val_mae_by_field, old.val_mae_worst_ids) == (None, None)
    assert popularity.tenths(old) == {"item": [0.71, None, 0.8]} and popularity.worst(old) == {}
    assert popularity.tenths(old.with_(val_mae_by_decile=None)) == {}
    assert list(popularity.details(old.with_(val_mae_by_decile=None))) == []
    assert popularity.tenths(old.with_(task="of tomorrow")) == {} == popularity.worst(old.with_(task="x"))


def test_what_is_no_list_of_numbers_is_left_out():
    broken = result(val_mae_by_field={"user": ["a"], "item": [1.0]}, val_mae_worst_ids={"user": [{"id": 1}]})
    assert popularity.tenths(broken) == {"item": [1.0]} and popularity.worst(broken) == {"user": []}


def test_the_lines_of_a_run():
    assert list(popularity.lines(result())) == [
        ("user by popularity", "val MAE 0.7000 on the most popular tenth to 0.9000 on the rarest"),
        ("item by popularity", "val MAE 0.7100 on the most popular tenth to 0.8000 on the rarest"),
        ("worst-served user", "Ann Lee (2.0000), (ids without a row) (1.5000), 7 (1.5000)"),
    ]


def test_of_many_fields_the_widest_are_shown():
    fields = {f"C{n}": [1.0, 1.0 + n / 10] for n in range(7)}
    found = dict(
        popularity.lines(
            result(val_mae_by_field=fields, val_mae_worst_ids={name: [served(1)] for name in fields})
        )
    )
    names = ["C3", "C4", "C5", "C6"]
    kinds = [*(f"{name} by popularity" for name in names), *(f"worst-served {name}" for name in names)]
    assert [*found] == [*kinds, "other fields"] and found["other fields"].startswith("3 more")


def test_the_tables_hold_every_number():
    text = "\n".join(popularity.details(result()))
    (users,) = re.findall(r"^user +0\.7000.*$", text, re.MULTILINE)
    assert users.split() == ["user", *("-" if one is None else f"{one:.4f}" for one in USERS)]
    assert "those with 20 evaluation rows" in text
    assert re.search(r"^user +Ann Lee +2\.0000 +1,234 +7$", text, re.MULTILINE)
    assert re.search(r"^item +- +- +- +-$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "one, shown",
    [(None, "(ids without a row)"), (7, "7"), ("", '""'), (" ", '" "'), ("a\tb", "a b"), ("é", "é")],
)
def test_ids_are_shown_in_one_line(one, shown):
    assert popularity.named(one) == shown


def test_long_ids_are_cut():
    assert popularity.named("x" * 40) == "x" * 40
    assert popularity.named("x" * 41) == "x" * 37 + "..."


def test_an_id_is_no_markup(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("TTY_COMPATIBLE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    show(result(val_mae_worst_ids={"user": [served(BAD)]}), None, out)
    assert "[bold] xxx" in out.getvalue()
