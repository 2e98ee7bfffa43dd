import gzip
import hashlib
import logging
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bench.data
from bench.data.writing import duplicates
from bench.errors import RequestError

HALF = {"split.train_fraction": 0.5}
CSV = "user,item,label,timestamp\nu1,007,4,30\nu2,7,2,10\nu1,7,5,20\nu3,070,1,40\n"


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(tmp_path, name="ratings.parquet", **columns):
    path = tmp_path / name
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def load(dataset, tmp_path):
    def make(path, changes=None, **columns):
        columns = {f"columns.{role}": column for role, column in columns.items()}
        settings = dataset("table", {"path": str(path), **HALF, **columns, **(changes or {})})
        return bench.data.load(settings, tmp_path / "cache")

    return make


def refusal(load, *args, **kwargs):
    with pytest.raises(RequestError) as caught:
        load(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


def all_rows(data):
    """Every row as (ids..., label), sorted."""
    parts = (data.train, data.validation, data.evaluation)
    rows = [zip(*(ids.tolist() for ids in p.ids.values()), p.labels.tolist(), strict=True) for p in parts]
    return sorted(row for part in rows for row in part)


EXPECTED = [(0, 0, 4), (0, 1, 5), (1, 1, 2), (2, 2, 1)]


@pytest.mark.parametrize(
    "name, content",
    [
        ("r.csv", CSV),
        ("r.CSV", CSV),
        ("r.tsv", CSV.replace(",", "\t")),
        ("r.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("r.tsv.gz", gzip.compress(CSV.replace(",", "\t").encode(), mtime=0)),
        ("r.csv", "\ufeff" + CSV),
        ("r.csv", CSV.replace("\n", "\r\n")),
        ("r.csv", CSV.rstrip("\n")),
        ("r.csv", CSV.replace("u1", '"a, ""quoted""\nname"')),
        ("r.csv", CSV.replace("u1", "Zoë 日本")),
        ("r.csv", CSV.replace("u1", "NA").replace("u2", "null")),
        ("r.csv", CSV.replace(",4,", ", 4.0 ,")),
        ("r.csv", "\n" + CSV.replace("\nu2", "\n\nu2")),
        ("r.csv", CSV.replace("\n", "\r")),
        ("r.csv", CSV.replace(",", ";")),
        ("r.csv", CSV.replace(",", "\t")),
        ("r.csv", CSV.replace("user,item", "user, item")),
        ("r.csv.zst", pa.compress(CSV.encode(), "zstd", asbytes=True)),
        ("r.csv.GZ", gzip.compress(CSV[:20].encode()) + gzip.compress(CSV[20:].encode())),
    ],
)
def test_text_files(load, tmp_path, name, content):
    data = load(write(tmp_path, name, content))
    assert all_rows(data) == EXPECTED  # 007, 7 and 070 are three items
    assert data.name == "table"


@pytest.mark.parametrize(
    "users, items",
    [
        (pa.array(["u1", "u2", "u1", "u3"]), pa.array([7, -7, -7, 2**40])),
        (pa.array([1, 2, 1, 3], pa.int8()), pa.array([7, 8, 8, 9], pa.uint64())),
        (
            pa.array(["a", "b", "a", "c"]).dictionary_encode(),
            pa.array(["x", "y", "y", "z"], pa.large_string()),
        ),
        (pa.array([1.0, 2.0, 1.0, 3.0]), pa.array([7, 8, 8, 9]).dictionary_encode()),
        (pa.array(["a", "b", "a", "c"], pa.string_view()), pa.array([7, 8, 8, 9])),
        (
            pa.array([Decimal(n) for n in (1, 2, 1, 3)]),
            pa.array([uuid.UUID(int=n) for n in (1, 2, 2, 3)], pa.uuid()),
        ),
        (pa.array([b"a", b"b", b"a", b"c"]), pa.array([Decimal(10**20 + n) for n in (1, 2, 2, 3)])),
    ],
)
@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("labels", [pa.array([4, 2, 5, 1]), pa.array([4, 2, 5, 1], pa.float32())])
def test_parquet(load, tmp_path, users, items, labels, gzipped):
    path = parquet(tmp_path, user=users, item=items, label=labels, unused=pa.array([None] * 4))
    if gzipped:
        path = write(tmp_path, "r.parquet.gz", gzip.compress(path.read_bytes()))
    assert all_rows(load(path)) == EXPECTED


def test_ids_are_numbered_alike_over_many_chunks(load, tmp_path):
    """Arrow reads large files in pieces, each with a dictionary of its own."""
    n = 60_000
    users, items = np.arange(n) % 977, np.arange(n) * 7 % 1009
    lines = "".join(f"user {u},{i:05},{(u + i) % 5}\n" for u, i in zip(users, items, strict=True))
    filler = "x" * 40
    text = "user,item,label,filler\n" + lines.replace("\n", f",{filler}\n")
    assert len(text) > 3 * 2**20
    data = load(write(tmp_path, "r.csv", text))
    parts = (data.train, data.evaluation)
    assert sorted((u, i) for p in parts for u, i in zip(*p.ids.values(), strict=True)) == sorted(
        zip(users.tolist(), _appearance(items).tolist(), strict=True)
    )


def _appearance(values):
    seen = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values.tolist()])


def test_any_number_of_fields_in_the_order_of_the_settings(dataset, tmp_path):
    path = write(tmp_path, "r.csv", "site,clicked,ad,phone\na,0,x,1\nb,2,x,2\na,1,y,2\n")
    columns = {"ad": "ad", "label": "clicked", "device": "phone", "page": "site"}
    data = bench.data.load(
        dataset("table", {"path": str(path), "columns": columns, "split.train_fraction": 0.67}), tmp_path
    )
    assert {name: field.size for name, field in data.fields.items()} == {"ad": 2, "device": 2, "page": 2}
    assert list(data.fields) == ["ad", "device", "page"]
    assert data.item_field is None


TIMES = [
    ["30", "10", "20", "40"],
    ["30.5", "-1e3", "30.25", "1e9"],
    ["2024-03-01", "2023-12-31", "2024-02-29", "2024-03-02"],
    ["2024-03-01 10:00:00", "2024-03-01T09:00:00", "2024-03-01 09:59:59.5", "2025-01-01"],
    ["2024-03-01T12:00:00+02:00", "2024-03-01T08:00:00Z", "2024-03-01T09:30:00Z", "2024-03-01T10:30:00Z"],
]


@pytest.mark.parametrize("times", TIMES)
def test_timestamps_of_text_files_order_rows(load, tmp_path, times):
    rows = [line.rpartition(",")[0] for line in CSV.splitlines()[1:]]
    text = "user,item,label,when\n" + "".join(
        f"{row},{time}\n" for row, time in zip(rows, times, strict=True)
    )
    data = load(write(tmp_path, "r.csv", text), {"split.kind": "time"}, timestamp="when")
    assert data.train.labels.tolist() == [2, 5]
    assert data.evaluation.labels.tolist() == [4, 1]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([3, 1, 2, 4], pa.int16()),
        pa.array([3.5, 1.0, 3.25, 1e12]),
        pa.array([datetime(2020, 1, day, tzinfo=UTC) for day in (3, 1, 2, 4)]),
        pa.array([date(2020, 1, day) for day in (3, 1, 2, 4)]),
        pa.array(["2020-01-03", "2020-01-01", "2020-01-02", "2020-01-04"]),
    ],
)
def test_timestamps_of_parquet_order_rows(load, tmp_path, times):
    columns = {"user": ["a", "b", "a", "c"], "item": [1, 2, 2, 3], "label": [4, 2, 5, 1], "timestamp": times}
    data = load(parquet(tmp_path, **columns), {"split.kind": "time"}, timestamp="timestamp")
    assert data.evaluation.labels.tolist() == [4, 1]


def test_timestamps_that_nobody_needs_are_not_judged(load, tmp_path):
    path = write(tmp_path, "r.csv", CSV.replace(",30", ",soon"))
    assert all_rows(load(path, timestamp="timestamp")) == EXPECTED
    says = refusal(load, path, {"split.kind": "last"}, timestamp="timestamp")
    assert "column timestamp: 1 missing or unreadable timestamps" in says
    says = refusal(load, path, {"split.kind": "last"})
    assert "dataset.columns.timestamp=" in says


BAD = (
    "user,item,label\nu1,i1,4\n,i2,3\nu2, ,5\nu2,i1,\nu3,i1,good\nu3,i3,nan\nu1,i3,-inf\nu1,i2,1e39\n"
    "u4,i4,2\nu4,i5,1\nu4,i1,5\n"
)


def test_rows_that_cannot_be_used_are_counted_by_column(load, tmp_path):
    path = write(tmp_path, "r.csv", BAD)
    says = refusal(load, path)
    assert f"dataset.path={path}" in says
    assert "column user: 1 missing ids" in says
    assert "column item: 1 missing ids" in says
    assert "column label: 5 labels that are no finite number" in says
    assert "dataset.bad_rows=drop" in says


def test_rows_that_cannot_be_used_are_dropped_on_request(load, tmp_path, caplog):
    path = write(tmp_path, "r.csv", BAD)
    for _ in range(2):  # from the copy too
        with caplog.at_level(logging.WARNING):
            data = load(path, {"bad_rows": "drop"})
        assert all_rows(data) == [(0, 0, 4), (1, 0, 5), (1, 1, 2), (1, 2, 1)]
        assert [field.size for field in data.fields.values()] == [2, 3]  # no id of a dropped row
        (line,) = caplog.messages
        assert "dropped 7 of 11 rows: column user: 1 missing ids" in line
        caplog.clear()


def test_missing_values_of_parquet(load, tmp_path):
    path = parquet(
        tmp_path,
        user=pa.array(["a", None, " ", "b", "a"]),
        item=pa.array([1.0, 2.0, 3.0, None, float("nan")]),
        label=pa.array([1, 2, 3, None, 5]),
    )
    says = refusal(load, path)
    assert "column user: 2 missing ids (first in row 2); column item: 2 missing ids (first in row 4);" in says


def test_rows_of_another_length(load, tmp_path, caplog):
    path = write(tmp_path, "r.csv", CSV + "u4,7\nu4,7,1,2,3\n")
    assert "2 rows with another number of columns than the header" in refusal(load, path)
    assert all_rows(load(path, {"bad_rows": "drop"})) == EXPECTED
    assert "dropped 2 of 6 rows" in caplog.text


def test_repeated_pairs_are_kept_and_told(load, tmp_path, caplog):
    path = write(tmp_path, "r.csv", CSV + "u1,7,3,50\nu1,7,5,60\n")
    assert len(all_rows(load(path))) == 6
    assert "2 of 6 rows repeat the user and item of an earlier row" in caplog.text


def test_distinct_pairs_are_not_warned_of(load, tmp_path, caplog):
    path = write(tmp_path, "r.csv", CSV)
    load(path)
    digest = hashlib.sha256(CSV.encode()).hexdigest()[:12]
    assert caplog.messages == [f"{path}: 4 rows read, none dropped; sha256 {digest}"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 1)), max_size=30))
def test_duplicates_are_counted(rows):
    columns = [np.array([row[k] for row in rows], np.int32) for k in range(3)]
    assert duplicates(columns) == len(rows) - len(set(rows))


def test_duplicates_of_more_ids_than_an_integer_can_hold():
    wide = np.array([2**31 - 1, 5, 2**31 - 1, 5], np.int32)
    assert duplicates([wide, wide, wide, np.array([0, 1, 0, 2], np.int32)]) == 1


UNUSABLE = {
    "an empty file": ("r.csv", b"", {}, "no rows"),
    "only a header": ("r.csv", "user,item,label\n", {}, "no rows"),
    "only bad rows": ("r.csv", "user,item,label\n,1,2\n", {"bad_rows": "drop"}, "no rows"),
    "constant": ("r.csv", "user,item,label\n1,1,3\n2,1,3\n", {}, "all 2 rows have the label 3"),
    "no such column": ("r.csv", CSV, {"columns.item": "items"}, "no such column; did you mean item?"),
    "the columns there": ("r.csv", CSV, {"columns.item": "x"}, "(PATH has: user, item, label, timestamp)"),
    "no timestamp column": ("r.csv", CSV, {"columns.timestamp": "t"}, "dataset.columns.timestamp=t: no such"),
    "a column twice": ("r.csv", "user,item,item,label\n1,1,1,1\n", {}, "2 columns of that name"),
    "another separator": ("r.csv", CSV.replace(",", "|"), {}, "has: user|item|label|timestamp"),
    "UTF-16": ("r.csv", CSV.encode("utf-16"), {}, "not UTF-8 but UTF-16"),
    "a line in latin 1": ("r.csv", (CSV + "Zoë,1,2,3\n").encode("latin-1"), {}, "line 6 is not UTF-8"),
    "latin 1": ("r.csv", CSV.replace("u1", "Zoë").encode("latin-1"), {}, "not UTF-8"),
    "latin 1 header": ("r.csv", CSV.replace("timestamp", "é").encode("latin-1"), {}, "not UTF-8"),
    "a short row in latin 1": ("r.csv", (CSV + "Zoë,1\n" * 9000).encode("latin-1"), {}, "not UTF-8"),
    "binary": ("r.csv", bytes(range(256)) * 4, {}, ""),
    "gzip cut short": ("r.csv.gz", gzip.compress(CSV.encode() * 99)[:60], {}, "cannot be read"),
    "no gzip": ("r.csv.gz", CSV, {}, "cannot be read"),
    "no parquet": ("r.parquet", CSV, {}, "cannot be read"),
    "empty parquet": ("r.parquet", b"", {}, "cannot be read"),
    "gzipped no parquet": ("r.parquet.gz", gzip.compress(b"PAR1"), {}, "cannot be read"),
    "cut gzipped parquet": ("r.parquet.gz", gzip.compress(b"PAR1" * 99)[:20], {}, "cannot be read"),
    "unknown suffix": ("r.xlsx", CSV, {}, "unknown kind of file; give one that ends in .csv, .tsv, .parquet"),
    "no suffix": ("ratings", CSV, {}, "unknown kind of file"),
    "only gz": ("ratings.gz", CSV, {}, "unknown kind of file"),
}


@pytest.mark.parametrize("name, content, changes, says", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_files_are_refused_in_a_line(load, tmp_path, name, content, changes, says):
    path = write(tmp_path, name, content)
    message = refusal(load, path, changes)
    assert str(path) in message
    assert says.replace("PATH", str(path)) in message


def test_a_parquet_file_that_is_cut_short(load, tmp_path):
    path = parquet(tmp_path, user=["a", "b"], item=["c", "d"], label=[1, 2])
    path.write_bytes(path.read_bytes()[:-20])
    assert f"dataset.path={path}: cannot be read" in refusal(load, path)


def test_a_file_that_is_not_there_and_a_directory(load, tmp_path):
    assert "no such file" in refusal(load, tmp_path / "none.csv")
    (tmp_path / "dir.csv").mkdir()
    assert "a directory" in refusal(load, tmp_path / "dir.csv")


@pytest.mark.parametrize(
    "ids, says",
    [
        (pa.array([1.5, 2.0]), "holds fractions"),
        (pa.array([[1], [2]]), "holds list"),
        (pa.array([b"\xff", b"b"]), "holds bytes that are not UTF-8"),
        (pa.array([1e19, 2e19]), "holds floats beyond 2**53"),
        (pa.array([Decimal("1.5"), Decimal("2")]), "holds fractions"),
        (pa.array([datetime(2020, 1, 1), datetime(2020, 1, 2)]), "holds timestamp"),
    ],
)
def test_ids_of_other_types_are_refused(load, tmp_path, ids, says):
    message = refusal(load, parquet(tmp_path, user=["a", "b"], item=ids, label=[1, 2]))
    assert "dataset.columns.item=item: " + says in message
    assert "ids are text or integers" in message


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"path": None}, "dataset.path=null: give a file that ends in .csv"),
        ({"columns.user": None}, "dataset.columns.user=null"),
        ({"columns.label": None}, "dataset.columns.label=null"),
        ({"columns.label": "user"}, "dataset.columns.user=user: the column is named twice"),
        ({"columns.item": ""}, "dataset.columns.item="),
        ({"columns.item": ["item"]}, "dataset.columns.item=[item]"),
        ({"columns": {"user": "user"}}, "name a column for label"),
        ({"columns": {"label": "label", "timestamp": "t"}}, "one field or more"),
        ({"bad_rows": "ignore"}, "dataset.bad_rows=ignore: give refuse or drop"),
        ({"vocabulary": "test"}, "dataset.vocabulary=test: give all or train"),
    ],
)
def test_wrong_table_settings_are_named(dataset, tmp_path, changes, says):
    path = write(tmp_path, "r.csv", CSV)
    with pytest.raises(RequestError) as caught:
        bench.data.load(dataset("table", {"path": str(path), **changes}), tmp_path)
    assert says in str(caught.value)
