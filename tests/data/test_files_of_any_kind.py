"""Tables of any form through the whole reader: each row is there with its values or counted, or the file is refused."""

from __future__ import annotations

import csv
import decimal
import gzip
import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bench.data
from bench.data import read, table
from bench.data.interactions import Stream
from bench.data.table_settings import TableSettings
from bench.errors import RequestError

WHOLE = 2**53
many = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters='"'),
    min_size=1,
    max_size=6,
)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=6)
columns = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), min_size=8, max_size=8).map(
        lambda own: pa.array(own, pa.int64())
    ),
    st.lists(st.one_of(st.none(), words), min_size=8, max_size=8).map(lambda own: pa.array(own, pa.string())),
    st.lists(st.one_of(st.none(), words), min_size=8, max_size=8).map(
        lambda own: pa.array(own, pa.string()).dictionary_encode()
    ),
    st.lists(
        st.one_of(st.none(), st.integers(-WHOLE, WHOLE).map(float), st.floats()), min_size=8, max_size=8
    ).map(lambda own: pa.array(own, pa.float64())),
    st.lists(
        st.one_of(st.none(), st.integers(-(10**30), 10**30).map(decimal.Decimal)), min_size=8, max_size=8
    ).map(lambda own: pa.array(own, pa.decimal128(38, 0))),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=8, max_size=8).map(
        lambda own: pa.array(own, pa.bool_())
    ),
)


def loaded(dataset: Callable[..., Any], folder: Path, **own: Any) -> bench.data.Interactions:
    values = {"label": "y", "timestamp": "t", "split.kind": "time", "split.train_fraction": 0.5, **own}
    return bench.data.load(dataset("table", values), folder)


def ids_of(data: bench.data.Interactions, field: str) -> list[str | int | None]:
    known = data.fields[field].values
    assert known is not None
    return [known[number] for part in (data.train, data.evaluation) for number in part.ids[field]]


def rows_of(dataset: Callable[..., Any], folder: Path, **own: Any) -> tuple[list[tuple[Any, ...]], str]:
    """The ids of all rows that can be used, before anything is split, and the line that accounts for the others."""
    given = read(dataset("table", {"label": "y", "timestamp": "t", "split.kind": "time", **own}))
    assert isinstance(given, TableSettings)
    stream = table.source(given, folder).read()
    assert isinstance(stream, Stream)
    blocks = [task() for task, _ in stream.tasks()]
    (line,) = stream.finish([block.notes for block in blocks])
    of_blocks = [
        [block.ids[name].values.take(pa.array(block.ids[name].codes)).to_pylist() for name in stream.fields]
        for block in blocks
    ]
    return [row for columns in of_blocks for row in zip(*columns, strict=True)], line


def as_id(value: Any) -> str | int | None:
    """The id that a value of Parquet stands for; None for a missing one."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, decimal.Decimal) else value


@pytest.mark.slow
@many
@given(
    columns, names.filter(lambda name: name.strip() not in ("y", "t", "") and "$" not in name), st.integers(1, 9),
    st.sampled_from(["drop", "keep", "refuse"]), st.sampled_from(["zstd", "snappy", "none"]), st.booleans(),
)  # fmt: skip
def test_parquet_of_any_types(
    dataset: Any,
    tmp_path: Path,
    column: Any,
    name: str,
    group: int,
    missing: str,
    compression: str,
    gzipped: bool,
) -> None:
    path = tmp_path / ("x.parquet.gz" if gzipped else "x.parquet")
    whole = pa.table([column, [0, 1] * 4, range(8)], names=[name, "y", "t"])
    pq.write_table(whole, tmp_path / "x.parquet", row_group_size=group, compression=compression)
    if gzipped:
        path.write_bytes(gzip.compress((tmp_path / "x.parquet").read_bytes(), 1))
    expected = [as_id(value) for value in column.to_pylist()]
    fractions = any(isinstance(v, float) and math.isfinite(v) and v != int(v) for v in column.to_pylist())
    huge = any(isinstance(v, float) and math.isfinite(v) and abs(v) > WHOLE for v in column.to_pylist())
    try:
        rows, line = rows_of(dataset, tmp_path / "data", path=str(path), fields=[name], missing=missing)
    except RequestError as error:
        assert "\n" not in str(error)
        assert fractions or huge or (missing == "refuse" and None in expected), error
        return
    assert not fractions and not huge
    kept = [value for value in expected if value is not None or missing == "keep"]
    assert [str(value) for (value,) in rows] == ["" if value is None else str(value) for value in kept]
    if missing != "keep":
        small = all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in kept)
        assert {type(value) for (value,) in rows} <= {int if small else str}
    dropped = len(expected) - len(kept)
    said = f"dropped {dropped} of 8 rows" if dropped else "8 rows read, none dropped"
    assert line.startswith(f"{path}: {said}")


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "shift-jis")


@pytest.mark.slow
@many
@given(
    st.lists(st.tuples(words, words), min_size=4, max_size=9), st.sampled_from(ENCODINGS), st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.booleans(),
)  # fmt: skip
def test_text_in_any_form(
    dataset: Any, tmp_path: Path, rows: list[tuple[str, str]], encoding: str, separator: str, end: str,
    quoting: Any, gzipped: bool,
) -> None:  # fmt: skip
    path = tmp_path / ("x.csv.gz" if gzipped else "x.csv")
    try:
        lines = [
            ["größe", "b", "y", "t"],
            *([a, b, number % 2, number] for number, (a, b) in enumerate(rows)),
        ]
        plain = tmp_path / "x.txt"
        with plain.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=separator, lineterminator=end, quoting=quoting).writerows(lines)
    except UnicodeEncodeError:
        return  # this encoding has no such letters
    path.write_bytes(gzip.compress(plain.read_bytes(), 1) if gzipped else plain.read_bytes())
    named = "tab" if separator == "\t" else separator
    own = {
        "path": str(path),
        "fields": ["größe", "b"],
        "missing": "keep",
        "separator": named,
        "bad_rows": "drop",
    }
    try:
        found, line = rows_of(dataset, tmp_path / "data", **own)
    except RequestError as error:
        assert "\n" not in str(error) and ("UTF-8" in str(error) or "dataset.quoting=none" in str(error)), (
            error
        )
        return
    text = plain.read_bytes().decode("utf-8-sig")
    expected = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row][1:]
    dropped = int((re.findall(r"dropped (\d+) of", line) or ["0"])[0])
    assert len(found) + dropped == len(expected)
    if not dropped:
        assert found == [tuple("" if not word.strip() else word for word in row[:2]) for row in expected]


@pytest.mark.parametrize("block_rows", [1000, 1 << 18])
def test_text_and_integers_in_files_of_one_table(
    dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    monkeypatch.setattr("bench.data.parquet.ROWS", block_rows)
    for number, ids in enumerate(([7, 8] * 1500, ["7", "x"] * 1500)):
        rows = range(3000 * number, 3000 * number + 3000)
        own = pa.table([ids, np.arange(3000) % 2, rows], names=["u", "y", "t"])
        pq.write_table(own, tmp_path / f"{number}.parquet")
    data = loaded(dataset, tmp_path / "data", path=str(tmp_path / "*.parquet"), fields=["u"])
    assert data.fields["u"].size == 3
    assert ids_of(data, "u") == ["7", "8"] * 1500 + ["7", "x"] * 1500


def test_the_hours_of_avazu_split_by_time(dataset: Any, tmp_path: Path) -> None:
    from bench.config import compose

    hours = [14102100 + 100 * day + hour for day in range(3) for hour in range(24)]
    draw = np.random.default_rng(0)
    header = "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,"
    header += "device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
    lines = [header]
    for hour in draw.permutation(np.repeat(hours, 10)):
        lines.append(
            f"1{hour},{draw.integers(2)},{hour}," + ",".join(f"v{k}" for k in draw.integers(5, size=21))
        )
    (tmp_path / "avazu").mkdir()
    (tmp_path / "avazu" / "train.csv").write_text("\n".join(lines) + "\n")
    given = [
        "dataset=avazu",
        "model=neumf",
        "dataset.split.kind=time",
        "dataset.split.train_fraction=0.6667",
        f"data_dir={tmp_path}",
    ]
    data = bench.data.load(compose(given).dataset, tmp_path)
    assert [field.size for name, field in data.fields.items() if name.startswith("hour")] == [24, 3, 1]
    weekdays = data.fields["hour_weekday"].values
    assert weekdays is not None
    late = {weekdays[number] for number in data.evaluation.ids["hour_weekday"]}
    early = {weekdays[number] for number in data.train.ids["hour_weekday"]}
    assert late == {3} and early == {1, 2}  # 2014-10-23 was a Thursday
    assert len(data.evaluation) == 240 and len(data.train) == 480
