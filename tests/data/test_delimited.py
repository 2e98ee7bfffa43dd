"""CSV and TSV files are read as Python's csv module reads them, or refused with the line; no row is lost in silence."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.delimited import Delimited
from bench.data.table_settings import Form
from bench.errors import RequestError

words = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=8)
rows_of_words = st.integers(2, 4).flatmap(
    lambda columns: st.lists(st.lists(words, min_size=columns, max_size=columns), min_size=1, max_size=12)
)
many = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("delimited") / "r.csv"


def read(path: Path, form: Form, block_bytes: int) -> tuple[list[list[str]], list[int], list[int]]:
    """All rows as text, the lines that they begin in, and the lines of rows with another number of columns."""
    file = Delimited(path, form, block_bytes)
    found: list[list[str]] = []
    lines: list[int] = []
    ragged: list[int] = []
    for parsed, _ in file.blocks(file.names, []):
        block = parsed()
        columns = [block.columns[name].to_pylist() for name in file.names]
        found += [list(row) for row in zip(*columns, strict=True)]
        lines += block.find_lines().tolist()
        ragged += block.ragged
    return found, lines, ragged


@many
@given(
    rows_of_words,
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 90),
    st.booleans(),
)
def test_whatever_a_writer_writes_is_read(
    path: Path, rows: list[list[str]], separator: str, end: str, block_bytes: int, every: bool
) -> None:
    names = [f"c{k}" for k in range(len(rows[0]))]
    with path.open("w", newline="", encoding="utf-8") as file:
        quoting = csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL
        writer = csv.writer(file, delimiter=separator, lineterminator=end, quoting=quoting)
        writer.writerows([names, *rows])
    try:
        found, lines, ragged = read(path, Form(separator), block_bytes)
    except RequestError as error:
        assert "dataset.quoting=none" in str(error)  # a text that holds what looks like rows
        assert any("\n" in word or "\r" in word for row in rows for word in row)
        return
    with path.open(newline="", encoding="utf-8") as file:
        expected = [row for row in csv.reader(file, delimiter=separator) if row][1:]
    assert found == [row for row in expected if len(row) == len(names)]
    assert len(ragged) == len(expected) - len(found)
    if not any("\r" in word or "\n" in word for row in rows for word in row):
        assert (found, lines) == (rows, list(range(2, len(rows) + 2)))


@many
@given(st.text(st.sampled_from('ab",\n\r '), max_size=60), st.integers(1, 40))
def test_any_text_is_read_as_python_reads_it_or_refused(path: Path, text: str, block_bytes: int) -> None:
    text = f"x,y\n{text}"
    path.write_bytes(text.encode())
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row][1:]
    try:
        found, _, ragged = read(path, Form(","), block_bytes)
    except RequestError as error:
        assert "line " in str(error) and '"' in text
        return
    assert found == [row for row in expected if len(row) == 2]
    assert len(ragged) == len([row for row in expected if len(row) != 2])


@many
@given(st.text(st.sampled_from('ab",\n '), max_size=60), st.integers(1, 40))
def test_quotes_are_letters_on_request(path: Path, text: str, block_bytes: int) -> None:
    path.write_bytes(f"x,y\n{text}".encode())
    expected = [line.split(",") for line in text.split("\n") if line]
    found, _, ragged = read(path, Form(",", quoting="none"), block_bytes)
    assert found == [row for row in expected if len(row) == 2]
    assert len(found) + len(ragged) == len(expected)


@pytest.mark.parametrize(("text", "says"), [
    ('u,text,stars\n1,"open,4\n2,b,3\n3,c,2\n', "line 2 does not close in the 3 lines"),
    ('u,text,stars\n1,"open,4\n2,b,3\n3,"c",2\n', "line 2 takes 1 of the lines"),
    ('u,text,stars\n1,"open,4\n2,"c",2\n', "line 2 takes 1 of the lines"),
])  # fmt: skip
def test_a_quote_that_swallows_rows_is_refused_with_its_line(path: Path, text: str, says: str) -> None:
    path.write_text(text)
    for block_bytes in (1, 7, 1 << 20):
        with pytest.raises(RequestError, match=says) as caught:
            read(path, Form(), block_bytes)
        assert "dataset.quoting=none" in str(caught.value)
    found, _, ragged = read(path, Form(quoting="none"), 7)
    assert (len(found), ragged) == (len(text.splitlines()) - 1, [])


def test_text_of_several_lines_is_no_row(path: Path) -> None:
    path.write_text('u,text,stars\n1,"good, but\nnot, really good\nin all, I say, ""so""",4\n2,b,3\n')
    found, lines, _ = read(path, Form(), 10)
    assert [row[2] for row in found] == ["4", "3"] and lines == [2, 5]


def test_columns_without_a_header_have_numbers_or_the_given_names(path: Path) -> None:
    path.write_text("1,a\n2,b\n")
    assert Delimited(path, Form(header=False)).names == ["0", "1"]
    assert read(path, Form(header=False, names=["x", "y"]), 3)[0] == [["1", "a"], ["2", "b"]]
    with pytest.raises(RequestError, match=r"dataset\.names=\['x'\]: .* has 2 columns"):
        Delimited(path, Form(header=False, names=["x"]))
